//! Events: they are kept first, then sent to all subscribers.
//!
//! No subscriber is waited for. Each has a queue; one whose queue has run over reads the rest from
//! the kept events. Progress that it has missed is not told again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use cogzy_client::documents::{EventBody, EventDocument, ProgressDocument, moment};
use cogzy_engine::clock::Clock;
use cogzy_engine::state::{EventLog, StoredEvent};

/// The largest number of events that wait in memory for a subscriber.
const QUEUE: usize = 256;
/// The number of kept events that are read at once.
const PAGE: usize = 200;
/// The shortest time between two events of progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// The events of a running daemon. Clones share them.
#[derive(Debug, Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<EventLog>,
    live: broadcast::Sender<Arc<EventDocument>>,
    clock: Arc<dyn Clock>,
    progress_at: Mutex<Option<Duration>>,
}

impl Events {
    /// The events that are kept in `log`.
    #[must_use]
    pub fn new(log: EventLog, clock: Arc<dyn Clock>) -> Self {
        let (live, _) = broadcast::channel(QUEUE);
        Self { shared: Arc::new(Shared { log: Mutex::new(log), live, clock, progress_at: Mutex::default() }) }
    }

    /// Keeps events together with the cursors of their maker, then sends them. Returns the events
    /// with their numbers. None if they could not be kept: then they are not sent, and their maker
    /// makes them again.
    pub fn publish(
        &self,
        bodies: Vec<EventBody>,
        cursors: &[(&str, String)],
    ) -> Option<Vec<Arc<EventDocument>>> {
        if bodies.is_empty() && cursors.is_empty() {
            return Some(Vec::new());
        }
        let now = self.shared.clock.now_ms();
        let texts: Result<Vec<String>, _> = bodies.iter().map(serde_json::to_string).collect();
        let mut log = self.log();
        let kept = texts
            .map_err(|error| error.to_string())
            .and_then(|texts| log.append(now, &texts, cursors).map_err(|error| error.to_string()));
        match kept {
            Ok(ids) => {
                let event = |(id, body)| Arc::new(EventDocument { id: Some(id), at: moment(now), body });
                let events: Vec<_> = ids.zip(bodies).map(event).collect();
                for event in &events {
                    // There may be no subscriber.
                    let _listeners = self.shared.live.send(Arc::clone(event));
                }
                Some(events)
            }
            Err(error) => {
                tracing::warn!(error, "events could not be kept; they are made again after the next cycle");
                None
            }
        }
    }

    /// Sends the progress of a cycle, now and then. It is not kept.
    pub fn progress(&self, progress: ProgressDocument) {
        let now = self.shared.clock.monotonic();
        let mut last = self.shared.progress_at.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.live.receiver_count() == 0 || last.is_some_and(|last| now < last + PROGRESS_EVERY) {
            return;
        }
        *last = Some(now);
        let at = moment(self.shared.clock.now_ms());
        let event = EventDocument { id: None, at, body: EventBody::Progress { progress } };
        let _listeners = self.shared.live.send(Arc::new(event));
    }

    /// The number of the newest event.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.log().newest()
    }

    /// The text that was kept under `name` with an earlier event.
    #[must_use]
    pub fn cursor(&self, name: &str) -> Option<String> {
        let cursor = self.log().cursor(name);
        cursor.inspect_err(|error| tracing::warn!(%error, "the events cannot be read")).ok().flatten()
    }

    /// Kept events after number `id`, the oldest first.
    #[must_use]
    pub fn after(&self, id: u64, limit: usize) -> Vec<EventDocument> {
        documents(self.stored(id, limit).unwrap_or_default())
    }

    /// The same as they are kept. None if they cannot be read.
    fn stored(&self, id: u64, limit: usize) -> Option<Vec<StoredEvent>> {
        let found = self.log().after(id, limit);
        found.inspect_err(|error| tracing::warn!(%error, "the events cannot be read")).ok()
    }

    /// A subscription to all events after number `since`, the kept ones and those to come.
    #[must_use]
    pub fn subscribe(&self, since: u64) -> Subscription {
        // Subscribing comes before reading the kept events, so that none falls between the two.
        let live = self.shared.live.subscribe();
        Subscription { events: self.clone(), live, kept: VecDeque::new(), last: since, catching_up: true }
    }

    fn log(&self) -> MutexGuard<'_, EventLog> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kept events as documents. One that this version cannot read is left out: its number shows as a
