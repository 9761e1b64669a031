//! Chunks of packs that this device has sent or read: it may rely on them.
//!
//! What the table of a pack says is somebody's word. Losing these records costs only that the
//! chunks are read once more before something relies on them.

use std::collections::BTreeSet;

use super::{Database, DatabaseError};
use crate::model::{PackId, PackInfo};

/// Start of the keys, among the copies of log objects.
const SOUND: &str = "sound/";

impl Database {
    /// Offsets of the chunks of a pack that are known to be there.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn sound(&self, pack: PackId) -> Result<BTreeSet<u32>, DatabaseError> {
        let bytes = self.object(&format!("{SOUND}{pack}"))?.unwrap_or_default();
        let offsets = bytes.chunks_exact(4).filter_map(|offset| offset.try_into().ok());
        Ok(offsets.map(u32::from_le_bytes).collect())
    }

    /// Notes that chunks of a pack are there.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn note_sound(&self, pack: PackId, offsets: &BTreeSet<u32>) -> Result<(), DatabaseError> {
        let known = self.sound(pack)?;
        if offsets.is_subset(&known) {
            return Ok(());
        }
        let all: Vec<u8> = known.union(offsets).flat_map(|offset| offset.to_le_bytes()).collect();
        self.put_object(&format!("{SOUND}{pack}"), &all)
    }

    /// Notes that all chunks of a pack are there.
    ///
    /// # Errors
    /// Errors of the database.
    pub fn note_sound_pack(&self, pack: &PackInfo) -> Result<(), DatabaseError> {
        self.note_sound(pack.id, &pack.chunks.iter().map(|slot| slot.offset).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fs::RealFs;

    #[test]
    fn what_was_read_adds_up() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(Arc::new(RealFs), &folder.path().join("cache.db")).unwrap();
        let (one, other) = (PackId::from_bytes([1; 16]), PackId::from_bytes([2; 16]));
        assert!(database.sound(one).unwrap().is_empty());
        database.note_sound(one, &[8, 70_000].into()).unwrap();
        database.note_sound(one, &[9, 8].into()).unwrap();
        assert_eq!(database.sound(one).unwrap(), [8, 9, 70_000].into());
        assert!(database.sound(other).unwrap().is_empty());
    }
}
