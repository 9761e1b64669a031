//! `cogzy-vault approve`

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::{ProgressWatcher, through_daemon};
use super::report::show;
use cogzy_client::documents::{HoldDocument, StatusDocument, SyncDocument, holds};
use cogzy_client::socket;
use cogzy_engine::sync::Request;

/// Let a held change pass, or decide the other way
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The hold's id, or how it begins; not needed where only one is open
    pub hold: Option<String>,
    /// Decide the other way: an outgoing change is undone here, an incoming one is overruled
    #[arg(long)]
    pub reject: bool,
}

/// Records the decision and runs the cycle that carries it out: through the daemon if one runs,
/// else by itself.
///
/// # Errors
/// If no hold or more than one fits, or the cycle fails.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let document = app.cycle(
        async || alone(app, args, output).await,
        async || {
            let status: StatusDocument = socket::get(&app.socket, "/v1/status").await?;
            let hold = pick(&status.holds, args)?;
            let verb = if args.reject { "reject" } else { "approve" };
            let resource = format!("/v1/holds/{}/{verb}", hold.id);
            through_daemon(&app.socket, output, socket::post(&app.socket, &resource, &())).await
        },
    )?;
    Ok(show(&document, output))
}

async fn alone(app: &App, args: &Args, output: &Output) -> Result<SyncDocument, Failure> {
    let mut engine = app.engine().await?;
    let watcher = ProgressWatcher::on(output);
    let open = holds(&engine.dry_run(false, &watcher).await?.plan.holds);
    let hold = pick(&open, args)?;
    let (approved, rejected) = if args.reject { (vec![], vec![hold.id]) } else { (vec![hold.id], vec![]) };
    engine.decide(&approved, &rejected)?;
    Ok(SyncDocument::from(&engine.settled_cycle(Request::FULL, &watcher).await?))
}

fn pick<'a>(holds: &'a [HoldDocument], args: &Args) -> Result<&'a HoldDocument, Failure> {
    let fits = |hold: &&HoldDocument| args.hold.as_ref().is_none_or(|id| hold.id.to_string().starts_with(id));
    let fitting: Vec<&HoldDocument> = holds.iter().filter(fits).collect();
    match (fitting.as_slice(), &args.hold) {
        ([one], _) => Ok(one),
        ([], None) => Err(Failure::new(Exit::Usage, "nothing is held").next("cogzy-vault status")),
        ([], Some(id)) => {
            Err(Failure::new(Exit::Usage, format!("no hold is named {id}"))
                .next("cogzy-vault status lists them"))
        }
        (many, _) => {
            let list =
                many.iter().map(|hold| format!("\n    {}  {}", hold.id, hold.reason)).collect::<String>();
            Err(Failure::new(Exit::Usage, format!("more than one hold is open:{list}"))
                .next("cogzy-vault approve ID"))
        }
    }
}