/// gap.
#[must_use]
pub fn documents(stored: Vec<StoredEvent>) -> Vec<EventDocument> {
    let document = |event: StoredEvent| {
        let body = serde_json::from_str(&event.body).ok().filter(|body| *body != EventBody::Unknown)?;
        Some(EventDocument { id: Some(event.id), at: moment(event.at_ms), body })
    };
    stored.into_iter().filter_map(document).collect()
}

/// The subscription of one client.
#[derive(Debug)]
pub struct Subscription {
    events: Events,
    live: broadcast::Receiver<Arc<EventDocument>>,
    kept: VecDeque<EventDocument>,
    last: u64,
    catching_up: bool,
}

impl Subscription {
    /// The next event; none when the daemon ends.
    pub async fn next(&mut self) -> Option<EventDocument> {
        loop {
            if let Some(event) = self.kept.pop_front() {
                self.last = event.id.unwrap_or(self.last);
                return Some(event);
            }
            if self.catching_up {
                // Nothing may be left out: whoever follows comes back with the last number.
                let stored = self.events.stored(self.last, PAGE)?;
                let newest = stored.last().map(|event| event.id);
                self.catching_up = newest.is_some();
                self.kept = documents(stored).into();
                if self.kept.is_empty() {
                    self.last = newest.unwrap_or(self.last);
                }
                continue;
            }
            match self.live.recv().await {
                Ok(event) => match event.id {
                    // It was among the kept ones.
                    Some(id) if id <= self.last => {}
                    Some(id) => {
                        self.last = id;
                        return Some(event.as_ref().clone());
                    }
                    None => return Some(event.as_ref().clone()),
                },
                Err(RecvError::Lagged(behind)) => {
                    tracing::debug!(behind, "a subscriber goes on with the kept events");
                    self.catching_up = true;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use cogzy_client::documents::State;
    use cogzy_engine::clock::SystemClock;
    use cogzy_engine::fs::RealFs;
    use cogzy_engine::state::Database;

    /// Events in a folder.
    pub(crate) fn events(folder: &std::path::Path) -> Events {
        let database = Arc::new(Database::open(Arc::new(RealFs), &folder.join("cache.db")).unwrap());
        let log = EventLog::open(Arc::new(RealFs), folder.join("event_ids"), database).unwrap();
        Events::new(log, Arc::new(SystemClock::new()))
    }

    fn some(count: usize) -> Vec<EventBody> {
        vec![EventBody::State { state: State::InSync, was: State::Pending }; count]
    }

    #[tokio::test]
    async fn a_subscriber_gets_the_kept_events_and_then_the_new_ones_without_a_gap() {
        let folder = tempfile::tempdir().unwrap();
        let events = events(folder.path());
        events.publish(some(450), &[]).unwrap();
        let mut subscription = events.subscribe(3);
        let mut seen = Vec::new();
        for _ in 4..=450 {
            seen.push(subscription.next().await.unwrap().id.unwrap());
        }
        // Some of these come before the subscriber has caught up, and are in its queue as well.
        events.publish(some(100), &[]).unwrap();
        for _ in 451..=550 {
            seen.push(subscription.next().await.unwrap().id.unwrap());
        }
        assert_eq!(seen, (4..=550).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_subscriber_whose_queue_has_run_over_reads_the_rest_from_the_kept_events() {
        let folder = tempfile::tempdir().unwrap();
        let events = events(folder.path());
        events.publish(some(1), &[]).unwrap();
        let mut slow = events.subscribe(0);
        assert_eq!(slow.next().await.unwrap().id, Some(1));
        let waits = tokio::time::timeout(Duration::from_millis(1), slow.next()).await;
        assert!(waits.is_err(), "it is up to date");
        events.publish(some(1000), &[]).unwrap();
        let mut seen = Vec::new();
        for _ in 2..=1001 {
            seen.push(slow.next().await.unwrap().id.unwrap());
        }
        events.publish(some(1), &[]).unwrap();
        seen.push(slow.next().await.unwrap().id.unwrap());
        assert_eq!(seen, (2..=1002).collect::<Vec<_>>());
        let waits = tokio::time::timeout(Duration::from_millis(1), slow.next()).await;
        assert!(waits.is_err(), "none is told twice");
    }
}
