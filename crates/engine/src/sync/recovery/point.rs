//! A point in the past, as people name it. Pure but for reads of the log.

use std::fmt;
use std::str::FromStr;

use crate::log::{Log, Past};
use crate::model::CommitKey;
use crate::sync::{Refusal, SyncError};

/// A state that a person names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// The newest state.
    Newest,
    /// A generation. With the beginning of a commit's id, also one that a merge brought in.
    Generation(Generation),
    /// The newest state at this time, in milliseconds since the Unix epoch.
    Time(u64),
}

/// `7`, or `7-3fa2`: the number of a generation, and the beginning of its commit's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    seq: u64,
    id: String,
}

/// A text that names no generation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no generation: expected a number, such as 7, or number and commit, such as 7-3fa2")]
pub struct GenerationError(String);

/// Digits of a commit's id that name it among those of one number.
const ID_DIGITS: usize = 16;

impl Generation {
    /// The state before the first commit.
    pub const BEGINNING: Self = Self { seq: 0, id: String::new() };

    /// Names exactly this commit.
    #[must_use]
    pub fn of(key: CommitKey) -> Self {
        Self { seq: key.seq, id: key.id.to_string().chars().take(ID_DIGITS).collect() }
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.seq
    }
}

impl FromStr for Generation {
    type Err = GenerationError;

    fn from_str(text: &str) -> Result<Self, GenerationError> {
        let (seq, id) = text.split_once('-').unwrap_or((text, ""));
        let plain = !seq.is_empty() && seq.bytes().all(|digit| digit.is_ascii_digit());
        let hex = id.bytes().all(|digit| digit.is_ascii_hexdigit() && !digit.is_ascii_uppercase());
        match seq.parse() {
            Ok(seq) if plain && hex => Ok(Self { seq, id: id.to_owned() }),
            _ => Err(GenerationError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seq)?;
        if self.id.is_empty() { Ok(()) } else { write!(f, "-{}", self.id) }
    }
}

impl Point {
    /// The commit that this point means in the past of `head`.
    pub(crate) async fn find(&self, log: &Log, head: Option<CommitKey>) -> Result<CommitKey, SyncError> {
        let head = head.ok_or(Refusal::Empty)?;
        match self {
            Self::Newest => Ok(head),
            Self::Generation(Generation { seq, id }) => {
                let found = if id.is_empty() {
                    log.line(head).into_iter().find(|key| key.seq == *seq)
                } else {
                    let mut all = log.graph().ancestry(head).into_iter();
                    all.find(|key| key.seq == *seq && key.id.to_string().starts_with(id))
                };
                let first = log.line(head).last().map_or(0, |key| key.seq);
                let wanted = Generation { seq: *seq, id: id.clone() }.to_string();
                Ok(found.ok_or(Refusal::NoGeneration { wanted, first, last: head.seq })?)
            }
            Self::Time(ms) => {
                let past = log.past(head).await?;
                let by_then = |past: &&Past| past.on_line && past.time_ms <= *ms;
                let found = past.iter().find(by_then).map(|past| past.key).ok_or(Refusal::NothingYet)?;
                // One that the bucket has lost may be the one that is meant.
                let follows = |past: &Past| past.on_line && past.parents.first() == Some(&found);
                if found != head && !past.iter().any(follows) {
                    let line = log.line(head);
                    let next = line.iter().take_while(|key| **key != found).last();
                    log.changed_by(*next.unwrap_or(&head)).await?;
                }
                Ok(found)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_numbers_with_or_without_a_commit() {
        for good in ["7", "0", "12-3fa2"] {
            assert_eq!(good.parse::<Generation>().unwrap().to_string(), good);
        }
        for bad in ["", "-1", "+7", "7-XY", "seven", "7-3fA2", "99999999999999999999"] {
            assert!(bad.parse::<Generation>().is_err(), "{bad:?} was taken");
        }
    }
}
