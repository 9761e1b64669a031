//! `cogzy-vault undo`

use clap_complete::ArgValueCandidates;

use super::app::App;
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::output::Output;
use super::rewritten::tell;
use crate::control::jobs::{self, RewriteJob};
use cogzy_client::documents::{NamedGeneration, UndoRequest};
use cogzy_engine::sync::{Generation, Point};

/// Take back what one generation changed
///
/// That makes a new generation. Refused where later generations touch the same files.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Generation to take back; the newest if none is named
    #[arg(add = ArgValueCandidates::new(complete::generations))]
    pub generation: Option<Generation>,
    /// Also where later generations touch the same files: what stands now is kept as a conflict
    #[arg(long)]
    pub force: bool,
    /// Also where it looks like an accident: most files gone, a group much smaller
    #[arg(long)]
    pub yes: bool,
}

/// Takes a generation back.
///
/// # Errors
/// Errors of the job.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let Args { generation, force, yes } = args.clone();
    let request = UndoRequest { generation: generation.clone().map(NamedGeneration), force, yes };
    let job = RewriteJob::Undo { point: generation.map_or(Point::Newest, Point::Generation), force, yes };
    let document = perform(app, "/v1/undo", &request, output, async |engine, watcher| {
        jobs::rewrite(engine, &job, watcher).await
    })?;
    let of = document.of.unwrap_or_default();
    Ok(tell(&document, &format!("generation {of} taken back"), output))
}
