//! `cogzy-vault prune`

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::output::{Output, Tone, count, size};
use crate::control::jobs;
use cogzy_client::documents::DryRunRequest;
use cogzy_engine::sync::{Objects, Pruned};

/// Free what retention no longer needs in the bucket
///
/// Objects that nothing needs are marked first, and deleted by a later prune, `retention.grace`
/// after that.
/// Kept are the newest `retention.keep_generations`, all that stood within `retention.keep_days`,
/// and every open conflict.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// Prunes, or tells what a prune would do.
///
/// # Errors
/// Errors of the job.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let dry_run = args.dry_run;
    let request = DryRunRequest { dry_run };
    let document = perform(app, "/v1/prune", &request, output, async |engine, watcher| {
        jobs::prune(engine, dry_run, watcher).await
    })?;
    output.json(&document);
    let Pruned {
        generation,
        kept_from,
        all,
        needed,
        marked,
        repacked,
        waiting,
        freed,
        damaged,
        stopped,
        untold,
        doubtful,
        ..
    } = document.pruned;
    let will = if dry_run { "would be" } else { "were" };
    output.line(match kept_from {
        0 | 1 => format!("all is kept, up to generation {generation}"),
        _ => format!("generations {kept_from} to {generation} are kept"),
    });
    output.line(format!("    {} in the bucket, {} of that needed", told(all), told(needed)));
    output.line(format!("    {} {will} marked: they go after the grace period", told(marked)));
    if repacked.objects > 0 {
        output.line(format!("    in {} of these little is needed: that {will} moved", told(repacked)));
    }
    output.line(format!("    {} are marked already and wait", told(waiting)));
    output.toned(Tone::Good, format!("    {} {will} deleted", told(freed)));
    if doubtful > 0 {
        let what = count(doubtful, "object");
        let text = format!(
            "{what} came within a day that no device of this vault made: nothing is marked or deleted until it is clear what they are"
        );
        output.toned(Tone::Warning, text);
        output.note("cogzy-vault status    names them");
    }
    if let Some(why) = &untold {
        output.toned(
            Tone::Bad,
            format!("a part of the history is lost ({why}), so nothing is marked or deleted until it is older than what is kept"),
        );
        output.note("`cogzy-vault verify --repair` on a device that has it puts it back");
    }
    if damaged > 0 {
        let so = if stopped { ", so nothing is marked or deleted" } else { "; what is left of them is kept" };
        let text = format!("{} that are kept cannot be read{so}", count(damaged, "version"));
        output.toned(Tone::Bad, text);
        output.note("`cogzy-vault verify --repair` puts right what can be");
    }
    Ok(if damaged > 0 || untold.is_some() { Exit::Corrupt } else { Exit::Done })
}

fn told(objects: Objects) -> String {
    format!("{} ({})", count(objects.objects, "pack"), size(objects.bytes))
}
