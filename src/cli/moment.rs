//! Points in the past as people type them.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::Span;
use cogzy_engine::clock::{Clock, SystemClock};

/// A moment: RFC 3339, a local date and time (`2026-11-20 18:00`; a date alone is its first
/// moment), or a time ago (`36h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
}

/// An error: the text names no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no time: expected 2026-11-20T18:00:00Z, \"2026-11-20 18:00\", 2026-11-20 or how long ago, such as 36h or 2d"
)]
pub struct MomentError(String);

impl FromStr for Moment {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let now = SystemClock::new().now_ms();
        parse(text, now).map(|ms| Self { ms }).ok_or_else(|| MomentError(text.chars().take(80).collect()))
    }
}

fn parse(text: &str, now_ms: u64) -> Option<u64> {
    if let Ok(span) = text.parse::<Span>() {
        return now_ms.checked_sub(u64::try_from(span.0.as_millis()).ok()?);
    }
    let local = |text: &str| {
        let time: DateTime = text.parse().ok()?;
        time.to_zoned_datetime(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
    };
    let time = text.parse::<Timestamp>().ok().or_else(|| local(text))?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_taken_as_people_type_them() {
        let now = 1_795_000_000_000;
        assert_eq!(parse("36h", now), Some(now - 36 * 3_600_000));
        assert_eq!(parse("2026-11-18T11:06:40Z", now), Some(now));
        assert_eq!(parse("2026-11-18T12:06:40+01:00", now), Some(now));
        let day = parse("2026-11-18", now).unwrap();
        assert_eq!(parse("2026-11-18 00:00", now), Some(day));
        for bad in ["", "soon", "-1d", "2026-13-01", "yesterday"] {
            assert_eq!(parse(bad, now), None, "{bad:?} was taken");
        }
    }
}
