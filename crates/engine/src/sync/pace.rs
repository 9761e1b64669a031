//! How long a piece of work will still take, from how far it has come: pure, over monotonic time.

use std::time::Duration;

use super::report::{Phase, Progress};

/// Less time than this says nothing about the rest.
const TOO_EARLY: Duration = Duration::from_secs(2);

/// The pace of the phase that is under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace(Option<Under>);

#[derive(Debug, Clone, Copy)]
struct Under {
    what: (Phase, u64),
    since: Duration,
    first: u64,
    last: u64,
}

impl Pace {
    /// Takes in how far the work is at `now`, and gives how long the rest of this phase takes at the same pace; none while that
    /// cannot be told. Bytes decide where they are known, else files.
    pub fn left(&mut self, progress: &Progress, now: Duration) -> Option<Duration> {
        let (done, total) = if progress.bytes_total > 0 {
            (progress.bytes_done, progress.bytes_total)
        } else {
            (progress.files_done as u64, progress.files_total as u64)
        };
        let what = (progress.phase, total);
        // Going back, or to another total, is another piece of work.
        let same = self.0.filter(|under| under.what == what && under.last <= done);
        let under = same.unwrap_or(Under { what, since: now, first: done, last: done });
        self.0 = Some(Under { last: done, ..under });
        let (took, moved) = (now.saturating_sub(under.since), done - under.first);
        if took < TOO_EARLY || moved == 0 || done > total {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = (total - done) as f64 / moved as f64;
        Duration::try_from_secs_f64(took.as_secs_f64() * share).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(phase: Phase, bytes_done: u64) -> Progress {
        Progress { phase, files_done: 0, files_total: 4, bytes_done, bytes_total: 1000 }
    }

    #[test]
    fn the_rest_takes_as_long_as_what_was_done() {
        let second = Duration::from_secs;
        let mut pace = Pace::default();
        assert_eq!(pace.left(&at(Phase::Upload, 0), second(100)), None);
        assert_eq!(pace.left(&at(Phase::Upload, 100), second(101)), None, "too early to tell");
        assert_eq!(pace.left(&at(Phase::Upload, 250), second(110)), Some(second(30)));
        assert_eq!(pace.left(&at(Phase::Upload, 1000), second(140)), Some(Duration::ZERO));
        assert_eq!(pace.left(&at(Phase::Download, 500), second(150)), None, "another phase has its own pace");
        assert_eq!(pace.left(&at(Phase::Download, 750), second(160)), Some(second(10)));
        assert_eq!(
            pace.left(&at(Phase::Download, 100), second(170)),
            None,
            "the same phase again, from its start"
        );
        let other = Progress { bytes_total: 5000, ..at(Phase::Download, 800) };
        assert_eq!(pace.left(&other, second(180)), None, "another total is other work");
    }

    #[test]
    fn files_count_where_bytes_are_not_known() {
        let files = |files_done| Progress { files_done, files_total: 10, ..Progress::default() };
        let mut pace = Pace::default();
        assert_eq!(pace.left(&files(0), Duration::ZERO), None);
        assert_eq!(pace.left(&files(5), Duration::from_secs(5)), Some(Duration::from_secs(5)));
    }
}
