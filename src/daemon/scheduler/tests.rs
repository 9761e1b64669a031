use proptest::prelude::*;

use super::*;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn timing() -> Timing {
    Timing {
        settle: secs(2),
        batch_interval: secs(10),
        batch_files: 100,
        poll: secs(60),
        poll_active: secs(5),
        poll_idle: secs(600),
        rescan: secs(3600),
        max_delay: secs(300),
        retry: vec![secs(30), secs(60), secs(120), secs(300)],
        max_attempts: 10,
    }
}

const QUIET: CycleOutcome = CycleOutcome::Done { moved: false, sent: false, again: false };
const MOVED: CycleOutcome = CycleOutcome::Done { moved: true, sent: true, again: false };
const WHOLE: Ask = Ask { scan: true, whole: true };

/// A scheduler whose first cycle ended quietly at second 0.
fn started() -> Scheduler {
    let mut scheduler = Scheduler::new(timing(), secs(0), Duration::ZERO);
    assert_eq!(scheduler.next(secs(0)), Next::Run(WHOLE), "the first cycle looks at everything");
    scheduler.ended(secs(0), secs(0), WHOLE, QUIET, 0.5);
    scheduler
}

#[test]
fn a_start_after_a_listing_of_all_commits_lists_their_end_and_all_when_it_is_due() {
    let mut scheduler = Scheduler::new(timing(), secs(0), secs(5000));
    let end = Ask { scan: true, whole: false };
    assert_eq!(scheduler.next(secs(0)), Next::Run(end));
    scheduler.ended(secs(0), secs(0), end, QUIET, 0.5);
    let mut now = secs(0);
    while let Next::Wait(until) = scheduler.next_try(now) {
        now = until;
        match scheduler.next(now) {
            Next::Run(ask) if ask.whole => break,
            Next::Run(ask) => scheduler.ended(now, now, ask, QUIET, 0.5),
            other => panic!("expected a cycle, got {other:?}"),
        }
    }
    assert_eq!(now, secs(5000));
}

fn wait(scheduler: &Scheduler, now: Duration) -> Duration {
    match scheduler.next_try(now) {
        Next::Wait(until) => until,
        other => panic!("expected a wait, got {other:?}"),
    }
}

#[test]
fn a_save_after_a_quiet_spell_is_pushed_when_it_has_settled() {
    let mut scheduler = started();
    scheduler.touch(secs(30), None);
    assert_eq!(wait(&scheduler, secs(30)), secs(32));
    assert_eq!(scheduler.next(secs(32)), Next::Run(Ask { scan: true, whole: false }));
}

#[test]
fn later_saves_are_batched() {
    let mut scheduler = started();
    scheduler.ended(secs(9), secs(10), Ask { scan: true, whole: false }, MOVED, 0.5);
    scheduler.touch(secs(11), None);
    scheduler.ended(secs(15), secs(15), Ask::default(), QUIET, 0.5);
    assert_eq!(wait(&scheduler, secs(15)), secs(20), "10 s after the last push, though it settled at 13");
}

#[test]
fn saving_all_the_time_does_not_put_off_the_push_for_ever() {
    let mut scheduler = started();
    let mut now = secs(1);
    loop {
        scheduler.touch(now, None);
        match scheduler.next(now) {
            Next::Run(Ask { scan: true, .. }) => break,
            Next::Run(ask) => scheduler.ended(now, now, ask, QUIET, 0.5),
            _ => {}
        }
        now += secs(1);
        assert!(now <= secs(302), "nothing was pushed for five minutes");
    }
}

#[test]
fn a_burst_of_many_files_starts_a_cycle_early() {
    let mut scheduler = started();
    scheduler.ended(secs(0), secs(1), Ask { scan: true, whole: false }, MOVED, 0.5);
    (0..100).for_each(|_| scheduler.touch(secs(2), None));
    assert_eq!(wait(&scheduler, secs(2)), secs(4), "not at second 11, when the batch interval ends");
}

#[test]
fn polls_are_fast_after_activity_and_slow_when_idle() {
    let mut scheduler = started();
    assert_eq!(wait(&scheduler, secs(0)), secs(60));
    scheduler.ended(secs(60), secs(60), Ask::default(), MOVED, 0.5);
    assert_eq!(wait(&scheduler, secs(60)), secs(65));
    scheduler.ended(secs(200), secs(200), Ask::default(), QUIET, 0.5);
    assert_eq!(wait(&scheduler, secs(200)), secs(260));
}

