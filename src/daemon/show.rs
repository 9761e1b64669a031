//! The end of a cycle in the outbox, on the board, and in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Course, Daemon};
use crate::daemon::scheduler::{CycleOutcome, Next};
use cogzy_client::documents::{
    AsideDocument, ContentDocument, ErrorDocument, HoldDocument, Problem, State, SyncDocument, holds, moment,
};
use cogzy_engine::sync::{Amount, Ask, Report, SyncError, Trouble, Weight};

/// The time after which a busy path is wrong, and not only slow.
const BUSY_TOO_LONG: Duration = Duration::from_secs(600);

impl Daemon {
    /// Brings the outbox up to date after a cycle. Returns the paths whose trouble should go away
    /// by itself. None where the troubles on the board stay as they are.
    pub(super) fn note_waiting(
        &self,
        course: &mut Course,
        result: &Result<Report, SyncError>,
        now: Duration,
    ) -> Option<BTreeSet<String>> {
        let now_ms = self.clock.now_ms();
        let troubles = match result {
            // A poll that found nothing new has not looked at the vault.
            Ok(report) if report.standing.is_none() => return None,
            Ok(report) => report.problems.as_slice(),
            Err(_) => &[],
        };
        let mut waiting: BTreeMap<String, Option<String>> =
            self.engine.unsent().iter().map(|path| (path.to_string(), None)).collect();
        for trouble in troubles.iter().filter(|trouble| trouble.weight.left_out()) {
            waiting.insert(trouble.path.clone(), Some(trouble.message.clone()));
        }
        if result.is_err() {
            // No scan has shown whether these errors still stand.
            let known = self.board.read().errors.into_iter().filter_map(|error| error.path);
            waiting.extend(known.map(|path| (path, None)));
        }
        let next = course.scheduler.next_scan().saturating_sub(now);
        if let Err(error) = course.waiting.update(waiting, now_ms, Some(now_ms.saturating_add(millis(next))))
        {
            tracing::warn!(%error, "the outbox could not be written");
        }
        let waited = |path: &String| {
            let since = course.waiting.get(path).map_or(now_ms, |waiting| waiting.first_seen_ms);
            Duration::from_millis(now_ms.saturating_sub(since))
        };
        let passing = troubles.iter().filter(|trouble| match trouble.weight {
            Weight::Passing => waited(&trouble.path) < BUSY_TOO_LONG,
            // An invalid group has a time limit of its own.
            Weight::Invalid => true,
            _ => false,
        });
        result.as_ref().ok().map(|_| passing.map(|trouble| trouble.path.clone()).collect())
    }

    /// Puts the end of a cycle on the board, and returns the answer for the client that asked for
    /// it.
    pub(super) fn show(
        &self,
        course: &mut Course,
        ask: Ask,
        outcome: CycleOutcome,
        now: Duration,
        result: Result<Report, SyncError>,
    ) -> Result<SyncDocument, Problem> {
        match result {
            Ok(report) => {
                self.show_report(course, &report, ask);
                Ok(SyncDocument::from(&report))
            }
            Err(error) => {
                let attempts = course.scheduler.failures();
                tracing::error!(%error, attempts, next = error.next(), "the cycle did not go through");
                let retry = match course.scheduler.next_try(now) {
                    Next::Wait(until) => Some(until.saturating_sub(now)),
                    _ => Some(Duration::ZERO),
                };
                self.show_error(course, &error, outcome, attempts, retry);
                Err(Problem::from(&error))
            }
        }
    }

