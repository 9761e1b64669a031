//! `cogzy-vault restore`

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use super::app::{App, Shown, runtime};
use super::args::absolute;
use super::exit::Exit;
use super::failure::Failure;
use super::moment::{Moment, vault_path};
use super::output::{Output, Tone};
use crate::control::jobs::{self, Job};
use cogzy_client::documents::RewriteDocument;
use cogzy_client::paths::machine_id;
use cogzy_client::socket;
use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::{Generation, Point};

/// Put files, or everything, back to what they were
///
/// That makes a new generation: nothing of the past is rewritten, and what stands now stays in the history. Files that belong
/// together go back together.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("when").required(true)))]
pub struct Args {
    /// As this generation left it: its number, or number and commit as `history` shows them
    #[arg(long, group = "when", value_name = "N")]
    pub generation: Option<Generation>,
    /// As it was at this time: 2026-11-20T18:00:00Z, "2026-11-20 18:00", or how long ago, such as 36h
    #[arg(long, group = "when", value_name = "TIME")]
    pub at: Option<Moment>,
    /// Files or folders, as they are named in the vault; everything where none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Write them to this folder, and leave the vault alone
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub to: Option<PathBuf>,
    /// Also where it looks like an accident: most files gone, a group much smaller
    #[arg(long)]
    pub yes: bool,
}

/// Restores in the vault or to a folder.
///
/// # Errors
/// What keeps it from it.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let paths = paths(app, &args.paths)?;
    let time = args.at.map(|moment| Point::Time(moment.ms));
    let point = args.generation.clone().map(Point::Generation).or(time).unwrap_or(Point::Newest);
    let Some(target) = &args.to else {
        let request = serde_json::json!({
            "generation": args.generation.as_ref().map(ToString::to_string),
            "at": args.at.map(|moment| cogzy_client::documents::moment(moment.ms)),
            "paths": paths,
            "yes": args.yes,
        });
        let job = Job::Restore { point, paths, yes: args.yes };
        let document: RewriteDocument = ask(app, &job, "/v1/restore", &request, output)?;
        let of = document.of.unwrap_or_default();
        return Ok(tell(&document, &format!("restored to generation {of}"), output));
    };
    let exported = runtime()?.block_on(async {
        let shown = Shown::on(output);
        Ok::<_, Failure>(app.engine().await?.export(&point, &paths, target, &shown).await?)
    })?;
    super::export::tell(&exported, target, output);
    Ok(Exit::Done)
}

/// Paths as typed.
///
/// # Errors
/// Those that a vault cannot hold.
pub fn paths(app: &App, typed: &[String]) -> Result<Vec<VaultPath>, Failure> {
    let layout = app.layout();
    let parsed = typed.iter().map(|text| vault_path(layout.root(), text));
    parsed.collect::<Result<_, _>>().map_err(|error| Failure::new(Exit::Usage, error))
}

/// Has a job done: through the daemon if one runs, else by this process.
///
/// # Errors
/// What keeps it from being done.
pub fn ask<T: DeserializeOwned>(
    app: &App,
    job: &Job,
    resource: &str,
    request: &serde_json::Value,
    output: &Output,
) -> Result<T, Failure> {
    let value = app.cycle(
        async || {
            let mut engine = app.engine().await?;
            engine.claim_device(&machine_id())?;
            Ok(jobs::run(&mut engine, job, &Shown::on(output)).await?)
        },
        async || Ok(socket::post::<serde_json::Value>(&app.socket, resource, request).await?),
    )?;
    serde_json::from_value(value).map_err(|error| Failure::new(Exit::Internal, error))
}

/// Says what a job did, and gives the code to end with.
pub fn tell(document: &RewriteDocument, what: &str, output: &mut Output) -> Exit {
    output.json(document);
    match document.generation {
        Some(generation) => output.toned(
            Tone::Good,
            format!(
                "generation {generation}: {what}, {} files changed, {} deleted",
                document.changed, document.deleted
            ),
        ),
        None => output.line(format!("{what}: everything stands like that already, no generation was made")),
    }
    for path in &document.beside {
        output.line(format!("    {path}"));
    }
    super::sync::tell(&document.sync, output);
    super::sync::exit_of(&document.sync)
}
