//! `cogzy-vault reset`

use super::app::App;
use super::ask;
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::output::{Output, Tone, size, thousands};
use crate::control::jobs;
use cogzy_client::documents::{DryRunRequest, ResetDocument};

/// Replace the local vault by the backup's newest generation
///
/// The old local files go to the trash; versions that were not sent yet are kept as conflicts.
/// config.json, cache, logs and excluded files stay. An older state: `restore`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

/// Resets, once the user has agreed.
///
/// # Errors
/// Errors of the job; the vault is then as it was.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    if !args.yes {
        let document = request(app, true, output)?;
        if args.dry_run {
            output.json(&document);
        }
        tell(&document, output);
        if args.dry_run {
            return Ok(Exit::Done);
        }
        let asked = "replace the vault by the backup?";
        if !ask::is_possible(output) {
            return Err(Failure::new(Exit::Usage, "reset needs confirmation: nothing was changed")
                .next("cogzy-vault reset --yes"));
        }
        if !ask::agrees(asked, output) {
            output.line("nothing was changed");
            return Ok(Exit::Done);
        }
    }
    let document = request(app, false, output)?;
    output.json(&document);
    tell(&document, output);
    let exit = match &document.sync {
        Some(sync) => {
            super::report::tell(sync, output);
            super::report::exit_of(sync)
        }
        None => {
            output.toned(
                Tone::Warning,
                "the remote could not be reached again: what was kept is sent by the next sync",
            );
            Exit::Done
        }
    };
    Ok(if document.left.is_empty() { exit } else { Exit::Partial })
}

fn request(app: &App, dry_run: bool, output: &Output) -> Result<ResetDocument, Failure> {
    perform(app, "/v1/reset", &DryRunRequest { dry_run }, output, async |engine, watcher| {
        jobs::reset(engine, dry_run, watcher).await
    })
}

fn tell(document: &ResetDocument, output: &mut Output) {
    let ResetDocument { generation, fetched, bytes, replaced, deleted, dry_run, kept, left, .. } = document;
    let will = if *dry_run { "would be" } else { "were" };
    let state = if *dry_run { "the backup is at generation" } else { "the vault is at generation" };
    output.toned(Tone::Good, format!("{state} {generation}"));
    let count = |number: &usize| thousands(*number as u64);
    output.line(format!("    {} files ({}) {will} fetched", count(fetched), size(*bytes)));
    output.line(format!(
        "    {} local files {will} replaced, {} removed: they go to the trash",
        count(replaced),
        count(deleted)
    ));
    for conflict in kept {
        let line = format!("not sent yet, kept as conflict {}: {}", conflict.id.short(), conflict.item);
        output.toned(Tone::Warning, line);
    }
    for why in left {
        output.toned(Tone::Warning, format!("cannot be replaced now: {why}"));
    }
}
