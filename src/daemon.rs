//! The daemon's loop: watch, schedule, run cycles, stop in order.
//!
//! One thread does everything that matters; the watcher's only leaves hints. A stop signal in the middle of a cycle ends the
//! process where it stands: nothing in a cycle needs to be finished, for whatever a crash leaves behind the next start picks up,
//! and a stop that waits for a slow upload is one that gets killed. The lock on the vault is held by the caller.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::{Clock, Entropy};
use crate::fs::{self, Fs};
use crate::remote::Transfer;
use crate::sync::scheduler::{Ask, Next, Outcome, Scheduler, Timing};
use crate::sync::{Advice, Engine, Report, Request, SyncError, Unwatched};
use crate::vault::{Filter, Layout, Watch, WatchEvent};

/// Hints that may pile up; more than these count as an overflow.
const HINTS: usize = 4096;
/// A presence file is small.
const MAX_PRESENCE: u64 = 64 << 10;

/// What the daemon is given.
#[derive(Debug)]
pub struct Daemon {
    /// The engine.
    pub engine: Engine,
    /// What is synced.
    pub filter: Filter,
    /// How the time is divided.
    pub timing: Timing,
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for jitter.
    pub entropy: Arc<dyn Entropy>,
}

/// What a running daemon says of itself, in `sync/daemon.json`. Only whoever holds the vault's lock writes it; it is read only
/// while somebody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its process id.
    pub pid: u32,
    /// When it started, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When a cycle went through last.
    pub last_sync_ms: Option<u64>,
    /// Whether the remote is out of reach.
    pub offline: bool,
    /// Why the last cycle did not go through.
    pub error: Option<PresentError>,
    /// What went over the wire since it started.
    #[serde(skip)]
    pub transfer: Transfer,
}

/// Why a cycle did not go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresentError {
    /// What went wrong.
    pub message: String,
    /// What to do next.
    pub next: String,
    /// How often in a row.
    pub attempts: u32,
    /// What it asks for.
    pub advice: Advice,
}

impl Presence {
    /// What the daemon of a vault last said; none where it has said nothing that can be read.
    #[must_use]
    pub fn read(layout: &Layout) -> Option<Self> {
        let bytes = fs::read(&fs::RealFs, &layout.sync().join("daemon.json"), MAX_PRESENCE).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn write(&self, fs: &dyn Fs, layout: &Layout) {
        let path = layout.sync().join("daemon.json");
        let written = serde_json::to_vec_pretty(self).map_err(io::Error::other);
        if let Err(error) = written.and_then(|bytes| fs::replace(fs, &path, &bytes, 0o600)) {
            tracing::warn!(%error, "the daemon's presence could not be noted; `status` will not know of it");
        }
    }
}

impl Daemon {
    /// Runs until the process ends. Blocks its thread now and then: it wants one of its own.
    pub async fn run(mut self) {
        let (hints, mut hinted) = mpsc::channel(HINTS);
        let mut watch = self.watch(hints.clone());
        let mut scheduler = Scheduler::new(self.timing.clone(), self.clock.monotonic());
        scheduler.watching(watch.is_some());
        let mut presence = Presence {
            pid: std::process::id(),
            since_ms: self.clock.now_ms(),
            last_sync_ms: None,
            offline: false,
            error: None,
            transfer: Transfer::default(),
        };
        presence.write(self.fs.as_ref(), self.engine.layout());
        loop {
            let now = self.clock.monotonic();
            let pause = match scheduler.next(now) {
                Next::Run(ask) => {
                    self.turn(&mut scheduler, ask, &mut presence).await;
                    self.watch_more(watch.as_mut(), &mut scheduler);
                    continue;
                }
                Next::Wait(until) => until.saturating_sub(now),
                Next::Stopped => Duration::from_secs(3600),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(hint) = hinted.recv() => self.take(hint, &mut scheduler),
            }
            while let Ok(hint) = hinted.try_recv() {
                self.take(hint, &mut scheduler);
            }
        }
    }

