//! `cogzy-vault status`

mod text;
mod watch;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::daemon::overdue;
use cogzy_client::documents::{
    DaemonDocument, DeviceDocument, ErrorDocument, PendingDocument, SCHEMA, State, StatusDocument, holds,
    moment,
};
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::remote::Transfer;
use cogzy_engine::sync::{Glance, Unwatched, Weight};

/// Say whether all is in sync, and if not, what to do
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on showing it as it changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Tells where things stand: as the daemon sees it, or without one by a look at the vault. The remote is not asked.
///
/// # Errors
/// Where the vault cannot be looked at.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    app.vault()?;
    if args.watch {
        return runtime.block_on(watch::run(app, output));
    }
    // Not by the vault's lock: to try it would hold it for a moment, and a sync that starts just then would find it taken.
    let status = match runtime.block_on(socket::get(&app.socket, "/v1/status")) {
        Ok(status) => status,
        Err(ClientError::NoDaemon) => runtime.block_on(look(app))?,
        Err(error) => return Err(error.into()),
    };
    output.json(&status);
    for line in text::lines(&status, SystemClock::new().now_ms()) {
        output.styled(&line);
    }
    Ok(exit_of(&status))
}

fn exit_of(status: &StatusDocument) -> Exit {
    match status.state {
        State::Held => Exit::Held,
        State::Offline => Exit::Offline,
        State::Error => Exit::Internal,
        _ if !status.holds.is_empty() => Exit::Held,
        _ => Exit::Done,
    }
}

async fn look(app: &App) -> Result<StatusDocument, Failure> {
    let mut engine = app.engine().await?;
    let glance = engine.glance(&Unwatched).await?;
    let mut status = document(app, State::Stopped, glance.device);
    fill(&mut status, &glance);
    // A pause was wished for.
    if let (Some(then), None) = (glance.last_sync_ms, engine.paused()?) {
        status.errors.splice(0..0, overdue(then, SystemClock::new().now_ms()));
    }
    Ok(status)
}

/// A status that knows only what is configured.
#[must_use]
pub fn document(app: &App, state: State, device: cogzy_engine::model::DeviceId) -> StatusDocument {
    let config = app.config();
    StatusDocument {
        schema: SCHEMA,
        state,
        vault: app.layout().root().to_owned(),
        remote: config.remote.clone().unwrap_or_else(|| app.remote.to_string()),
        user_id: config.user_id.clone(),
        device: DeviceDocument { id: device, name: config.device_name.clone() },
        daemon: DaemonDocument::default(),
        generation: 0,
        remote_generation: 0,
        last_sync: None,
        paused_until: None,
        files: 0,
        bytes: 0,
        pending: PendingDocument::default(),
        progress: None,
        conflicts: 0,
        holds: Vec::new(),
        errors: Vec::new(),
        content: None,
        transfer: Transfer::default(),
    }
}

fn fill(status: &mut StatusDocument, glance: &Glance) {
    let (up, down) = glance.survey.pending();
    status.generation = glance.generation;
    status.remote_generation = glance.generation;
    status.last_sync = glance.last_sync_ms.map(moment);
    (status.files, status.bytes) = (glance.survey.here.files, glance.survey.here.bytes);
    status.pending = PendingDocument { up, down };
    status.conflicts = glance.conflicts.len();
    status.content = serde_json::to_value(&glance.survey.holdings).ok();
    status.holds = holds(&glance.survey.plan.holds);
    let troubles = glance.survey.troubles().filter(|trouble| trouble.weight != Weight::Skipped);
    status.errors = troubles.map(ErrorDocument::from).collect();
}
