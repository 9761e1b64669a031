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
mod tests;