#[test]
fn a_poll_does_not_scan_unless_the_watcher_is_blind() {
    let mut scheduler = started();
    assert_eq!(scheduler.next(secs(60)), Next::Run(Ask::default()));
    scheduler.watching(false);
    assert_eq!(scheduler.next(secs(60)), Next::Run(Ask { scan: true, whole: false }));
}

#[test]
fn lost_events_bring_a_scan_at_once() {
    let mut scheduler = started();
    scheduler.overflow(secs(7));
    assert_eq!(scheduler.next(secs(7)), Next::Run(Ask { scan: true, whole: false }));
}

#[test]
fn events_lost_during_a_cycle_are_not_forgotten() {
    let mut scheduler = started();
    assert!(!scheduler.is_touched());
    scheduler.overflow(secs(13));
    scheduler.ended(secs(12), secs(14), Ask { scan: true, whole: false }, QUIET, 0.5);
    assert!(scheduler.is_touched());
    let again = wait(&scheduler, secs(14));
    assert!(again <= secs(30), "only after {again:?}");
    assert_eq!(scheduler.next(again), Next::Run(Ask { scan: true, whole: false }));
    scheduler.ended(again, again, Ask { scan: true, whole: false }, QUIET, 0.5);
    assert!(!scheduler.is_touched());
}

#[test]
fn a_file_touched_during_a_cycle_is_not_forgotten() {
    let mut scheduler = started();
    scheduler.touch(secs(10), None);
    scheduler.touch(secs(13), None);
    scheduler.ended(secs(12), secs(14), Ask { scan: true, whole: false }, QUIET, 0.5);
    assert_eq!(wait(&scheduler, secs(14)), secs(15));
}

#[test]
fn failures_wait_longer_each_time_and_what_only_a_person_cures_is_tried_less_often_for_ever() {
    let mut scheduler = started();
    let mut now = secs(100);
    let expected = [30, 60, 120, 300, 300, 300, 300, 300, 300].into_iter();
    for (failure, minutes) in expected.chain([15, 30, 60, 60, 60].map(|minutes| minutes * 60)).enumerate() {
        assert_eq!(scheduler.slowed(), failure >= 10);
        scheduler.ended(now, now, WHOLE, CycleOutcome::Permanent, 0.5);
        assert_eq!(wait(&scheduler, now), now + secs(minutes));
        now += secs(minutes);
    }
    assert!(matches!(scheduler.next(now), Next::Run(Ask { scan: true, .. })), "it is never given up");
    scheduler.ended(now, now, WHOLE, CycleOutcome::Permanent, 0.0);
    assert_eq!(wait(&scheduler, now), now + secs(54 * 60), "devices do not come back in step");
    scheduler.retry(now);
    assert!(matches!(scheduler.next(now), Next::Run(Ask { scan: true, .. })));
    scheduler.ended(now, now, WHOLE, CycleOutcome::Permanent, 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(30), "who asked for it may be about to cure it");
}

#[test]
fn waking_up_tries_again_at_once_what_was_slowed_down() {
    let mut scheduler = started();
    (0..20).for_each(|_| scheduler.ended(secs(100), secs(100), WHOLE, CycleOutcome::Permanent, 0.5));
    assert!(scheduler.slowed() && wait(&scheduler, secs(101)) > secs(3600));
    scheduler.wake(secs(101));
    assert!(matches!(scheduler.next(secs(101)), Next::Run(Ask { scan: true, .. })));
    scheduler.ended(secs(101), secs(101), WHOLE, QUIET, 0.5);
    assert!(!scheduler.slowed());
}

#[test]
fn a_failure_that_passes_by_itself_is_not_slowed_down() {
    let mut scheduler = started();
    for _ in 0..100 {
        scheduler.ended(secs(100), secs(100), WHOLE, CycleOutcome::Failed, 0.5);
    }
    assert!(!scheduler.slowed());
    assert_eq!(wait(&scheduler, secs(100)), secs(400));
}

