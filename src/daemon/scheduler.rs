//! When the next cycle runs: a pure step function over monotonic time.
//!
//! The daemon tells it what happened and asks it what is next; it holds no timer and reads no clock, so tests run it through
//! years in a moment. The watcher is a hint that makes a cycle come sooner: without any hint the rescan finds everything.

use std::time::Duration;

use cogzy_engine::sync::Ask;

/// How the time is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// A file must have stood still for this long.
    pub settle: Duration,
    /// Pushes after the first come at most this often.
    pub batch_interval: Duration,
    /// This many touched files start a cycle early.
    pub batch_files: usize,
    /// How often the remote is asked for news.
    pub poll: Duration,
    /// The same, for a while after something happened.
    pub poll_active: Duration,
    /// How often the whole vault is scanned.
    pub rescan: Duration,
    /// The longest that changes may be put off by further changes.
    pub max_delay: Duration,
    /// Waits after the first, second … failure; the last one repeats.
    pub retry: Vec<Duration>,
    /// After this many failures that will not get better by themselves, nothing is tried until somebody says `retry`.
    pub max_attempts: u32,
}

/// How long the remote is polled fast after something happened.
const ACTIVE: Duration = Duration::from_secs(120);
/// How often all of `commits/` is listed.
const WHOLE_LISTING: Duration = Duration::from_secs(24 * 3600);
/// How often a remote that is out of reach is probed.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// Now and then a whole cycle is tried without a probe that was answered: a slow network may be too slow for a probe.
const CYCLE_UNASKED: Duration = Duration::from_secs(120);
/// The longest wait where probes are answered and cycles still find the remote out of reach: it asks for less.
const MAX_OFFLINE_WAIT: Duration = Duration::from_secs(60);
/// The longest wait for items that do not settle; a hint of the watcher's comes sooner.
const MAX_AGAIN: Duration = Duration::from_secs(30);
/// How much of a wait is drawn at random, so that devices do not come back in step.
const JITTER: f64 = 0.2;

/// How a cycle ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleOutcome {
    /// It went through. `moved`: something was sent or fetched. `again`: some items were not settled yet.
    Done {
        /// Something was sent or fetched.
        moved: bool,
        /// Some items were busy or not settled, and want another look after the settle window.
        again: bool,
    },
    /// The remote is out of reach: a state, not a failure.
    Offline,
    /// It failed in a way that another try may cure.
    Failed,
    /// It failed in a way that only a person can cure.
    Permanent,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run a cycle now.
    Run(Ask),
    /// Ask the remote something cheap, and say whether it was reached.
    Probe,
    /// Look at what is here, although nothing can be sent: whoever asks is told what waits.
    Look,
    /// Nothing before this moment.
    Wait(Duration),
    /// Nothing until somebody says `retry`.
    Stopped,
}

/// The scheduler's state. All times are monotonic, from one clock.
#[derive(Debug, Clone)]
pub struct Scheduler {
    timing: Timing,
    touched: Option<Touched>,
    last_push: Option<Duration>,
    poll_at: Duration,
    rescan_at: Duration,
    whole_at: Duration,
    active_until: Duration,
    failures: u32,
    /// Items that had not settled want another look then, for the so manieth time in a row.
    again: Option<(Duration, u32)>,
    offline: bool,
    /// A probe was answered since.
    reached: bool,
    /// How many cycles in a row found the remote out of reach although a probe had been answered.
    rebuffed: u32,
    unasked_at: Duration,
    not_before: Duration,
    stopped: bool,
    watching: bool,
    /// What is here is to be looked at then, if no cycle has done so before.
    look_at: Option<Duration>,
    looked: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Touched {
    first: Duration,
    last: Duration,
    count: usize,
}

impl Scheduler {
    /// A scheduler that runs a whole cycle at `now`.
    #[must_use]
    pub const fn new(timing: Timing, now: Duration) -> Self {
        Self {
            timing,
            touched: None,
            last_push: None,
            poll_at: now,
            rescan_at: now,
            whole_at: now,
            active_until: now,
            failures: 0,
            again: None,
            offline: false,
            reached: false,
            rebuffed: 0,
            unasked_at: now,
            not_before: now,
            stopped: false,
            watching: true,
            look_at: None,
            looked: None,
        }
    }

