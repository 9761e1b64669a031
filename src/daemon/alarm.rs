//! The alarm: a day without a sync is more than a passing trouble. The status begins with it, the
//! log has it as an error, and a hook runs.

use std::time::Duration;

use cogzy_client::documents::ErrorDocument;

/// The time without a successful cycle that raises the alarm.
const TOO_LONG: Duration = Duration::from_secs(24 * 3600);

/// The watch over the time since the last successful cycle.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarm {
    /// The last success, or the start of the wait for a first one, in milliseconds since the Unix
    /// epoch.
    since_ms: u64,
    raised: bool,
    /// True if a cycle has failed since the start, or since the machine was asleep: a device that
    /// was off for days has not failed at anything.
    in_vain: bool,
}

impl Alarm {
    /// An alarm that counts from `since_ms`.
    pub(super) const fn new(since_ms: u64) -> Self {
        Self { since_ms, raised: false, in_vain: false }
    }

    /// Notes a successful cycle.
    pub(super) const fn calm(&mut self, now_ms: u64) {
        *self = Self::new(now_ms);
    }

    /// Notes a pause: it is the user's own wish, so the time begins anew.
    pub(super) const fn excuse(&mut self, now_ms: u64) {
        self.since_ms = now_ms;
    }

    /// Notes a cycle that failed.
    pub(super) const fn fails(&mut self) {
        self.in_vain = true;
    }

    /// Notes that the machine was asleep, and did not try.
    pub(super) const fn wakes(&mut self) {
        self.in_vain = false;
    }

    /// The alarm at `now_ms`, if it is to be raised now.
    pub(super) fn ring(&mut self, now_ms: u64) -> Option<ErrorDocument> {
        let (document, new) = self.in_vain.then(|| self.check(now_ms)).flatten()?;
        new.then_some(document)
    }

    /// True once the alarm was raised.
    pub(super) const fn is_raised(&self) -> bool {
        self.raised
    }

    /// The alarm at `now_ms`, if there is one, and true the first time.
    pub(super) fn check(&mut self, now_ms: u64) -> Option<(ErrorDocument, bool)> {
        let document = overdue(self.since_ms, now_ms)?;
        let new = !std::mem::replace(&mut self.raised, true);
        Some((document, new))
    }
}

/// The alarm at `now_ms` where the last success, or the start of the wait for a first one, was at
/// `since_ms`; both in milliseconds since the Unix epoch.
#[must_use]
pub fn overdue(since_ms: u64, now_ms: u64) -> Option<ErrorDocument> {
    let since = Duration::from_millis(now_ms.saturating_sub(since_ms));
    (since >= TOO_LONG).then(|| ErrorDocument {
        path: None,
        // The text names days: one that changed all the time would be new all the time.
        message: "nothing has been synced for more than a day".to_owned(),
        attempts: 0,
        next_retry: None,
        next: "`cogzy-vault doctor` finds most causes".to_owned(),
        alarm: true,
        waits: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_day_without_a_sync_is_announced_once_and_shown_until_one_succeeds() {
        let mut alarm = Alarm::new(1000 * HOUR);
        assert_eq!(alarm.check(1023 * HOUR), None);
        assert!(alarm.check(1024 * HOUR).unwrap().1);
        assert!(!alarm.check(1025 * HOUR).unwrap().1, "it was said already");
        alarm.calm(1026 * HOUR);
        assert_eq!(alarm.check(1027 * HOUR), None);
        assert!(alarm.check(1050 * HOUR).unwrap().1, "a new alarm is new");
        alarm.calm(1051 * HOUR);
        alarm.excuse(1074 * HOUR);
        assert_eq!(alarm.check(1080 * HOUR), None);
    }

    #[test]
    fn a_device_that_was_off_or_asleep_for_a_day_tries_once_before_it_complains() {
        let mut alarm = Alarm::new(1000 * HOUR);
        assert_eq!(alarm.ring(1030 * HOUR), None);
        alarm.fails();
        assert!(alarm.ring(1030 * HOUR).is_some());
        assert_eq!(alarm.ring(1031 * HOUR), None);
        alarm.calm(1032 * HOUR);
        alarm.fails();
        alarm.wakes();
        assert_eq!(alarm.ring(1060 * HOUR), None);
        alarm.fails();
        assert!(alarm.ring(1060 * HOUR).is_some());
    }
}
