//! `cogzy-vault verify`

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, count};
use super::progress::{ProgressWatcher, through_daemon};
use crate::control::jobs;
use cogzy_client::documents::{AsideDocument, VerifyDocument, VerifyRequest};
use cogzy_client::socket;
use cogzy_engine::sync::{Lost, Repaired};

/// Check the local files against the manifest, and the bucket against its own commits
///
/// Through the daemon if one runs, which goes on syncing meanwhile (but for a repair); else by
/// itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every pack
    #[arg(long)]
    pub deep: bool,
    /// Put right what can be: local files from the bucket, the bucket from what is here. Reads
    /// every pack
    #[arg(long)]
    pub repair: bool,
}

/// Checks everything and prints the faults.
///
/// # Errors
/// If the checks cannot run.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (deep, repair) = (args.deep, args.repair);
    let document: VerifyDocument = app.cycle(
        async || {
            let mut engine = app.engine().await?;
            Ok(jobs::verify(&mut engine, deep, repair, &ProgressWatcher::on(output)).await?)
        },
        async || {
            let request = VerifyRequest { deep, repair };
            through_daemon(&app.socket, output, socket::post(&app.socket, "/v1/verify", &request)).await
        },
    )?;
    output.json(&document);
    let VerifyDocument { verified, repaired, .. } = document;
    if let Some(repaired) = &repaired {
        tell(repaired, output);
    }
    for fault in &verified.faults {
        output.toned(Tone::Bad, format!("damaged: {}: {}", fault.path, fault.message));
    }
    if let Some(aside) = AsideDocument::of(&verified.aside) {
        for object in &aside.objects {
            output.toned(Tone::Warning, format!("set aside: {}: {}", object.key, object.why));
        }
        output.note(format!(
            "{} in the bucket, not as this vault's devices make them",
            count(aside.count, "object")
        ));
        output.note(aside.next);
    }
    tell_lost(&verified.lost, repaired.is_some(), output);
    let packs = count(verified.packs, "pack");
    let packs = if verified.deep { format!("{packs} read") } else { format!("{packs} there") };
    output.note(format!(
        "generation {}: {} hashed, {} and {packs}, {}",
        verified.generation,
        count(verified.files, "file"),
        count(verified.commits, "commit"),
        count(verified.faults.len(), "fault"),
    ));
    let unsent = match verified.differing {
        0 => String::new(),
        1 => "; 1 file differs here: `cogzy-vault sync --dry-run` says how".to_owned(),
        many => format!("; {many} files differ here: `cogzy-vault sync --dry-run` says how"),
    };
    if verified.faults.is_empty() {
        output.toned(Tone::Good, format!("the backup is sound{unsent}"));
        return Ok(Exit::Done);
    }
    output.note(format!("not everything is sound{unsent}"));
    if repaired.is_none() {
        output.note("`cogzy-vault verify --repair` puts right what can be");
    }
    Ok(Exit::Corrupt)
}

fn tell(repaired: &Repaired, output: &mut Output) {
    for name in repaired.files.iter().chain(&repaired.objects) {
        output.toned(Tone::Good, format!("repaired: {name}"));
    }
    for name in &repaired.partly {
        output.line(format!("repaired as far as its bytes could be found: {name}"));
    }
    for name in &repaired.dismissed {
        output.line(format!("told of no more: {name}"));
    }
    for name in &repaired.dropped {
        output.toned(Tone::Good, format!("deleted, for the commits say the same: {name}"));
    }
}

/// Prints the versions that the bucket cannot give any more. Before a repair, this device may still
/// have them.
fn tell_lost(lost: &[Lost], is_repaired: bool, output: &mut Output) {
    let what = if is_repaired { "lost" } else { "not to be had from the bucket" };
    for Lost { path, from, to } in lost {
        let when =
            if from == to { format!("generation {from}") } else { format!("generations {from} to {to}") };
        output.toned(Tone::Bad, format!("{what}: {path}, {when}"));
    }
    if is_repaired && !lost.is_empty() {
        output.line("another device may still have these bytes: run `cogzy-vault verify --repair` there too");
    }
}
