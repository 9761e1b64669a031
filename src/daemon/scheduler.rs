//! The time of the next cycle: a pure step function over monotonic time.
//!
//! The daemon reports events to it and asks it for the next step. It holds no timer and reads no
//! clock, so tests run it through years in a moment. The watcher is a hint that makes a cycle come
//! sooner: without any hint the rescan finds everything.
//!
//! It never gives up. What only a person can cure is tried less and less often, and at once when
//! something says that it may be cured.

mod step;
mod touched;

use std::time::Duration;

use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::{Ask, Probed, WHOLE_LISTING};
pub use step::{CycleOutcome, Next};
use touched::Touched;

/// The timing of cycles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// The time that a file must have stood still.
    pub settle: Duration,
    /// The shortest time between two pushes.
    pub batch_interval: Duration,
    /// The number of touched files that starts a cycle early.
    pub batch_files: usize,
    /// The time between two polls of the remote.
    pub poll: Duration,
    /// The same, for a while after a change.
    pub poll_active: Duration,
    /// The longest time between two polls where nothing has changed for hours.
    pub poll_idle: Duration,
    /// The time between two scans of the whole vault.
    pub rescan: Duration,
    /// The longest that changes may be put off by further changes.
    pub max_delay: Duration,
    /// The waits after the first, second … failure; the last one repeats.
    pub retry: Vec<Duration>,
    /// The number of failures in a row that only a person can cure, after which it is tried less
    /// often.
    pub max_attempts: u32,
}

/// The time that the remote is polled faster after a change.
const ACTIVE: Duration = Duration::from_secs(120);
/// The time without a change after which the remote is polled less and less often.
const QUIET_AFTER: Duration = Duration::from_secs(600);
/// The share of the quiet time that a poll may come late: a tenth.
const QUIET_SHARE: u32 = 10;
/// The waits once `max_attempts` is reached: the first, which doubles, and the longest.
const SLOW: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(60 * 60));
/// The time between two probes of a remote that is out of reach.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// The time after which a whole cycle is tried without an answered probe: a slow network may be too
/// slow for a probe.
const CYCLE_UNASKED: Duration = Duration::from_secs(120);
/// The longest wait where probes are answered and cycles still find the remote out of reach: it
/// asks for less traffic.
const MAX_OFFLINE_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a remote can ask for.
const MAX_ASKED: Duration = Duration::from_secs(60 * 60);
/// The longest wait for items that do not settle; a hint of the watcher comes sooner.
const MAX_AGAIN: Duration = Duration::from_secs(30);
/// The share of a wait that is drawn at random, so that devices do not come back in step.
const JITTER: f64 = 0.2;

/// The scheduler's state. All times are monotonic, from one clock.
#[derive(Debug, Clone)]
pub struct Scheduler {
    timing: Timing,
    touched: Option<Touched>,
    last_push: Option<Duration>,
    poll_at: Duration,
    rescan_at: Duration,
    /// The last time that events were lost, until a scan has begun after it.
    lost_at: Option<Duration>,
    whole_at: Duration,
    active_until: Duration,
    /// The last time that something was sent or fetched.
    moved_at: Duration,
    failures: u32,
    /// True where the last failure is one that only a person can cure.
    permanent: bool,
    /// The next look at items that had not settled, and the number of such looks in a row.
    again: Option<(Duration, u32)>,
    offline: bool,
    /// True if a probe was answered since.
    reached: bool,
    /// The number of cycles in a row that found the remote out of reach although a probe had been
    /// answered, and of answers that ask to slow down.
    rebuffed: u32,
    unasked_at: Duration,
    not_before: Duration,
    watching: bool,
    /// True where the running cycle scans the whole vault.
    whole_scan: bool,
    /// The time of the next look at the vault, unless a cycle has looked before.
    look_at: Option<Duration>,
    looked: Option<Duration>,
}

