//! Chunks that something is about to rely on: are they where the tables of packs say?
//!
//! Whoever can write to the bucket can put a pack there whose table names any chunk. A device that believed
//! it would not send what it has, and would delete the true copy. So before a commit relies on a chunk, and
//! before a prune deletes another copy of it, the chunk is read, unless this device has sent or read it at
//! that place before. Nothing is written but the cache.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::SyncError;
use super::session::Context;
use crate::content::ChunkIndex;
use crate::log::{ChunkReader, Offsets};
use crate::model::{Digest, PackId};

impl Context {
    /// Chunks that none of their places in `index` gives.
    pub(crate) async fn not_there(
        &self,
        index: &ChunkIndex,
        ids: impl IntoIterator<Item = Digest>,
    ) -> Result<BTreeSet<Digest>, SyncError> {
        let mut known: HashMap<PackId, BTreeSet<u32>> = HashMap::new();
        let (mut places, mut missing) = (Vec::new(), BTreeSet::new());
        for id in ids {
            let is_sound = index.places(&id).any(|(pack, slot)| {
                let sound = || self.ports.database.sound(pack).unwrap_or_default();
                known.entry(pack).or_insert_with(sound).contains(&slot.offset)
            });
            match index.get(&id) {
                _ if is_sound => {}
                Some(place) => places.push(place),
                None => drop(missing.insert(id)),
            }
        }
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        for (_, slot) in reader.missing(&places).await? {
            match reader.from_any(index, slot.id).await {
                Ok(Some(_)) => {}
                Ok(None) => drop(missing.insert(slot.id)),
                Err(error) if error.is_of_a_place() => drop(missing.insert(slot.id)),
                Err(error) => return Err(error.into()),
            }
        }
        self.note_sound(&reader.take_sound());
        Ok(missing)
    }

    /// Notes places that gave the chunk that they should.
    pub(crate) fn note_sound(&self, places: &Offsets) {
        for (pack, offsets) in places {
            if let Err(error) = self.ports.database.note_sound(*pack, offsets) {
                tracing::debug!(%error, "what was read could not be noted; it is read again if need be");
            }
        }
    }
}
