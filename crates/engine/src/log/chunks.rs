//! Reads chunks from packs.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::LogError;
use crate::content::{ContentError, PackRead, READ_GAP, READ_MAX, join_ranges};
use crate::model::{ChunkSlot, Digest, PackId, limits};
use crate::remote::{Remote, RemoteError, RemoteErrorKind, Span};

/// Prefix of packs, followed by the first two digits of the id, a slash and the id.
pub const PACKS: &str = "packs/";
/// Number of concurrent reads.
const PARALLEL_READS: usize = 4;

/// Key of a pack.
#[must_use]
pub fn pack_key(pack: PackId) -> String {
    let id = pack.to_string();
    let (folder, _) = id.split_at(2);
    format!("{PACKS}{folder}/{id}")
}

/// Parses the key of a pack. Returns `None` for other keys.
#[must_use]
pub fn parse_pack_key(key: &str) -> Option<PackId> {
    let pack = key.strip_prefix(PACKS)?.split_once('/')?.1.parse().ok()?;
    (pack_key(pack) == key).then_some(pack)
}

/// Reads chunks from a remote's packs and checks each against its id.
#[derive(Debug, Clone)]
pub struct ChunkReader {
    remote: Arc<dyn Remote>,
}

impl ChunkReader {
    /// Creates a reader for the packs of `remote`.
    #[must_use]
    pub const fn new(remote: Arc<dyn Remote>) -> Self {
        Self { remote }
    }

    /// Executes one read and decodes its chunks.
    ///
    /// # Errors
    /// Errors of the remote; damaged chunks. A missing pack is `NotFound`.
    pub async fn read(&self, read: PackRead) -> Result<Vec<(Digest, Vec<u8>)>, LogError> {
        let key = pack_key(read.pack);
        let body: Bytes = match self.remote.get(&key, Span::Part(read.range.clone())).await {
            Ok(body) => body,
            Err(error) if error.kind == RemoteErrorKind::Malformed => {
                return Err(self.too_short(&key, read.range.end).await?.unwrap_or(LogError::Remote(error)));
            }
            Err(error) => return Err(error.into()),
        };
        let chunks = read.open(&body).zip(&read.chunks).map(|(chunk, slot)| Ok((slot.id, chunk?)));
        chunks.collect::<Result<_, ContentError>>().map_err(LogError::Content)
    }

    /// Checks if the object is shorter than the range that the store cannot give. Then asking again
    /// does not help.
    async fn too_short(&self, key: &str, end: u64) -> Result<Option<LogError>, LogError> {
        let there = self.remote.head(key).await?.map(|object| object.size).filter(|size| *size < end);
        Ok(there.map(|size| LogError::corrupt(key, format!("it has only {size} bytes, and {end} are named"))))
    }

    /// Reads the chunks at `slots` into memory, for lists and other small data.
    ///
    /// # Errors
    /// Errors of [`ChunkReader::read`]; chunks of more than [`limits::GATHERED`] bytes.
    pub async fn collect(&self, slots: &[(PackId, ChunkSlot)]) -> Result<HashMap<Digest, Vec<u8>>, LogError> {
        let mut slots = slots.to_vec();
        slots.sort_unstable_by_key(|(pack, slot)| (*pack, slot.offset, slot.id));
        slots.dedup();
        let bytes: u64 = slots.iter().map(|(_, slot)| u64::from(slot.len)).sum();
        if bytes > limits::GATHERED {
            let why =
                format!("{bytes} bytes of chunks are wanted at once: expected at most {}", limits::GATHERED);
            return Err(LogError::corrupt(
                slots.first().map_or_else(String::new, |(pack, _)| pack_key(*pack)),
                why,
            ));
        }
        let reads = join_ranges(&slots, READ_GAP, READ_MAX);
        let read = stream::iter(reads).map(|read| self.read(read)).buffered(PARALLEL_READS);
        read.try_fold(HashMap::new(), |mut all, chunks| async move {
            all.extend(chunks);
            Ok(all)
        })
        .await
    }

    /// Reads a whole pack. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn whole(&self, pack: PackId) -> Result<Option<Bytes>, RemoteError> {
        match self.remote.get(&pack_key(pack), Span::UpTo(limits::PACK_STORED)).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
