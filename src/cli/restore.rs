//! `cogzy-vault restore`

use std::path::PathBuf;

use clap_complete::{ArgValueCandidates, ArgValueCompleter};

use super::app::{App, runtime};
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::moment::Moment;
use super::output::Output;
use super::paths::{target, vault_paths};
use super::progress::ProgressWatcher;
use super::rewritten::tell;
use crate::control::jobs::{self, RewriteJob};
use cogzy_client::documents::{self, NamedGeneration, RestoreRequest};
use cogzy_engine::sync::{Generation, Point, Target};

/// Put files, or everything, back to what they were
///
/// That makes a new generation: nothing of the past is rewritten, and what stands now stays in the
/// history. Files that belong together go back together.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("when").required(true)))]
pub struct Args {
    /// Generation to restore: its number, or number and commit as `history` shows them
    #[arg(long, group = "when", value_name = "N", add = ArgValueCandidates::new(complete::generations))]
    pub generation: Option<Generation>,
    /// Time to restore: 2026-11-20T18:00:00Z, "2026-11-20 18:00", or how long ago, such as
    /// 36h
    #[arg(long, group = "when", value_name = "TIME")]
    pub at: Option<Moment>,
    /// Files or folders, as they are named in the vault; everything where none is named
    #[arg(value_name = "PATH", add = ArgValueCompleter::new(complete::paths))]
    pub paths: Vec<String>,
    /// Write them to this folder, and leave the vault alone
    #[arg(long, value_name = "DIR", value_parser = target)]
    pub to: Option<PathBuf>,
    /// With `--to`, also into a folder that is not empty
    #[arg(long, requires = "to")]
    pub force: bool,
    /// Also where it looks like an accident: most files gone, a group much smaller
    #[arg(long)]
    pub yes: bool,
}

/// Restores in the vault or to a folder.
///
/// # Errors
/// Errors of the job or the export.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let paths = vault_paths(app.layout().root(), &args.paths)?;
    let time = args.at.map(|moment| Point::Time(moment.ms));
    let point = args.generation.clone().map(Point::Generation).or(time).unwrap_or(Point::Newest);
    let Some(target) = &args.to else {
        let request = RestoreRequest {
            generation: args.generation.clone().map(NamedGeneration),
            at: args.at.map(|moment| documents::moment(moment.ms)),
            paths: paths.clone(),
            yes: args.yes,
        };
        let job = RewriteJob::Restore { point, paths, yes: args.yes };
        let document = perform(app, "/v1/restore", &request, output, async |engine, watcher| {
            jobs::rewrite(engine, &job, watcher).await
        })?;
        let of = document.of.unwrap_or_default();
        return Ok(tell(&document, &format!("restored to generation {of}"), output));
    };
    let exported = runtime()?.block_on(async {
        let watcher = ProgressWatcher::on(output);
        let target = Target { folder: target.clone(), force: args.force };
        Ok::<_, Failure>(app.engine().await?.export(&point, &paths, &target, &watcher).await?)
    })?;
    Ok(super::export::tell(&exported, target, output))
}
