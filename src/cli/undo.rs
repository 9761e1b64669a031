//! `cogzy-vault undo`

use serde_json::json;

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::job::ask;
use super::output::Output;
use super::rewritten::tell;
use crate::control::jobs::Job;
use cogzy_client::documents::RewriteDocument;
use cogzy_engine::sync::{Generation, Point};

/// Take back what one generation changed
///
/// That makes a new generation. Refused where later generations touch the same files.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Which one; the newest where none is named
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
/// What keeps it from it.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let Args { generation, force, yes } = args.clone();
    let request =
        json!({ "generation": generation.as_ref().map(ToString::to_string), "force": force, "yes": yes });
    let point = generation.map_or(Point::Newest, Point::Generation);
    let document: RewriteDocument = ask(app, &Job::Undo { point, force, yes }, "/v1/undo", &request, output)?;
    let of = document.of.unwrap_or_default();
    Ok(tell(&document, &format!("generation {of} taken back"), output))
}
