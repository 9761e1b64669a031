//! `cogzy-vault verify`

use serde_json::json;

use super::app::{App, Shown, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, thousands};

/// Check the local files against the manifest, and the bucket against its own commits
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every pack
    #[arg(long)]
    pub deep: bool,
}

/// Looks at everything and tells what is wrong.
///
/// # Errors
/// What keeps it from looking.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let lock = app.lock()?;
    let verified = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        let shown = Shown::on(output);
        Ok::<_, Failure>(engine.verify(args.deep, &shown).await?)
    })?;
    drop(lock);
    output.json(&json!({ "schema": 1, "verified": verified }));
    for fault in &verified.faults {
        output.toned(Tone::Bad, format!("damaged: {}: {}", fault.path, fault.message));
    }
    let packs = thousands(verified.packs as u64);
    let packs = if verified.deep { format!("{packs} packs read") } else { format!("{packs} packs there") };
    output.note(format!(
        "generation {}: {} files hashed, {} commits and {packs}, {} faults",
        verified.generation,
        thousands(verified.files as u64),
        thousands(verified.commits as u64),
        thousands(verified.faults.len() as u64),
    ));
    if verified.differing > 0 {
        output.note(format!(
            "{} files differ from that generation and are not synced yet",
            thousands(verified.differing as u64)
        ));
    }
    if verified.faults.is_empty() {
        output.toned(Tone::Good, "all is as it should be");
        return Ok(Exit::Done);
    }
    Ok(Exit::Corrupt)
}
