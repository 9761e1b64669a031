//! Durations and sizes as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration, written as one number and its unit: `500ms`, `2s`, `5m`, `1h`, `7d`. Prints in the
/// largest unit that leaves no remainder, and whole milliseconds only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// A number of bytes, bare or with its unit: `0`, `512KiB`, `16MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A text that is no duration or no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: expected a whole number and its unit, such as {example}")]
pub struct UnitError {
    text: String,
    kind: &'static str,
    example: &'static str,
}

/// Units with their length in milliseconds, largest first.
const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Units with their number of bytes.
const SIZES: [(&str, u64); 6] =
    [("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// `text` as a number times one of `units`; none if it is anything else, or does not fit.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &SPANS).map(|millis| Self(Duration::from_millis(millis))).ok_or_else(|| UnitError {
            text: text.to_owned(),
            kind: "duration",
            example: "500ms, 2s, 5m, 1h or 7d",
        })
    }
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        parse(text, &SIZES).map(Self).ok_or_else(|| UnitError {
            text: text.to_owned(),
            kind: "size",
            example: "0, 512KiB or 16MiB",
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let fits = |factor: u64| millis > 0 && millis.is_multiple_of(u128::from(factor));
        match SPANS.iter().find(|(_, factor)| fits(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", millis / u128::from(*factor)),
            None => f.write_str("0s"),
        }
    }
}

#[cfg(test)]
mod tests;
