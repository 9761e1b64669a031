//! Id of one apply.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `<milliseconds since the Unix epoch, 16 digits>-<8 hex digits>`: id of one apply. It names the
/// folders of the apply in staging and trash, and gives the trash their age. Ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ApplyId(String);

/// Text that is not an apply id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no apply id: expected 16 digits, `-`, 8 lower-case hex digits")]
pub struct ApplyIdError(String);

impl ApplyId {
    /// Creates the id of an apply that starts at `now_ms`. `random` tells ids of the same
    /// millisecond apart.
    #[must_use]
    pub fn new(now_ms: u64, random: [u8; 4]) -> Self {
        // Sixteen digits last for 300,000 years. A clock beyond that must not make an id that
        // cannot be parsed.
        Self(format!("{:016}-{:08x}", now_ms.min(9_999_999_999_999_999), u32::from_be_bytes(random)))
    }

    /// Text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Start of the apply, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn ms(&self) -> u64 {
        let digits = self.0.bytes().take_while(u8::is_ascii_digit);
        digits.fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0'))
    }
}

impl fmt::Display for ApplyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ApplyId {
    type Err = ApplyIdError;

    fn from_str(text: &str) -> Result<Self, ApplyIdError> {
        let legal = text.split_once('-').is_some_and(|(ms, random)| {
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            ms.len() == 16
                && ms.bytes().all(|byte| byte.is_ascii_digit())
                && random.len() == 8
                && random.bytes().all(hex)
        });
        if legal { Ok(Self(text.to_owned())) } else { Err(ApplyIdError(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for ApplyId {
    type Error = ApplyIdError;

    fn try_from(text: String) -> Result<Self, ApplyIdError> {
        text.parse()
    }
}

impl From<ApplyId> for String {
    fn from(id: ApplyId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_as_text_and_climbing_paths_are_refused() {
        let id = ApplyId::new(1_700_000_000_123, [0, 1, 0xab, 0xff]);
        assert_eq!(id.as_str(), "0001700000000123-0001abff");
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.ms(), 1_700_000_000_123);
        assert_eq!(ApplyId::new(u64::MAX, [0; 4]).as_str().len(), 25);
        for bad in [
            "",
            "..",
            "0001700000000123-0001abf/",
            "0001700000000123-0001ABFF",
            "1-1",
            "é001700000000123-0001abff",
        ] {
            assert!(bad.parse::<ApplyId>().is_err(), "{bad:?} was accepted");
        }
    }
}
