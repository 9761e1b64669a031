use proptest::prelude::*;

use super::*;

#[test]
fn sizes_change_their_unit_at_its_bound() {
    for (bytes, text) in [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1550, "1.5 kB"),
        (999_999, "999.9 kB"),
        (1_000_000, "1.0 MB"),
        (16_000_000_000, "16.0 GB"),
        (u64::MAX, "18,446,744.0 TB"),
    ] {
        assert_eq!(size(bytes), text);
    }
}

#[test]
fn a_part_has_the_unit_of_its_whole() {
    for (bytes, all, text) in [
        (12_400_000, 80_000_000, "12.4/80 MB"),
        (0, 999, "0/999 B"),
        (999, 1_500_000_000, "0/1.5 GB"),
        (0, 0, "0/0 B"),
    ] {
        assert_eq!(part(bytes, all), text);
    }
}

#[test]
fn guesses_and_counts_are_short() {
    let of = |seconds| about(Duration::from_secs(seconds));
    assert_eq!((of(0), of(89), of(170)), ("1 s".into(), "89 s".into(), "3 min".into()));
    assert_eq!((of(5400), of(180_000)), ("2 h".into(), "2 d".into()));
    assert_eq!((count(1, "file"), count(2143, "file")), ("1 file".into(), "2,143 files".into()));
}

#[test]
fn durations_have_two_units() {
    let of = |seconds| duration(Duration::from_secs(seconds));
    assert_eq!(duration(Duration::from_millis(460)), "0.4 s");
    assert_eq!((of(9), of(59), of(60)), ("9.0 s".into(), "59 s".into(), "1 min 0 s".into()));
    assert_eq!((of(3599), of(3600)), ("59 min 59 s".into(), "1 h 0 min".into()));
    assert_eq!((of(86_399), of(86_400 * 2 + 3600 * 4)), ("23 h 59 min".into(), "2 d 4 h".into()));
}

proptest! {
    #[test]
    fn commas_only_part_the_digits(number: u64) {
        let text = thousands(number);
        prop_assert_eq!(text.replace(',', "").parse(), Ok(number));
        let mut groups = text.split(',');
        prop_assert!((1..=3).contains(&groups.next().unwrap().len()));
        prop_assert!(groups.all(|group| group.len() == 3));
    }
}
