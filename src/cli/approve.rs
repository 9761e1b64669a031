//! `cogzy-vault approve`

use clap_complete::ArgValueCandidates;

use super::app::App;
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::{ProgressWatcher, through_daemon};
use super::report::{Extent, show, ways};
use cogzy_client::documents::{DecideRequest, HoldDocument, StatusDocument, SyncDocument, holds};
use cogzy_client::socket;
use cogzy_engine::model::HoldId;
use cogzy_engine::sync::Request;

/// Let a held change pass, or decide the other way
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The hold's id, or how it begins; not needed where only one is open
    #[arg(add = ArgValueCandidates::new(complete::holds))]
    pub hold: Option<String>,
    /// Decide the other way: an outgoing change is undone here, an incoming one is overruled
    #[arg(long)]
    pub reject: bool,
    /// Decide all that are open in the same way
    #[arg(long, conflicts_with = "hold")]
    pub all: bool,
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
            let request = DecideRequest { holds: pick(&status.holds, args)? };
            let resource = if args.reject { "/v1/holds/reject" } else { "/v1/holds/approve" };
            through_daemon(&app.socket, output, socket::post(&app.socket, resource, &request)).await
        },
    )?;
    Ok(show(&document, Extent::Head, output))
}

async fn alone(app: &App, args: &Args, output: &Output) -> Result<SyncDocument, Failure> {
    let mut engine = app.engine().await?;
    let watcher = ProgressWatcher::on(output);
    let open = holds(&engine.dry_run(false, &watcher).await?.plan.holds);
    let decided = pick(&open, args)?;
    let (approved, rejected) = if args.reject { (vec![], decided) } else { (decided, vec![]) };
    engine.decide(&approved, &rejected)?;
    Ok(SyncDocument::from(&engine.settled_cycle(Request::FULL, &watcher).await?))
}

/// The holds to decide. The direction of the decision is never reversed: after `--reject`, no
/// message proposes only the command that lets the hold pass.
fn pick(holds: &[HoldDocument], args: &Args) -> Result<Vec<HoldId>, Failure> {
    let fits = |hold: &&HoldDocument| args.hold.as_ref().is_none_or(|id| hold.id.to_string().starts_with(id));
    let fitting: Vec<&HoldDocument> = holds.iter().filter(fits).collect();
    match (fitting.as_slice(), &args.hold) {
        ([], None) => Err(Failure::new(Exit::Usage, "nothing is held").next("cogzy-vault status")),
        ([], Some(id)) => Err(Failure::new(Exit::Usage, format!("no hold is named {id}"))
            .next("`cogzy-vault status` lists them")),
        (chosen, _) if chosen.len() == 1 || args.all => decidable(chosen, args.reject),
        (many, _) => {
            let told = |hold: &&HoldDocument| format!("\n  {}\n{}", hold.reason, ways(hold).join("\n"));
            let list: String = many.iter().map(told).collect();
            let next = if args.reject {
                "`cogzy-vault approve --reject ID` for one, `cogzy-vault approve --reject --all` for all"
            } else {
                "`cogzy-vault approve ID` for one, `cogzy-vault approve --all` for all"
            };
            Err(Failure::new(Exit::Usage, format!("{} holds are open:{list}", many.len())).next(next))
        }
    }
}

/// The ids of the chosen holds, without those that are decided in the configuration where they are
/// to be rejected.
fn decidable(chosen: &[&HoldDocument], reject: bool) -> Result<Vec<HoldId>, Failure> {
    let elsewhere = |hold: &HoldDocument| reject && hold.reject.is_none() && !hold.rejecting.is_empty();
    let ids: Vec<HoldId> = chosen.iter().filter(|hold| !elsewhere(hold)).map(|hold| hold.id).collect();
    match chosen.first().filter(|_| ids.is_empty()) {
        None => Ok(ids),
        Some(hold) => {
            Err(Failure::new(Exit::Usage, format!("this is decided in the configuration: {}", hold.reason))
                .next(format!("{}: `cogzy-vault config path` names the file", hold.rejecting)))
        }
    }
}

#[cfg(test)]
mod tests;