    /// Whether something was touched that no scan has seen yet.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.touched.is_some()
    }

    /// A file was touched.
    pub fn touch(&mut self, now: Duration) {
        let (first, count) = match self.touched {
            Some(touched) => (touched.first, touched.count + 1),
            None => (now, 1),
        };
        self.touched = Some(Touched { first, last: now, count });
        self.want_look(now + self.timing.settle);
    }

    /// Events were lost: only a scan knows what happened.
    pub fn overflow(&mut self, now: Duration) {
        self.rescan_at = now;
        self.want_look(now);
    }

    /// A look has ended. `again`: something had not settled yet.
    pub fn looked(&mut self, now: Duration, again: bool) {
        let next =
            if again { Some(self.timing.settle) } else { (!self.watching).then_some(self.timing.poll) };
        (self.looked, self.look_at) = (Some(now), None);
        if let Some(wait) = next {
            self.want_look(now + wait);
        }
    }

    /// No sooner than a batch interval after the last one.
    fn want_look(&mut self, at: Duration) {
        let at = self.looked.map_or(at, |last| at.max(last + self.timing.batch_interval));
        self.look_at = Some(self.look_at.map_or(at, |before| before.min(at)));
    }

    /// Whether the watcher works. Without it every poll scans.
    pub const fn watching(&mut self, works: bool) {
        self.watching = works;
    }

    /// Somebody wants a cycle, or another try, now.
    pub const fn retry(&mut self, now: Duration) {
        self.stopped = false;
        self.failures = 0;
        self.reached = true;
        self.not_before = now;
        self.poll_at = now;
        self.rescan_at = now;
    }

    /// The machine was asleep, or a pause is over: whatever was to happen meanwhile is due.
    pub const fn wake(&mut self, now: Duration) {
        self.not_before = now;
        self.poll_at = now;
    }

    /// A probe has ended. `draw` is a random number in `0.0..1.0`.
    pub fn probed(&mut self, now: Duration, reached: bool, draw: f64) {
        self.reached = reached;
        self.not_before = if reached { now } else { now + jittered(PROBE_EVERY, draw) };
    }

    /// When the vault is scanned next, if nothing happens.
    #[must_use]
    pub fn next_scan(&self) -> Duration {
        let poll = if self.watching { None } else { Some(self.poll_at) };
        let due = [self.push_at(), self.again.map(|(at, _)| at), poll, Some(self.whole_at)];
        due.into_iter()
            .flatten()
            .min()
            .map_or(self.rescan_at, |at| at.min(self.rescan_at))
            .max(self.not_before)
    }

    /// Whether the remote was out of reach at the last try.
    #[must_use]
    pub const fn offline(&self) -> bool {
        self.offline
    }

    /// How many tries have failed in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// A cycle that was asked for with `ask` has ended. `draw` is a random number in `0.0..1.0`.
    pub fn ended(&mut self, started: Duration, now: Duration, ask: Ask, outcome: CycleOutcome, draw: f64) {
        if ask.scan {
            self.want_look(now);
        }
        match outcome {
            CycleOutcome::Done { moved, again } => {
                self.failures = 0;
                self.online();
                self.not_before = now;
                if moved {
                    self.active_until = now + ACTIVE;
                    self.last_push = Some(now);
                }
                if ask.scan {
                    self.look_at = None;
                    self.rescan_at = now + self.timing.rescan;
                    // What was touched while the cycle ran may have been scanned before: it counts for the next.
                    self.touched = self.touched.filter(|touched| touched.last >= started);
                    let times = self.again.map_or(0, |(_, times)| times);
                    self.again = again.then(|| (self.again_at(now, times), times + 1));
                }
                if ask.whole {
                    self.whole_at = now + WHOLE_LISTING;
                }
                let active = now < self.active_until;
                self.poll_at = now + if active { self.timing.poll_active } else { self.timing.poll };
            }
            CycleOutcome::Offline => {
                self.rebuffed = if self.reached { self.rebuffed.saturating_add(1) } else { 0 };
                (self.offline, self.reached) = (true, false);
                self.unasked_at = now + CYCLE_UNASKED;
                let wait =
                    PROBE_EVERY.saturating_mul(2_u32.saturating_pow(self.rebuffed)).min(MAX_OFFLINE_WAIT);
                self.not_before = now + jittered(wait, draw);
            }
            CycleOutcome::Failed | CycleOutcome::Permanent => {
                self.online();
                self.failures += 1;
                let index = usize::try_from(self.failures - 1).unwrap_or(usize::MAX);
                let wait = self.timing.retry.get(index).or(self.timing.retry.last());
                self.not_before = now + jittered(wait.copied().unwrap_or(self.timing.poll), draw);
                self.stopped =
                    outcome == CycleOutcome::Permanent && self.failures >= self.timing.max_attempts;
            }
        }
    }

