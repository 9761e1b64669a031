//! `cogzy-vault status`

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::app::{App, Shown, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, duration, size, thousands};
use super::sync::{holds_document, tell_holds};
use crate::clock::{Clock, SystemClock};
use crate::daemon::Presence;
use crate::sync::{Glance, Trouble, Weight};
use crate::vault::{FileLock, Layout};

/// Say whether all is in sync, and if not, what to do
#[derive(Debug, clap::Args)]
pub struct Args {}

/// What the status says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InSync,
    Pending,
    Held,
    Error,
    Stopped,
}

/// Looks at the vault and tells where things stand. The remote is not asked.
///
/// # Errors
/// Where the vault cannot be looked at.
pub fn run(app: &App, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let layout = app.layout();
    if !layout.sync().is_dir() {
        let text = format!("{} is no vault yet, or its disk is not mounted", layout.root().display());
        return Err(Failure::new(Exit::Held, text).next("mount the disk, or run `cogzy-vault init`"));
    }
    let daemon = daemon_of(&layout)?;
    let glance = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        let shown = Shown::on(output);
        Ok::<_, Failure>(engine.glance(&shown).await?)
    })?;
    let state = state(&glance, daemon.as_ref());
    output.json(&document(app, &layout, &glance, daemon.as_ref(), state));
    tell(&glance, daemon.as_ref(), state, output);
    Ok(match state {
        State::Held => Exit::Held,
        State::Error => {
            daemon.and_then(|daemon| daemon.error).map_or(Exit::Internal, |error| error.advice.into())
        }
        _ => Exit::Done,
    })
}

/// The daemon of this vault, if one runs: whoever holds the lock and has left its presence.
fn daemon_of(layout: &Layout) -> Result<Option<Presence>, Failure> {
    if FileLock::try_take(&layout.lock())?.is_some() {
        return Ok(None);
    }
    Ok(Presence::read(layout))
}

fn state(glance: &Glance, daemon: Option<&Presence>) -> State {
    let quiet = glance.survey.plan.is_quiet() && glance.survey.plan.waiting.is_empty();
    match daemon {
        _ if !glance.survey.plan.holds.is_empty() => State::Held,
        Some(daemon) if daemon.error.is_some() => State::Error,
        None => State::Stopped,
        Some(_) if quiet => State::InSync,
        Some(_) => State::Pending,
    }
}

fn word(state: State, daemon: Option<&Presence>) -> &'static str {
    match state {
        State::Error if daemon.is_some_and(|daemon| daemon.offline) => "offline",
        State::InSync => "in-sync",
        State::Pending => "pending",
        State::Held => "held",
        State::Error => "error",
        State::Stopped => "stopped",
    }
}

fn document(app: &App, layout: &Layout, glance: &Glance, daemon: Option<&Presence>, state: State) -> Value {
    let (up, down) = glance.survey.pending();
    let config = app.config();
    let remote = config.remote.clone().unwrap_or_else(|| app.remote.to_string());
    let errors = daemon.and_then(|daemon| daemon.error.as_ref()).map(|error| {
        json!({ "path": null, "message": error.message, "attempts": error.attempts, "next_retry": null, "next": error.next })
    });
    let troubles = glance.survey.troubles().map(|trouble| {
        json!({ "path": trouble.path, "message": trouble.message, "attempts": 1, "next_retry": null, "next": "cogzy-vault status" })
    });
    json!({
        "schema": 1,
        "state": word(state, daemon),
        "vault": layout.root(),
        "remote": remote,
        "user_id": config.user_id,
        "device": { "id": glance.device, "name": config.device_name },
        "daemon": {
            "running": daemon.is_some(),
            "pid": daemon.map(|daemon| daemon.pid),
            "since": daemon.map(|daemon| when(daemon.since_ms)),
        },
        "generation": glance.generation,
        "remote_generation": glance.generation,
        "last_sync": last_sync(glance, daemon).map(when),
        "files": glance.survey.here.files,
        "bytes": glance.survey.here.bytes,
        "pending": { "up": up, "down": down },
        "progress": null,
        "conflicts": glance.conflicts.len(),
        "holds": holds_document(&glance.survey.plan.holds),
        "errors": errors.into_iter().chain(troubles).collect::<Vec<_>>(),
        "content": null,
        "transfer": daemon.map(|daemon| daemon.transfer).unwrap_or_default(),
    })
}

fn last_sync(glance: &Glance, daemon: Option<&Presence>) -> Option<u64> {
    daemon.and_then(|daemon| daemon.last_sync_ms).max(glance.last_sync_ms)
}

fn tell(glance: &Glance, daemon: Option<&Presence>, state: State, output: &mut Output) {
    let files =
        format!("{} files, {}", thousands(glance.survey.here.files as u64), size(glance.survey.here.bytes));
    let ago = last_sync(glance, daemon).map_or_else(
        || "never synced".to_owned(),
        |ms| {
            format!(
                "synced {} ago",
                duration(Duration::from_millis(SystemClock::new().now_ms().saturating_sub(ms)))
            )
        },
    );
    let up = glance.up();
    let pending = format!("{} to send ({})", thousands(up.files as u64), size(up.bytes));
    let generation = format!("generation {}", glance.generation);
    match state {
        State::InSync => output.toned(Tone::Good, format!("✓ in sync · {files} · {generation} · {ago}")),
        State::Pending => {
            output.toned(Tone::Warning, format!("⟳ {pending} · {files} · {generation} · {ago}"));
        }
        State::Held => {
            output.toned(Tone::Warning, format!("! held, waits for you · {files} · {generation} · {ago}"));
        }
        State::Error => {
            output.toned(Tone::Bad, format!("✗ {} · {files} · {generation} · {ago}", word(state, daemon)));
        }
        State::Stopped if up.files > 0 => {
            output.toned(
                Tone::Warning,
                format!("■ no daemon runs · {pending} · {files} · {generation} · {ago}"),
            );
        }
        State::Stopped => {
            output.toned(Tone::Warning, format!("■ no daemon runs · {files} · {generation} · {ago}"));
        }
    }
    if state == State::Stopped {
        output.line("  next: cogzy-vault sync, or cogzy-vault run to keep it in sync");
    }
    if let Some(error) = daemon.and_then(|daemon| daemon.error.as_ref()) {
        output.toned(Tone::Bad, format!("error: {}", error.message));
        output.line(format!("  next: {}", error.next));
    }
    if !glance.conflicts.is_empty() {
        let count = glance.conflicts.len();
        output.toned(Tone::Warning, format!("! {count} conflicts kept: cogzy-vault conflicts"));
    }
    tell_holds(&glance.survey.plan.holds, output);
    for waiting in &glance.survey.plan.waiting {
        output.line(format!("waits: {}: {}", waiting.item, waiting.why));
    }
    let left_out = |trouble: &&Trouble| trouble.weight != Weight::Skipped;
    for trouble in glance.survey.troubles().filter(left_out) {
        output.toned(Tone::Warning, format!("left out: {}: {}", trouble.path, trouble.message));
    }
}

/// A moment as RFC 3339, to the second.
#[must_use]
pub fn when(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "unknown".to_owned(), |moment| moment.to_string())
}