impl Scheduler {
    /// A scheduler that runs a cycle at `now`, and lists all of `commits/` after `whole_in`.
    #[must_use]
    pub fn new(timing: Timing, now: Duration, whole_in: Duration) -> Self {
        Self {
            timing,
            touched: None,
            last_push: None,
            poll_at: now,
            rescan_at: now,
            lost_at: None,
            whole_at: now + whole_in,
            active_until: now,
            moved_at: now,
            failures: 0,
            permanent: false,
            again: None,
            offline: false,
            reached: false,
            rebuffed: 0,
            unasked_at: now,
            not_before: now,
            watching: true,
            whole_scan: true,
            look_at: None,
            looked: None,
        }
    }

    /// True if something was touched, or may have been, that no scan has seen yet.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.touched.is_some() || self.lost_at.is_some()
    }

    /// Notes that something was touched: `path`, where it is known.
    pub fn touch(&mut self, now: Duration, path: Option<VaultPath>) {
        self.touched.get_or_insert_with(|| Touched::from(now)).note(now, path);
        self.want_look(now + self.timing.settle);
    }

    /// Notes that events were lost: only a scan knows what happened.
    pub fn overflow(&mut self, now: Duration) {
        (self.rescan_at, self.lost_at) = (now, Some(now));
        self.want_look(now);
    }

    /// Notes the end of a look; `again` where something had not settled yet.
    pub fn looked(&mut self, now: Duration, again: bool) {
        let next =
            if again { Some(self.timing.settle) } else { (!self.watching).then_some(self.timing.poll) };
        (self.looked, self.look_at) = (Some(now), None);
        if let Some(wait) = next {
            self.want_look(now + wait);
        }
    }

    /// Asks for a look at `at`, but no sooner than a batch interval after the last one.
    fn want_look(&mut self, at: Duration) {
        let at = self.looked.map_or(at, |last| at.max(last + self.timing.batch_interval));
        self.look_at = Some(self.look_at.map_or(at, |before| before.min(at)));
    }

    /// Notes whether the watcher works. Without it every poll scans.
    pub const fn watching(&mut self, works: bool) {
        self.watching = works;
    }

    /// Notes that the user wants a cycle, or another try, now.
    pub const fn retry(&mut self, now: Duration) {
        self.failures = 0;
        self.reached = true;
        self.not_before = now;
        self.poll_at = now;
        self.rescan_at = now;
    }

    /// Notes that the machine was asleep, or a pause is over: everything that was to happen
    /// meanwhile is due, another try of what failed too.
    pub const fn wake(&mut self, now: Duration) {
        self.not_before = now;
        self.poll_at = now;
    }

    /// Notes the end of a probe. `draw` is a random number in `0.0..1.0`.
    pub fn probed(&mut self, now: Duration, probed: Probed, draw: f64) {
        self.reached = probed == Probed::Reached;
        match probed {
            Probed::Reached => self.not_before = now,
            Probed::Throttled(asked) => self.slow_down(now, asked, draw),
            Probed::Away => self.not_before = now + jittered(PROBE_EVERY, draw),
        }
    }

    /// Waits before the next probe, as long as the remote has asked for, and longer each time.
    fn slow_down(&mut self, now: Duration, asked: Duration, draw: f64) {
        self.rebuffed = self.rebuffed.saturating_add(1);
        self.not_before = now + asked.min(MAX_ASKED).max(jittered(self.wait_offline(), draw));
        self.unasked_at = self.unasked_at.max(self.not_before);
    }

    fn wait_offline(&self) -> Duration {
        PROBE_EVERY.saturating_mul(2_u32.saturating_pow(self.rebuffed)).min(MAX_OFFLINE_WAIT)
    }

    /// The time of the next scan, if nothing happens.
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

    /// True if the remote was out of reach at the last try.
    #[must_use]
    pub const fn offline(&self) -> bool {
        self.offline
    }

    /// True where it is tried less often, since only a person can cure what is wrong.
    #[must_use]
    pub const fn slowed(&self) -> bool {
        self.permanent && self.failures >= self.timing.max_attempts
    }

    /// The number of failed tries in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes the end of a cycle that was asked for with `ask`. `draw` is a random number in
    /// `0.0..1.0`.
    pub fn ended(&mut self, started: Duration, now: Duration, ask: Ask, outcome: CycleOutcome, draw: f64) {
        if ask.scan {
            self.want_look(now);
        }
        match outcome {
            CycleOutcome::Done { moved, sent, again } => {
                self.failures = 0;
                self.online();
                self.not_before = now;
                if moved {
                    (self.active_until, self.moved_at) = (now + ACTIVE, now);
                }
                if sent {
                    self.last_push = Some(now);
                }
                if ask.scan {
                    self.look_at = None;
                    // Events while the cycle ran may have escaped its scan: they count for the
                    // next one.
                    if std::mem::replace(&mut self.whole_scan, true) {
                        self.lost_at = self.lost_at.filter(|at| *at >= started);
                        let soon = self.timing.batch_interval.max(self.timing.settle);
                        self.rescan_at = now + self.lost_at.map_or(self.timing.rescan, |_| soon);
                    }
                    self.touched = self.touched.take().and_then(|touched| touched.since(started));
                    let times = self.again.map_or(0, |(_, times)| times);
                    self.again = again.then(|| (self.again_at(now, times), times + 1));
                }
                if ask.whole {
                    self.whole_at = now + WHOLE_LISTING;
                }
                self.poll_at = now + self.poll_interval(now);
            }
            CycleOutcome::Offline => {
                self.rebuffed = if self.reached { self.rebuffed.saturating_add(1) } else { 0 };
                (self.offline, self.reached) = (true, false);
                self.unasked_at = now + CYCLE_UNASKED;
                self.not_before = now + jittered(self.wait_offline(), draw);
            }
            CycleOutcome::Throttled(asked) => {
                (self.offline, self.reached) = (true, false);
                self.unasked_at = now + CYCLE_UNASKED;
                self.slow_down(now, asked, draw);
            }
            CycleOutcome::Failed | CycleOutcome::Permanent => {
                self.online();
                self.failures = self.failures.saturating_add(1);
                self.permanent = outcome == CycleOutcome::Permanent;
                self.not_before = now + jittered(self.wait_after_failure(), draw);
            }
        }
    }

    /// The next step at `now`.
    #[must_use]
    pub fn next(&self, now: Duration) -> Next {
        let next = self.next_try(now);
        let hindered = self.offline || self.failures > 0;
        if hindered && !matches!(next, Next::Run(_)) { self.or_look(next, now) } else { next }
    }

    /// The next step at `now` in a pause.
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

    /// The next step at `now` towards a cycle: the cycle itself, or a probe for it.
    #[must_use]
    pub fn next_try(&self, now: Duration) -> Next {
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

    /// The time until the next poll: short after a change, and growing with the time without one,
    /// so that devices which only wait stay within what a store gives for free.
    fn poll_interval(&self, now: Duration) -> Duration {
        let quiet = now.saturating_sub(self.moved_at);
        if now < self.active_until {
            self.timing.poll_active
        } else if quiet < QUIET_AFTER {
            self.timing.poll
        } else {
            self.timing.poll.max((quiet / QUIET_SHARE).min(self.timing.poll_idle))
        }
    }

    /// The wait after the failures so far.
    fn wait_after_failure(&self) -> Duration {
        if self.slowed() {
            let (first, longest) = SLOW;
            let doublings = self.failures - self.timing.max_attempts;
            return first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest);
        }
        let index = usize::try_from(self.failures - 1).unwrap_or(usize::MAX);
        let wait = self.timing.retry.get(index).or(self.timing.retry.last());
        wait.copied().unwrap_or(self.timing.poll)
    }

    const fn online(&mut self) {
        (self.offline, self.reached, self.rebuffed) = (false, false, 0);
    }

    /// The time of the next look at items that had not settled: after the settle window, and less
    /// and less often where that does not help.
    fn again_at(&self, now: Duration, times: u32) -> Duration {
        let longest = MAX_AGAIN.max(self.timing.settle);
        let at = now + self.timing.settle.saturating_mul(2_u32.saturating_pow(times)).min(longest);
        self.last_push.map_or(at, |last| at.max(last + self.timing.batch_interval))
    }
}

fn jittered(wait: Duration, draw: f64) -> Duration {
    wait.mul_f64(1.0 - JITTER / 2.0 + JITTER * draw)
}

#[cfg(test)]
mod tests;