    /// What is to be done at `now`.
    #[must_use]
    pub fn next(&self, now: Duration) -> Next {
        let next = self.next_try(now);
        let hindered = self.stopped || self.offline || self.failures > 0;
        if hindered && !matches!(next, Next::Run(_)) { self.or_look(next, now) } else { next }
    }

    /// What is to be done at `now` in a pause.
    #[must_use]
    pub fn next_look(&self, now: Duration) -> Next {
        self.or_look(Next::Stopped, now)
    }

    fn or_look(&self, next: Next, now: Duration) -> Next {
        match (self.look_at, next) {
            (Some(at), _) if at <= now => Next::Look,
            (Some(at), Next::Wait(until)) => Next::Wait(until.min(at)),
            (Some(at), Next::Stopped) => Next::Wait(at),
            (_, next) => next,
        }
    }

    /// When the next cycle is tried, or the remote is probed for it.
    #[must_use]
    pub fn next_try(&self, now: Duration) -> Next {
        if self.stopped {
            return Next::Stopped;
        }
        if self.offline && !self.reached && now < self.unasked_at {
            return if now < self.not_before { Next::Wait(self.not_before) } else { Next::Probe };
        }
        let again_at = self.again.map(|(at, _)| at);
        let push_at = self.push_at().into_iter().chain(again_at).min();
        let due = [Some(self.poll_at), Some(self.rescan_at), Some(self.whole_at), push_at];
        let soonest = due.into_iter().flatten().min().unwrap_or(self.poll_at).max(self.not_before);
        if now < soonest {
            return Next::Wait(soonest);
        }
        let touched = push_at.is_some_and(|at| at <= now);
        let scan =
            touched || self.rescan_at <= now || self.whole_at <= now || !self.watching || self.failures > 0;
        Next::Run(Ask { scan: scan || self.offline, whole: self.whole_at <= now })
    }

    const fn online(&mut self) {
        (self.offline, self.reached, self.rebuffed) = (false, false, 0);
    }

    /// When to look again at what had not settled: after the settle window, and less and less often where that does not help.
    fn again_at(&self, now: Duration, times: u32) -> Duration {
        let longest = MAX_AGAIN.max(self.timing.settle);
        let at = now + self.timing.settle.saturating_mul(2_u32.saturating_pow(times)).min(longest);
        self.last_push.map_or(at, |last| at.max(last + self.timing.batch_interval))
    }

    /// When what was touched is to be pushed: when it has stood still, not too soon after the last push, and not put off for
    /// ever by further changes.
    fn push_at(&self) -> Option<Duration> {
        let touched = self.touched?;
        let settled = touched.last + self.timing.settle;
        if touched.count >= self.timing.batch_files {
            return Some(settled.min(touched.first + self.timing.batch_interval.max(self.timing.settle)));
        }
        let batched = self.last_push.map_or(settled, |last| settled.max(last + self.timing.batch_interval));
        Some(batched.min(touched.first + self.timing.max_delay))
    }
}

fn jittered(wait: Duration, draw: f64) -> Duration {
    wait.mul_f64(1.0 - JITTER / 2.0 + JITTER * draw)
}

#[cfg(test)]
mod tests;