/// The cycles that a device runs in a day in which nothing happens; each asks for one listing at
/// least.
fn cycles_of_an_idle_day(scheduler: &mut Scheduler, mut now: Duration) -> u32 {
    const DAY: Duration = secs(24 * 3600);
    let (end, mut cycles) = (now + DAY, 0);
    while now < end {
        match scheduler.next(now) {
            Next::Run(ask) => {
                cycles += 1;
                scheduler.ended(now, now, ask, QUIET, 0.5);
            }
            Next::Wait(until) => now = until,
            Next::Look => scheduler.looked(now, false),
            other => panic!("{other:?} in a day in which nothing happens"),
        }
    }
    cycles
}

#[test]
fn sixteen_devices_that_only_wait_stay_within_the_free_listings_of_a_day() {
    let mut scheduler = started();
    let first = cycles_of_an_idle_day(&mut scheduler, secs(0));
    assert!(first < 250, "the first day is quiet only in its end: {first}");
    let later = cycles_of_an_idle_day(&mut scheduler, secs(24 * 3600));
    // A cycle that lists everything lists the newest commits as well.
    assert!(16 * (later + 1) <= 2500, "{later} cycles a day");
    let now = secs(48 * 3600);
    scheduler.ended(now, now, WHOLE, MOVED, 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(5), "a change wakes it up");
    scheduler.ended(now + secs(300), now + secs(300), WHOLE, QUIET, 0.5);
    assert_eq!(wait(&scheduler, now + secs(300)), now + secs(360));
}

#[test]
fn being_offline_uses_up_no_attempts() {
    let mut scheduler = started();
    let mut now = secs(100);
    for _ in 0..1000 {
        scheduler.ended(now, now, WHOLE, CycleOutcome::Offline, 0.5);
        assert!(scheduler.offline() && scheduler.failures() == 0);
        now = wait(&scheduler, now);
        assert_eq!(scheduler.next_try(now), Next::Probe);
        scheduler.probed(now, Probed::Away, 0.5);
        now = wait(&scheduler, now);
        assert_eq!(scheduler.next_try(now), Next::Probe);
    }
    assert!(matches!(scheduler.next(now + secs(120)), Next::Run(_)), "a network may be too slow for a probe");
    assert!(now < secs(100 + 1000 * 5), "an offline remote must be probed often, so that it is left at once");
    scheduler.probed(now, Probed::Reached, 0.5);
    assert!(matches!(scheduler.next(now), Next::Run(Ask { scan: true, .. })));
}

#[test]
fn a_remote_that_answers_probes_and_fails_cycles_is_asked_less_and_less() {
    let (mut scheduler, mut now, mut waits) = (started(), secs(100), Vec::new());
    for _ in 0..8 {
        scheduler.ended(now, now, WHOLE, CycleOutcome::Offline, 0.5);
        let until = wait(&scheduler, now);
        waits.push((until - now).as_secs());
        now = until;
        scheduler.probed(now, Probed::Reached, 0.5);
        assert!(matches!(scheduler.next(now), Next::Run(_)));
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60]);
    scheduler.ended(now, now, WHOLE, QUIET, 0.5);
    scheduler.ended(now, now, WHOLE, CycleOutcome::Offline, 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(2), "a cycle that went through makes it new");
}

#[test]
fn a_remote_that_asks_to_slow_down_is_asked_less_and_less_and_not_before_it_wants_to_be() {
    let (mut scheduler, mut now, mut waits) = (started(), secs(100), Vec::new());
    scheduler.ended(now, now, WHOLE, CycleOutcome::Throttled(Duration::ZERO), 0.5);
    assert!(scheduler.offline() && scheduler.failures() == 0);
    while !matches!(scheduler.next_try(now), Next::Run(_)) {
        let until = wait(&scheduler, now);
        waits.push((until - now).as_secs());
        now = until;
        if scheduler.next_try(now) == Next::Probe {
            scheduler.probed(now, Probed::Throttled(Duration::ZERO), 0.5);
        }
    }
    assert_eq!(waits, [4, 8, 16, 32, 60], "the probe may be what it does not want");
    scheduler.ended(now, now, WHOLE, CycleOutcome::Throttled(secs(900)), 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(900));
    assert!(matches!(scheduler.next_try(now + secs(900)), Next::Run(_)));
    scheduler.ended(now, now, WHOLE, CycleOutcome::Throttled(secs(1 << 40)), 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(3600), "no store can stop it for ever");
    scheduler.ended(now, now, WHOLE, CycleOutcome::Offline, 0.5);
    scheduler.probed(now, Probed::Throttled(secs(300)), 0.5);
    assert_eq!(wait(&scheduler, now), now + secs(300));
    scheduler.retry(now);
    assert!(matches!(scheduler.next(now), Next::Run(_)), "its user asks for it");
}

