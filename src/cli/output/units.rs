//! Numbers as people read them.

use std::time::Duration;

/// A number of bytes: `999 B`, `1.5 KiB`, `12.0 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        None => format!("{bytes} B"),
        Some((name, unit)) => {
            // In whole numbers, rounded down: never more than there is.
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", thousands(u64::try_from(tenths / 10).unwrap_or(u64::MAX)), tenths % 10)
        }
    }
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
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1,023.9 KiB"),
            (1 << 20, "1.0 MiB"),
            (16 << 30, "16.0 GiB"),
            (u64::MAX, "16,777,215.9 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
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
