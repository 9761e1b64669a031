//! Identifiers: byte strings of fixed length, written as lower-case hex, one type for each use.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;

/// Text that is not an identifier of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}: expected {digits} lower-case hex digits")]
pub struct IdError {
    kind: &'static str,
    digits: usize,
    text: String,
}

/// Digit of a value below 16.
const fn digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Digits of the longest identifier.
const MOST_DIGITS: usize = 64;

/// Bytes as lower-case hex. They are written so for every file of a vault.
pub(super) struct Hex {
    digits: [u8; MOST_DIGITS],
    len: usize,
}

impl Hex {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut digits = [0; MOST_DIGITS];
        let (pairs, _) = digits.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(bytes) {
            *pair = [digit(byte >> 4), digit(byte & 0xf)];
        }
        Self { digits, len: MOST_DIGITS.min(2 * bytes.len()) }
    }

    pub(super) fn as_str(&self) -> &str {
        self.digits.get(..self.len).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

/// Reads a value from a text that need not be copied.
pub(super) struct OfText<T, E>(pub(super) fn(&str) -> Result<T, E>);

impl<T, E: fmt::Display> Visitor<'_> for OfText<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<D: serde::de::Error>(self, text: &str) -> Result<T, D> {
        self.0(text).map_err(D::custom)
    }
}

/// How an identifier stands in JSON and in messages: as hex.
macro_rules! as_hex {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($crate::model::id::Hex::of(&self.0).as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::model::id::OfText(str::parse))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($crate::model::id::Hex::of(&self.0).as_str())
            }
        }
    };
}
pub(super) use as_hex;

/// Value of each digit. Those that are none have a bit above.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[digit(value) as usize] = value;
        value += 1;
    }
    nibbles
};

pub(super) fn parse_hex<const N: usize>(kind: &'static str, text: &str) -> Result<[u8; N], IdError> {
    let error = || IdError { kind, digits: 2 * N, text: text.chars().take(80).collect() };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(error());
    }
    let mut bytes = [0; N];
    if fill(&mut bytes, digits) { Ok(bytes) } else { Err(error()) }
}

/// Fills `bytes` with what twice as many digits stand for. False if one is no digit.
fn fill(bytes: &mut [u8], digits: &[u8]) -> bool {
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(|digit| NIBBLES[usize::from(digit)]);
        wrong |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    wrong <= 0xf
}

/// Bytes of any number as lower-case hex.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).map(char::from).collect()
}

/// Bytes that [`to_hex`] wrote so. None for any other text.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len() / 2];
    (text.len().is_multiple_of(2) && fill(&mut bytes, text.as_bytes())).then_some(bytes)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        as_hex!($name);

        impl $name {
            /// Length of the identifier in bytes.
            pub const LEN: usize = $len;

            /// Makes an identifier of raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// Raw bytes of the identifier.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// First eight hex digits, for messages.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_hex($kind, text).map(Self)
            }
        }
    };
}

id!(
    /// Id of a vault, the same on all its devices. Random.
    VaultId, 16, "vault id"
);
id!(
    /// Id of one device of a vault. Random, and bound to the machine.
    DeviceId, 8, "device id"
);
id!(
    /// Id of a pack. Random and never reused: if packs were named by content, a prune could delete
    /// a pack that another writer is uploading again under the same name.
    PackId, 16, "pack id"
);
id!(
    /// Id of a commit: the BLAKE3 digest of its canonical plaintext.
    CommitId, 32, "commit id"
);
id!(
    /// Id of a conflict: the digest of (item, losing content), so that overlapping merges list it
    /// once.
    ConflictId, 32, "conflict id"
);

id!(
    /// Id of a hold: the digest of its reason and its items, so that unrelated saves don't change
    /// it.
    HoldId, 8, "hold id"
);

#[cfg(test)]
mod tests;