#[test]
fn items_that_do_not_settle_are_looked_at_less_and_less_and_a_hint_comes_sooner() {
    const UNSETTLED: CycleOutcome = CycleOutcome::Done { moved: false, sent: false, again: true };
    const SCAN: Ask = Ask { scan: true, whole: false };
    let (mut scheduler, mut now, mut waits) = (started(), secs(61), Vec::new());
    for _ in 0..6 {
        scheduler.ended(now, now, SCAN, UNSETTLED, 0.5);
        let until = scheduler.next_scan();
        waits.push((until - now).as_secs());
        now = until;
        assert_eq!(scheduler.next(now), Next::Run(SCAN));
    }
    assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
    scheduler.ended(now, now, SCAN, UNSETTLED, 0.5);
    scheduler.touch(now + secs(1), None);
    assert_eq!(scheduler.next_scan(), now + secs(3));
    scheduler.ended(now, now, SCAN, QUIET, 0.5);
    scheduler.ended(now, now, SCAN, UNSETTLED, 0.5);
    assert_eq!(scheduler.next_scan(), now + secs(2));
}

#[test]
fn places_are_named_until_a_scan_of_all_is_due_or_nobody_knows_where() {
    let path = |name: &str| VaultPath::new(name).unwrap();
    let (mut scheduler, scan) = (started(), Ask { scan: true, whole: false });
    scheduler.touch(secs(30), Some(path("a")));
    scheduler.touch(secs(31), Some(path("b")));
    assert_eq!(scheduler.named(secs(33)), Some([path("a"), path("b")].into()));
    scheduler.ended(secs(33), secs(33), scan, QUIET, 0.5);
    assert_eq!(scheduler.named(secs(40)), Some([].into()), "they were looked at");
    scheduler.ended(secs(40), secs(40), scan, QUIET, 0.5);
    scheduler.touch(secs(50), None);
    assert_eq!(scheduler.named(secs(52)), None, "it was somewhere");
    scheduler.ended(secs(52), secs(52), scan, QUIET, 0.5);
    scheduler.touch(secs(60), Some(path("a")));
    let rescan = secs(52 + 3600);
    assert!(scheduler.named(rescan - secs(1)).is_some());
    scheduler.ended(rescan - secs(1), rescan - secs(1), scan, QUIET, 0.5);
    assert_eq!(scheduler.named(rescan), None, "a look at some places put off the scan of all");
    scheduler.ended(rescan, rescan, scan, CycleOutcome::Failed, 0.5);
    assert_eq!(scheduler.named(rescan + secs(30)), None, "something went wrong");
    scheduler.ended(rescan + secs(30), rescan + secs(30), scan, QUIET, 0.5);
    scheduler.watching(false);
    assert_eq!(scheduler.named(rescan + secs(40)), None, "it does not hear of everything");
}

#[test]
fn after_a_sleep_everything_is_due() {
    let mut scheduler = started();
    assert_eq!(wait(&scheduler, secs(7)), secs(60));
    scheduler.wake(secs(7));
    assert_eq!(scheduler.next(secs(7)), Next::Run(Ask::default()));
    scheduler.ended(secs(7), secs(7), Ask::default(), CycleOutcome::Offline, 0.5);
    scheduler.wake(secs(8));
    assert_eq!(scheduler.next(secs(8)), Next::Probe);
}

