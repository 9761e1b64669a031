//! Test data of this module, the same on every machine.

use std::io::{self, ErrorKind, Read};

/// Pseudo-random bytes: BLAKE3's output stream for `seed`.
pub fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// `count` rows of `dim` little-endian float32, of unit length with normally distributed
/// components, like sentence embeddings.
pub fn unit_rows(seed: &str, count: usize, dim: usize) -> Vec<u8> {
    let uniform = noise(seed, count * dim * 8);
    let mut bytes = Vec::with_capacity(count * dim * 4);
    for row in uniform.chunks_exact(dim * 8) {
        let unit = |bytes: &[u8]| {
            (f64::from(u32::from_le_bytes(bytes.try_into().unwrap())) + 0.5) / (f64::from(u32::MAX) + 1.0)
        };
        let normal = row.chunks_exact(8).map(|pair| {
            (-2.0 * unit(&pair[..4]).ln()).sqrt() * (std::f64::consts::TAU * unit(&pair[4..])).cos()
        });
        let row: Vec<f64> = normal.collect();
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        #[expect(clippy::cast_possible_truncation, reason = "rounding to float32 is the point")]
        bytes.extend(row.iter().flat_map(|x| ((x / length) as f32).to_le_bytes()));
    }
    bytes
}

/// Corpus of nodes in the app's format.
pub fn json_nodes(seed: &str, count: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "memory", "of", "the", "garden", "where", "we", "met", "a", "decision", "about", "pricing", "and",
        "tomorrow", "is", "unclear", "agent",
    ];
    let noise = noise(seed, count * 32);
    let nodes = noise.chunks_exact(32).enumerate().map(|(n, bytes)| {
        let text: Vec<&str> = bytes.iter().skip(8).map(|byte| WORDS[usize::from(byte % 16)]).collect();
        let id: String = bytes[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            r#"{{"id":"node-{id}","index":{n},"text":"{}","importance":0.{},"tags":["{}"]}}"#,
            text.join(" "),
            bytes[9],
            text[0]
        )
    });
    format!("[{}]", nodes.collect::<Vec<_>>().join(",\n")).into_bytes()
}

/// Reader that returns its bytes in steps of odd lengths, with an interruption before each.
pub struct Dribble<'a> {
    rest: &'a [u8],
    steps: Vec<usize>,
    at: usize,
    then: Option<ErrorKind>,
}

impl<'a> Dribble<'a> {
    /// Creates a reader with steps of these lengths plus one, repeated forever.
    pub fn new(bytes: &'a [u8], steps: Vec<usize>) -> Self {
        Self { rest: bytes, steps, at: 0, then: None }
    }
}

impl Dribble<'static> {
    /// Creates a reader that only fails.
    pub fn failing() -> Self {
        Self { rest: &[], steps: vec![0], at: 0, then: Some(ErrorKind::TimedOut) }
    }
}

impl Read for Dribble<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(kind) = self.then {
            return Err(kind.into());
        }
        self.at += 1;
        if self.at % 2 == 1 {
            return Err(ErrorKind::Interrupted.into());
        }
        let step = self.steps[(self.at / 2) % self.steps.len()] + 1;
        let take = step.min(buffer.len()).min(self.rest.len());
        buffer[..take].copy_from_slice(&self.rest[..take]);
        self.rest = &self.rest[take..];
        Ok(take)
    }
}
