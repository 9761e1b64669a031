//! Numbers as people read them.

use std::time::Duration;

const UNITS: [(&str, u64); 4] =
    [("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];

/// A number of bytes, in the units that stores bill: `999 B`, `1.5 kB`, `12.0 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match UNITS.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => format!("{} {name}", tenths(bytes, unit)),
    }
}

/// A part and its whole, in the unit of the whole: `12.4/80 MB`.
#[must_use]
pub fn part(bytes: u64, all: u64) -> String {
    let (name, unit) = UNITS.into_iter().find(|(_, unit)| all >= *unit).unwrap_or(("B", 1));
    let short = |bytes| {
        let text = tenths(bytes, unit);
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    format!("{}/{} {name}", short(bytes), short(all))
}

/// A number of units with one decimal, rounded down: never more than there is.
fn tenths(bytes: u64, unit: u64) -> String {
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    format!("{}.{}", thousands(u64::try_from(tenths / 10).unwrap_or(u64::MAX)), tenths % 10)
}

/// An estimated duration in one unit: `40 s`, `3 min`, `2 h`, `4 d`.
#[must_use]
pub fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..90 => format!("{} s", seconds.max(1)),
        90..5400 => format!("{} min", (seconds + 30) / 60),
        5400..172_800 => format!("{} h", (seconds + 1800) / 3600),
        _ => format!("{} d", thousands((seconds + 43_200) / 86_400)),
    }
}

/// A count with its noun: `1 file`, `2,143 files`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number as u64), if number == 1 { "" } else { "s" })
}

/// A duration in its two largest units: `0.4 s`, `12 s`, `2 min 5 s`, `3 h 0 min`, `2 d 4 h`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{seconds}.{} s", duration.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", thousands(seconds / 86_400), seconds / 3600 % 24),
    }
}

/// A number with its digits in groups of three: `1,234,567`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
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
}
