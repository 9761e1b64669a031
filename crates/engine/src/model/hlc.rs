//! Transaction ids: a hybrid logical clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::DeviceId;

/// Transaction id `{wall}.{logical}.{device}`: milliseconds since the Unix epoch, a counter for ids
/// of the same millisecond, and the device.
///
/// The ids of a device always grow, even if its clock goes back. They serve audit, display and
/// idempotency only; clocks decide nothing here.
///
/// Source: Kulkarni et al., *Logical Physical Clocks*, OPODIS 2014.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hlc {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// Counter for ids of the same millisecond.
    pub logical: u32,
    /// Device that made the id.
    pub device: DeviceId,
}

/// Text that is not a transaction id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no transaction id: expected {{milliseconds}}.{{counter}}.{{device}}")]
pub struct HlcError(String);

/// Limit of a device's clock ahead of the server's, in milliseconds: one day.
pub const MAX_AHEAD_MS: u64 = 24 * 3600 * 1000;

impl Hlc {
    /// Id that follows `last` at `now_ms` on this device's clock. It is later than both, even if
    /// the clock went back.
    #[must_use]
    pub fn next(last: Option<Self>, now_ms: u64, device: DeviceId) -> Self {
        match last {
            Some(last) if last.wall_ms >= now_ms => match last.logical.checked_add(1) {
                Some(logical) => Self { wall_ms: last.wall_ms, logical, device },
                None => Self { wall_ms: last.wall_ms + 1, logical: 0, device },
            },
            _ => Self { wall_ms: now_ms, logical: 0, device },
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.wall_ms, self.logical, self.device)
    }
}

impl FromStr for Hlc {
    type Err = HlcError;

    fn from_str(text: &str) -> Result<Self, HlcError> {
        let error = || HlcError(text.chars().take(80).collect());
        let mut fields = text.split('.');
        let (Some(wall), Some(logical), Some(device), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(error());
        };
        let hlc = Self {
            wall_ms: wall.parse().map_err(|_| error())?,
            logical: logical.parse().map_err(|_| error())?,
            device: device.parse().map_err(|_| error())?,
        };
        // Each id has one spelling: "01" and "+1" parse as numbers but are refused.
        if hlc.to_string() == text { Ok(hlc) } else { Err(error()) }
    }
}

impl TryFrom<String> for Hlc {
    type Error = HlcError;

    fn try_from(text: String) -> Result<Self, HlcError> {
        text.parse()
    }
}

impl From<Hlc> for String {
    fn from(hlc: Hlc) -> Self {
        hlc.to_string()
    }
}

#[cfg(test)]
mod tests;