#[test]
fn a_save_while_nothing_can_be_sent_is_looked_at_when_it_has_settled() {
    for hindered in [CycleOutcome::Offline, CycleOutcome::Failed] {
        let mut scheduler = started();
        scheduler.ended(secs(60), secs(60), Ask::default(), hindered, 0.5);
        scheduler.touch(secs(61), None);
        scheduler.probed(secs(62), Probed::Away, 0.5);
        assert_eq!(scheduler.next(secs(62)), Next::Wait(secs(63)));
        assert_eq!(scheduler.next(secs(63)), Next::Look);
        scheduler.looked(secs(63), false);
        assert_ne!(scheduler.next(secs(64)), Next::Look, "there is nothing new");
        scheduler.touch(secs(64), None);
        assert_eq!(
            scheduler.next_look(secs(64)),
            Next::Wait(secs(73)),
            "a batch interval after the last one"
        );
        scheduler.probed(secs(70), Probed::Reached, 0.5);
        scheduler.ended(secs(90), secs(90), WHOLE, QUIET, 0.5);
        assert_eq!(scheduler.next_look(secs(91)), Next::Stopped, "the cycle has seen it");
    }
}

#[test]
fn a_cycle_that_never_reached_the_vault_leaves_it_to_a_look_and_a_pause_has_only_looks() {
    let mut scheduler = started();
    scheduler.ended(secs(60), secs(60), WHOLE, CycleOutcome::Offline, 0.5);
    assert_eq!(scheduler.next(secs(60)), Next::Look);
    let mut scheduler = started();
    assert_eq!(scheduler.next_look(secs(1000)), Next::Stopped);
    scheduler.touch(secs(1000), None);
    assert_eq!(scheduler.next_look(secs(1000)), Next::Wait(secs(1002)));
    scheduler.looked(secs(1002), true);
    assert_eq!(scheduler.next_look(secs(1003)), Next::Wait(secs(1012)), "something had not settled");
}

proptest! {
    /// Whatever happens, the next look at the remote is no further away than the longest poll, or
    /// an hour where only a person can help.
    #[test]
    fn nothing_is_put_off_for_ever(events in prop::collection::vec((0_u8..7, 1_u64..400), 0..60)) {
        let mut scheduler = started();
        let mut now = secs(0);
        for (event, pause) in events {
            now += secs(pause);
            match event {
                0 => scheduler.touch(now, None),
                1 => scheduler.overflow(now),
                2 => scheduler.ended(now, now, WHOLE, MOVED, 0.9),
                3 => scheduler.ended(now, now, Ask::default(), QUIET, 0.1),
                4 => scheduler.ended(now, now, WHOLE, CycleOutcome::Offline, 0.9),
                5 => scheduler.ended(now, now, WHOLE, CycleOutcome::Permanent, 0.9),
                _ => scheduler.ended(now, now, WHOLE, CycleOutcome::Failed, 0.9),
            }
            match scheduler.next(now) {
                Next::Wait(until) => {
                    let longest = if scheduler.slowed() { secs(3960) } else { secs(600) };
                    prop_assert!(until > now && until <= now + longest);
                }
                Next::Look => scheduler.looked(now, false),
                Next::Run(_) | Next::Probe => {}
                Next::Stopped => prop_assert!(false, "only a pause stops"),
            }
        }
    }
}

#[test]
fn what_was_fetched_puts_off_no_push() {
    let mut scheduler = started();
    let fetched = CycleOutcome::Done { moved: true, sent: false, again: false };
    scheduler.ended(secs(9), secs(10), WHOLE, fetched, 0.5);
    scheduler.touch(secs(11), None);
    assert_eq!(wait(&scheduler, secs(11)), secs(13));
}

#[test]
fn a_file_that_never_stands_still_puts_off_no_other() {
    let path = |text| VaultPath::new(text).ok();
    let (mut scheduler, mut waits) = (started(), Vec::new());
    for half in 0..240 {
        let now = secs(100) + Duration::from_millis(500) * half;
        scheduler.touch(now, path("traces/run.jsonl"));
        if half == 20 {
            scheduler.touch(now, path("traces/saved.json"));
        }
        if let Next::Run(Ask { scan: true, .. }) = scheduler.next(now) {
            waits.push(now);
            let unsettled = CycleOutcome::Done { moved: false, sent: false, again: true };
            scheduler.ended(now, now, Ask { scan: true, whole: false }, unsettled, 0.5);
        }
    }
    assert_eq!(waits[0], secs(112), "two seconds after it was saved");
    assert!(waits.len() < 10, "the file that is busy is looked at all the time: {waits:?}");
}
