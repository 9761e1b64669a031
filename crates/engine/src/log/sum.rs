//! Sum of a state's lines: it proves that a checkpoint is the state of its commit.
//!
//! A commit may name the sum of the state that it is a difference to. Its id is a digest of all
//! that, so the sum is as sure as the commit itself. A device that replays the commit knows that
//! state and refuses a commit that names another one. A device that joins later adds up the lines
//! of a checkpoint. So it knows if this is the state that the commits make, without reading all of
//! them.
//!
//! The cost of the sum must follow the changes, not the size of the state, and must not depend on
//! order. So each line is hashed to 1,024 numbers, and lines are added and taken away number by
//! number. That is LtHash with 16-bit numbers, over BLAKE3's output stream. To find other lines
//! with the same sum is as hard as finding short vectors in a lattice of that size: more than 2^200
//! steps.
//!
//! Source: Lewi, Kim, Maykov, Weis, "Securing Update Propagation with Homomorphic Hashing", 2019.

use std::fmt;

use crate::model::Digest;

/// Numbers of a sum.
const NUMBERS: usize = 1024;
/// Bytes of a sum.
pub(super) const BYTES: usize = 2 * NUMBERS;
/// Sets these hashes apart from all others in a bucket.
const CONTEXT: &str = "cogzy-vault 2026-11-27 line of a state";

/// Sum of lines.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StateSum(Box<[u16; NUMBERS]>);

impl Default for StateSum {
    fn default() -> Self {
        Self(Box::new([0; NUMBERS]))
    }
}

impl fmt::Debug for StateSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest().fmt(f)
    }
}

impl StateSum {
    /// Adds a line.
    pub(super) fn add(&mut self, line: &[u8]) {
        let mut hashed = HashedLine::default();
        hashed.update(line);
        self.add_hashed(&hashed);
    }

    /// Adds a line that was hashed piece by piece.
    pub(super) fn add_hashed(&mut self, line: &HashedLine) {
        let numbers = line.numbers();
        for (sum, number) in self.0.iter_mut().zip(numbers.as_chunks().0) {
            *sum = sum.wrapping_add(u16::from_le_bytes(*number));
        }
    }

    /// Takes a line away that was added.
    pub(super) fn take(&mut self, line: &[u8]) {
        let mut hashed = HashedLine::default();
        hashed.update(line);
        for (sum, number) in self.0.iter_mut().zip(hashed.numbers().as_chunks().0) {
            *sum = sum.wrapping_sub(u16::from_le_bytes(*number));
        }
    }

    /// Digest of the sum, as commits name it.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    pub(super) fn from_bytes(bytes: &[u8; BYTES]) -> Self {
        let mut sum = Self::default();
        for (number, bytes) in sum.0.iter_mut().zip(bytes.as_chunks().0) {
            *number = u16::from_le_bytes(*bytes);
        }
        sum
    }
}

/// A line that is being hashed.
pub(super) struct HashedLine(blake3::Hasher);

impl Default for HashedLine {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(CONTEXT))
    }
}

impl HashedLine {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn numbers(&self) -> [u8; BYTES] {
        let mut numbers = [0; BYTES];
        self.0.finalize_xof().fill(&mut numbers);
        numbers
    }
}

#[cfg(test)]
mod tests;
