use std::collections::BTreeSet;

use super::*;

fn left_out(ours: bool) -> LeftOut {
    LeftOut { group: "nodes".into(), paths: BTreeSet::new(), since_ms: 1_000_000, ours, is_here: true }
}

fn ran(of_ms: u64, at_ms: u64) -> Run {
    Run { of_ms, at_ms, state: RebuildState::Failed, last_line: None }
}

#[test]
fn the_device_that_made_the_generation_has_the_first_try_and_none_tries_all_the_time() {
    let minutes = |count: u64| 1_000_000 + count * 60_000;
    for (ours, at, expected) in [(true, 0, true), (false, 0, false), (false, 9, false), (false, 10, true)] {
        assert_eq!(is_due(&left_out(ours), None, minutes(at)), expected, "{ours} {at}");
    }
    let last = ran(1_000_000, minutes(1));
    for (at, expected) in [(2, false), (60, false), (61, true)] {
        assert_eq!(is_due(&left_out(true), Some(&last), minutes(at)), expected, "{at}");
    }
    assert!(is_due(&left_out(true), Some(&ran(7, minutes(1))), minutes(2)), "a later merge");
    let elsewhere = LeftOut { is_here: false, ..left_out(true) };
    assert!(!is_due(&elsewhere, None, minutes(100)), "the generation is not here yet");
}

#[test]
fn the_last_line_is_the_last_that_says_anything() {
    assert_eq!(last_line(b"one\ntwo \x1b[31mred\r\n\n  \n"), Some("two [31mred".to_owned()));
    assert_eq!(last_line(b"\n \n"), None);
    assert_eq!(last_line(&vec![b'x'; 5000]).map(|line| line.len()), Some(LINE));
}
