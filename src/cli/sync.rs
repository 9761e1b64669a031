//! `cogzy-vault sync`

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::{ProgressWatcher, through_daemon};
use super::report::{Extent, show};
use cogzy_client::documents::{SyncDocument, SyncRequest};
use cogzy_client::paths::machine_id;
use cogzy_client::socket;

/// Sync now: one whole cycle, with progress
///
/// Through the daemon if one runs, else by itself.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Also send rebuilt indexes
    #[arg(long)]
    pub derived: bool,
    /// Print every line of a long list
    #[arg(long)]
    pub all: bool,
}

/// Runs or forecasts one cycle: through the daemon if one runs, else by itself.
///
/// # Errors
/// Errors of the cycle.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let request = SyncRequest { wait: true, dry_run: args.dry_run, derived: args.derived };
    let document = app.cycle(
        async || {
            let done = alone(app, args, output).await;
            done.inspect_err(|failure| {
                if !args.dry_run {
                    app.note_failed(failure);
                }
            })
        },
        async || through_daemon(&app.socket, output, socket::post(&app.socket, "/v1/sync", &request)).await,
    )?;
    Ok(show(&document, if args.all { Extent::All } else { Extent::Head }, output))
}

async fn alone(app: &App, args: &Args, output: &Output) -> Result<SyncDocument, Failure> {
    let mut engine = app.engine().await?;
    engine.claim_device(&machine_id())?;
    let watcher = ProgressWatcher::on(output);
    if args.dry_run {
        let survey = engine.dry_run(args.derived, &watcher).await?;
        return Ok(SyncDocument::of_plan(&survey.plan, survey.generation()));
    }
    let request = engine.due(args.derived);
    Ok(SyncDocument::from(&engine.settled_cycle(request, &watcher).await?))
}
