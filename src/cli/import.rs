//! `cogzy-vault import`

use super::app::{App, runtime};
use super::documents::ImportDocument;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, size, thousands};
use super::progress::ProgressWatcher;
use cogzy_client::documents::{SchemaVersion, SyncDocument};
use cogzy_client::paths::machine_id;
use cogzy_engine::sync::Imported;

/// Take over plain objects, as older versions of the app uploaded them, as the first generation
///
/// Reads corpus/nodes.json, vectors/… and whatever else lies below the prefix; the objects stay
/// where they are. Needs a vault that `init` has just made.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// URL of the objects; that of the vault itself if nothing is said
    #[arg(value_name = "URL")]
    pub url: Option<String>,
}

/// Imports.
///
/// # Errors
/// If the vault is not new, or the objects cannot be read.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let lock = app.lock()?;
    let imported = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        engine.claim_device(&machine_id())?;
        let source = app.assembly().plain_source(args.url.as_deref()).await?;
        Ok::<_, Failure>(engine.import(source, &ProgressWatcher::on(output)).await?)
    })?;
    drop(lock);
    let sync = SyncDocument::from(&imported.report);
    let Imported { files, bytes, skipped, .. } = &imported;
    output.json(&ImportDocument {
        schema: SchemaVersion,
        files: *files,
        bytes: *bytes,
        skipped,
        sync: &sync,
    });
    let (files, bytes) = (thousands(*files as u64), size(*bytes));
    output.toned(Tone::Good, format!("{files} objects ({bytes}) are generation 1 now"));
    for key in skipped {
        output.note(format!("    not taken over, for it is never synced: {key}"));
    }
    super::report::tell(&sync, output);
    Ok(super::report::exit_of(&sync))
}