    /// Watches folders that are new since the last scan.
    fn watch_more(&self, watch: Option<&mut Watch>, scheduler: &mut Scheduler) {
        match watch.map(|watch| watch.refresh(self.fs.as_ref())) {
            None | Some(Ok(false)) => {}
            Some(Ok(true)) => scheduler.touch(self.clock.monotonic()),
            Some(Err(error)) => {
                tracing::warn!(%error, "not everything is watched; the scan finds the rest");
                scheduler.watching(false);
            }
        }
    }

    /// Starts the watcher. Without it the scan finds everything, only later.
    fn watch(&self, hints: mpsc::Sender<WatchEvent>) -> Option<Watch> {
        let on_event = move |event| {
            // A queue that is full says the same as one more hint would: there is something to look at.
            let _full_or_stopping = hints.try_send(event);
        };
        let watch = Watch::start(self.fs.as_ref(), self.engine.layout(), &self.filter, on_event);
        watch.inspect_err(|error| tracing::warn!(%error, "going on without a watcher: the vault is scanned at every poll")).ok()
    }

    fn take(&self, hint: WatchEvent, scheduler: &mut Scheduler) {
        let now = self.clock.monotonic();
        match hint {
            WatchEvent::Touched => scheduler.touch(now),
            WatchEvent::Overflow => scheduler.overflow(now),
            WatchEvent::Failed(why) => {
                tracing::warn!(why, "the watcher failed: the vault is scanned at every poll");
                scheduler.watching(false);
                scheduler.overflow(now);
            }
        }
    }

    /// One cycle, and what the scheduler and the status learn from it.
    async fn turn(&mut self, scheduler: &mut Scheduler, ask: Ask, presence: &mut Presence) {
        let started = self.clock.monotonic();
        let result = self.engine.cycle(Request { ask, derived: false }, &Unwatched).await;
        let outcome = outcome(&result);
        scheduler.ended(started, self.clock.monotonic(), ask, outcome, self.entropy.unit());
        let before = presence.clone();
        match result {
            Ok(report) => {
                log(&report);
                presence.error = None;
                presence.offline = false;
                if report.moved() || ask.scan || before.error.is_some() || before.last_sync_ms.is_none() {
                    presence.last_sync_ms = Some(self.clock.now_ms());
                    self.engine.note_success();
                }
            }
            Err(error) => {
                let attempts = scheduler.failures();
                tracing::error!(%error, attempts, next = error.next(), "the cycle did not go through");
                presence.offline = outcome == Outcome::Offline;
                let (message, next) = (error.to_string(), error.next().to_owned());
                presence.error = Some(PresentError { message, next, attempts, advice: error.advice() });
            }
        }
        if before.error != presence.error || before.last_sync_ms != presence.last_sync_ms {
            presence.write(self.fs.as_ref(), self.engine.layout());
        }
    }
}

fn outcome(result: &Result<Report, SyncError>) -> Outcome {
    match result {
        Ok(report) => Outcome::Done { moved: report.moved(), again: report.again() },
        Err(error) => match error.advice() {
            Advice::Offline => Outcome::Offline,
            Advice::Again => Outcome::Failed,
            Advice::Refused => Outcome::Permanent,
            // A disk may be mounted, a bucket be put right: it is tried for ever, and says so all the time.
            Advice::Stopped | Advice::Corrupt => Outcome::Failed,
        },
    }
}

fn log(report: &Report) {
    let Report { generation, pushed, pulled, deleted_local, deleted_remote, .. } = *report;
    let (conflicts, holds, transfer) = (report.conflicts.len(), report.holds.len(), report.transfer);
    if report.moved() {
        tracing::info!(
            generation,
            pushed,
            pulled,
            deleted_local,
            deleted_remote,
            conflicts,
            holds,
            requests = transfer.requests,
            bytes_up = transfer.bytes_up,
            bytes_down = transfer.bytes_down,
            "synced"
        );
    } else {
        tracing::debug!(generation, requests = transfer.requests, "nothing new");
    }
    for hold in &report.holds {
        tracing::warn!(id = %hold.id, next = format!("cogzy-vault approve {}", hold.id), "held: {hold}");
    }
}

/// Waits for a signal that means stop.
///
/// # Errors
/// Where signals cannot be caught.
pub async fn stopped() -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
