//! Bytes and trees that are measured.

use cogzy_engine::model::{Digest, Entry, Tree, VaultPath};

/// Random numbers, the same each time.
pub struct Draw(u64);

impl Draw {
    /// Numbers that begin with `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Elements of embeddings: 32-bit floats between -0.05 and 0.05.
#[must_use]
pub fn floats(bytes: usize) -> Vec<u8> {
    let mut draw = Draw::new(1);
    let mut one = || (draw.bits() >> 40) as f32 / 167_772_160.0 - 0.05;
    (0..bytes / 4).flat_map(|_| one().to_le_bytes()).collect()
}

/// Entries of a corpus: JSON with words, and ids that never come again.
#[must_use]
pub fn text(bytes: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["memory", "vault", "note", "idea", "plan", "graph", "trace", "garden"];
    let (mut draw, mut made) = (Draw::new(2), Vec::with_capacity(bytes + 1000));
    while made.len() < bytes {
        let id = draw.bits();
        let words: Vec<&str> = (0..60).map(|_| WORDS[(draw.bits() >> 61) as usize]).collect();
        made.extend_from_slice(format!("{{\"id\": \"{id:016x}\", \"content\": \"{}\"}}, ", words.join(" ")).as_bytes());
    }
    made.truncate(bytes);
    made
}

/// The path of a file of a vault.
#[must_use]
pub fn path(number: usize) -> VaultPath {
    VaultPath::new(&format!("traces/{:03}/{number}.json", number % 100)).expect("it is a path")
}

/// A manifest of so many files, of which each `changed`th is another than without.
#[must_use]
pub fn tree(files: usize, changed: Option<usize>) -> Tree {
    let version = |number: usize| changed.is_some_and(|every| number.is_multiple_of(every));
    let entry = |number: usize| Entry {
        digest: Digest::of(format!("{number} {}", version(number)).as_bytes()),
        size: 500,
        mtime_ms: 0,
        mode: 0o644,
        rows: None,
    };
    (0..files).map(|number| (path(number), entry(number))).collect()
}
