//! The entropy of one device, which a seed decides.

use std::sync::Mutex;

use cogzy_engine::clock::Entropy;
use cogzy_testkit::rng::Rng;

#[derive(Debug)]
pub struct SimEntropy(Mutex<Rng>);

impl SimEntropy {
    pub const fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }

    pub fn copy(&self) -> Self {
        Self::new(self.0.lock().unwrap().clone())
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.0.lock().unwrap();
        for part in bytes.chunks_mut(8) {
            let drawn = rng.number().to_le_bytes();
            part.copy_from_slice(&drawn[..part.len()]);
        }
    }
}
