use super::*;
use crate::clock::{Clock, SystemClock};
use crate::fs::RootedFs;
use crate::vault::apply::tests::disk::{Disk, LINUX, NETWORK, STICK};

#[test]
fn a_disk_is_known_by_what_it_does_and_nothing_is_left_on_it() {
    for kind in [LINUX, NETWORK, STICK] {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir(layout.sync()).unwrap();
        let all =
            abilities(&Disk::sound(kind, dir.path()), &layout, &|| SystemClock::new().now_ns()).unwrap();
        let [(_, abilities)] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((abilities.exchange, abilities.links), (kind.exchange, kind.links));
        let names = if kind.names { Holds::All } else { Holds::Escaped };
        assert_eq!(abilities.names, Some(names));
        assert_eq!(abilities.weaker().iter().any(|text| text.contains("swapped")), !kind.exchange);
        assert_eq!(std::fs::read_dir(layout.sync()).unwrap().count(), 0);
    }
}

#[test]
fn a_coarse_clock_makes_the_settle_window_longer() {
    let given = ODD_MS * 1_000_000;
    for (step, tick_of) in [(1, 1), (1_000_000_000, 1_000), (2_000_000_000, 2_000)] {
        assert_eq!(tick(given, given - given.rem_euclid(step)), Duration::from_millis(tick_of));
    }
    let tick = Duration::from_secs(2);
    let stick =
        Abilities { exchange: false, links: false, modes: false, tick, names: None, clock: Skew::None };
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(10));
    assert_eq!((stick.settle(short), stick.settle(long)), (Duration::from_secs(4), long));
    assert_eq!(stick.weaker().len(), 3);
}

/// A server's clock, so many seconds from the machine's.
#[derive(Debug)]
struct Apart(SystemClock, i64);

impl Clock for Apart {
    fn now_ns(&self) -> i64 {
        self.0.now_ns() + self.1 * 1_000_000_000
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[test]
fn what_is_written_now_is_never_old_by_the_clock_of_a_server_that_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    std::fs::create_dir(layout.sync()).unwrap();
    let wanted = Duration::from_secs(2);
    for (ours, longer, told) in [(0, 0, 0), (90, 90, 1), (-30, 0, 1)] {
        let clock = Apart(SystemClock::new(), ours);
        let disk = RootedFs::open(dir.path(), layout.sync());
        let all = abilities(&disk, &layout, &|| clock.now_ns()).unwrap();
        let [(_, can)] = all.as_slice() else { panic!("{all:?}") };
        let settle = can.settle(wanted);
        let longer = wanted + Duration::from_secs(longer);
        assert!(settle >= longer && settle < longer + Duration::from_secs(60), "{can:?}");
        assert_eq!(can.weaker().len(), told, "{can:?}");
        std::fs::write(dir.path().join("now"), "x").unwrap();
        let stat = disk.lstat(&dir.path().join("now")).unwrap();
        assert!(!crate::vault::read::quiet(&stat, clock.now_ns(), settle), "{can:?}");
    }
}

#[test]
fn a_disk_that_knows_no_times_does_not_stop_syncing() {
    let now = 1_700_000_000_000_000_000;
    assert_eq!(Skew::of(0, [now, now], Duration::from_millis(1)), Skew::Behind(FARTHEST));
    // Steps of two seconds are no skew.
    assert_eq!(Skew::of(now - 2_500_000_000, [now, now], Duration::from_secs(2)), Skew::None);
}
