//! The content of a file, hashed once: nearly all of it is looked at again and again, and never
//! changes.

use std::ops::Deref;
use std::sync::OnceLock;

use cogzy_engine::model::Digest;

#[derive(Debug, Default)]
pub struct Content {
    bytes: Vec<u8>,
    digest: OnceLock<Digest>,
}

impl Content {
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, digest: OnceLock::new() }
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}
