//! `cogzy-vault status`

use std::time::Duration;

use jiff::Timestamp;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, duration, size, thousands};
use super::sync::tell_holds;
use crate::clock::{Clock, SystemClock};
use crate::control::api::{
    DaemonDocument, DeviceDocument, ErrorDocument, PendingDocument, SCHEMA, State, StatusDocument, holds,
    moment,
};
use crate::control::client::{self, ClientError};
use crate::remote::Transfer;
use crate::sync::{Glance, Unwatched, Weight};

/// Say whether all is in sync, and if not, what to do
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Tells where things stand: as the daemon sees it, or without one by a look at the vault. The remote is not asked.
///
/// # Errors
/// Where the vault cannot be looked at.
pub fn run(app: &App, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    app.vault()?;
    // Not by the vault's lock: to try it would hold it for a moment, and a sync that starts just then would find it taken.
    let status = match runtime.block_on(client::get(&app.socket, "/v1/status")) {
        Ok(status) => status,
        Err(ClientError::NoDaemon) => runtime.block_on(look(app))?,
        Err(error) => return Err(error.into()),
    };
    output.json(&status);
    tell(&status, output);
    Ok(match status.state {
        State::Held => Exit::Held,
        State::Offline => Exit::Offline,
        State::Error => Exit::Internal,
        _ if !status.holds.is_empty() => Exit::Held,
        _ => Exit::Done,
    })
}

async fn look(app: &App) -> Result<StatusDocument, Failure> {
    let mut engine = app.engine().await?;
    let glance = engine.glance(&Unwatched).await?;
    let mut status = document(app, State::Stopped, glance.device);
    fill(&mut status, &glance);
    Ok(status)
}

/// A status that knows only what is configured.
#[must_use]
pub fn document(app: &App, state: State, device: crate::model::DeviceId) -> StatusDocument {
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
    status.holds = holds(&glance.survey.plan.holds);
    let troubles = glance.survey.troubles().filter(|trouble| trouble.weight != Weight::Skipped);
    status.errors = troubles.map(ErrorDocument::from).collect();
}

fn tell(status: &StatusDocument, output: &mut Output) {
    let verdict = |text: &str| {
        let files = format!("{} files, {}", thousands(status.files as u64), size(status.bytes));
        format!("{text} · {files} · generation {} · {}", status.generation, ago(status.last_sync.as_deref()))
    };
    let up = status.pending.up;
    let to_send = format!("{} to send", thousands(up.files as u64));
    let (tone, text) = match status.state {
        State::InSync => (Tone::Good, "✓ in sync".to_owned()),
        State::Pending if up.files > 0 => (Tone::Warning, format!("⟳ {to_send}")),
        State::Pending => (Tone::Warning, "⟳ changes wait to settle".to_owned()),
        State::Syncing => (Tone::Warning, format!("⟳ {}", progress(status))),
        State::Offline => (Tone::Warning, "… offline: the remote is out of reach".to_owned()),
        State::Held => (Tone::Warning, "! held, waits for you".to_owned()),
        State::Paused => (Tone::Warning, "‖ paused".to_owned()),
        State::Error => (Tone::Bad, "✗ the last sync did not go through".to_owned()),
        State::Stopped if up.files > 0 => {
            (Tone::Warning, format!("■ no daemon runs · {to_send}, {}", size(up.bytes)))
        }
        State::Stopped => (Tone::Warning, "■ no daemon runs".to_owned()),
    };
    output.toned(tone, verdict(&text));
    if status.state == State::Stopped {
        output.line("  next: cogzy-vault sync, or cogzy-vault run to keep it in sync");
    }
    for error in &status.errors {
        let about = error.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        output.toned(Tone::Bad, format!("error: {about}{}", error.message));
        let retry = error.next_retry.as_ref().map(|at| format!(" (tried again at {at})")).unwrap_or_default();
        output.line(format!("  next: {}{retry}", error.next));
    }
    if status.conflicts > 0 {
        output.toned(Tone::Warning, format!("! {} conflicts kept: cogzy-vault conflicts", status.conflicts));
    }
    tell_holds(&status.holds, output);
}

fn progress(status: &StatusDocument) -> String {
    let Some(progress) = status.progress else { return "at work".to_owned() };
    let files = format!("{}/{} files", progress.files_done, progress.files_total);
    let bytes = format!("{} of {}", size(progress.bytes_done), size(progress.bytes_total));
    format!("{} {files} · {bytes}", progress.phase)
}

fn ago(last_sync: Option<&str>) -> String {
    let Some(then) = last_sync.and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "never synced".to_owned();
    };
    let then = u64::try_from(then.as_millisecond()).unwrap_or(0);
    format!(
        "synced {} ago",
        duration(Duration::from_millis(SystemClock::new().now_ms().saturating_sub(then)))
    )
}