    fn show_report(&self, course: &mut Course, report: &Report, ask: Ask) {
        if report.moved() || ask.scan {
            self.engine.note_success();
        }
        let now_ms = self.clock.now_ms();
        course.alarm.calm(now_ms);
        let any = |weight| report.problems.iter().any(|trouble| trouble.weight == weight);
        let errors: Vec<ErrorDocument> = report
            .problems
            .iter()
            .filter(|trouble| trouble.weight != Weight::Skipped)
            .map(|trouble| error_of(course, trouble, now_ms))
            .collect();
        course.announcer.heard(&report.clashes);
        course.rebuilds.note(self.engine.left_out());
        self.board.update(|status| {
            status.progress = None;
            status.left_out = course.rebuilds.documents();
            status.generation = report.generation;
            status.remote_generation = report.generation;
            status.pending.down = report.standing.map_or_else(Amount::default, |standing| standing.coming);
            status.last_sync = Some(moment(now_ms));
            status.aside = AsideDocument::of(&report.aside);
            match report.standing {
                Some(standing) => {
                    course.unsettled = report.again() || any(Weight::Invalid);
                    let lasting = [Weight::Overdue, Weight::Lasting, Weight::Blocked, Weight::Unmounted];
                    course.wrong = lasting.into_iter().any(any);
                    status.errors = errors;
                    status.holds = holds(&report.holds);
                    (status.files, status.bytes) = (standing.here.files, standing.here.bytes);
                    status.pending.up = standing.waiting;
                    status.conflicts = standing.conflicts;
                }
                // The vault was not scanned: its errors still stand.
                None => status.errors.retain(|error| error.path.is_some()),
            }
            if let Some(holdings) = &report.holdings {
                status.content = Some(ContentDocument::from(holdings));
            }
            status.state = match () {
                () if course.paused.is_some() => State::Paused,
                () if !status.holds.is_empty() => State::Held,
                () if course.wrong => State::Error,
                // A poll between a save and the end of its settle window knows nothing of the save.
                () if course.unsettled || course.scheduler.is_touched() => State::Pending,
                () => State::InSync,
            };
            self.heart.says(&format!("{}, generation {}", status.state, status.generation));
        });
    }

    fn show_error(
        &self,
        course: &mut Course,
        error: &SyncError,
        outcome: CycleOutcome,
        attempts: u32,
        retry: Option<Duration>,
    ) {
        let now_ms = self.clock.now_ms();
        let next = if course.scheduler.slowed() {
            format!("{}; then `cogzy-vault retry`: by itself it is tried only now and then", error.next())
        } else {
            error.next().to_owned()
        };
        let document = ErrorDocument {
            path: None,
            message: error.to_string(),
            attempts,
            next_retry: retry.map(|wait| moment(now_ms.saturating_add(millis(wait)))),
            next,
            alarm: false,
            waits: false,
        };
        // The loop itself raises it the first time.
        let alarm = course.alarm.is_raised().then(|| course.alarm.check(now_ms)).flatten();
        self.board.update(|status| {
            status.progress = None;
            let first = alarm.map(|(document, _)| document).into_iter().chain([document]);
            let paths = std::mem::take(&mut status.errors).into_iter().filter(|error| error.path.is_some());
            status.errors = first.chain(paths).collect();
            status.pending.up = self.engine.unsent_amount();
            status.state = match () {
                () if course.paused.is_some() => State::Paused,
                () if outcome.is_offline() => State::Offline,
                () => State::Error,
            };
            self.heart.says(&format!("{}: {error}", status.state));
        });
    }
}

fn error_of(course: &Course, trouble: &Trouble, now_ms: u64) -> ErrorDocument {
    let waiting = course.waiting.get(&trouble.path);
    let since_ms = waiting.map_or(now_ms, |waiting| waiting.first_seen_ms);
    let document = ErrorDocument::from(trouble);
    ErrorDocument {
        waits: document.waits && Duration::from_millis(now_ms.saturating_sub(since_ms)) < BUSY_TOO_LONG,
        attempts: waiting.map_or(1, |waiting| waiting.attempts),
        next_retry: waiting.and_then(|waiting| waiting.next_retry_ms).map(moment),
        ..document
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Writes one line for each cycle.
pub(super) fn log(report: &Report, took: Duration) {
    let Report { generation, pushed, pulled, deleted_local, deleted_remote, transfer, .. } = *report;
    tracing::info!(
        generation,
        pushed,
        pulled,
        deleted_local,
        deleted_remote,
        conflicts = report.conflicts.len(),
        held = report.holds.len(),
        left_out = report.problems.len(),
        requests = transfer.requests,
        bytes_up = transfer.bytes_up,
        bytes_down = transfer.bytes_down,
        took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "{}",
        if report.moved() { "synced" } else { "nothing new" }
    );
    for hold in report.holds.iter().map(HoldDocument::from) {
        tracing::warn!(id = %hold.id, next = hold.next, "held: {}", hold.reason);
    }
}
