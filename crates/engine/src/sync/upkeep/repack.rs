//! Moves the needed chunks of worn packs to new packs, so that the old ones can go.
//!
//! Chunks move as they are stored, each checked against its name. The new packs are put first and
//! named by the commit that marks the old ones. A crash in between leaves packs that belong to
//! nothing, and a later prune takes them. One run moves a bounded number of bytes.

use std::sync::Arc;

use super::repair::stored_part;
use crate::clock::random;
use crate::content::{FinishedPack, PACK_TARGET, PackBuilder};
use crate::log::{ChunkReader, LogError, Places, Snapshot, pack_key};
use crate::model::{ChunkSlot, PackId, PackInfo};
use crate::sync::SyncError;
use crate::sync::session::Context;

/// Percentage of its chunks' bytes that nothing needs, above which a pack is worth moving.
const MOSTLY_DEAD: u64 = 20;
/// Most bytes that one run moves.
const MOST_BYTES: u64 = 256 << 20;

/// Chunks of a pack that are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worn {
    pub(crate) pack: Arc<PackInfo>,
    pub(crate) live: Vec<ChunkSlot>,
}

/// Result of moving chunks.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// Packs that hold them now.
    pub(crate) packs: Vec<PackInfo>,
    /// Packs that nothing needs any more.
    pub(crate) left: Vec<PackId>,
}

/// Needed chunks of `packs`, for each pack that has any.
pub(crate) fn needed(packs: &[Arc<PackInfo>], places: &Places) -> Vec<Worn> {
    let live = |pack: &Arc<PackInfo>| -> Vec<ChunkSlot> {
        let lies_here = |slot: &&ChunkSlot| places.chunks.get(&slot.id) == Some(&pack.id);
        pack.chunks.iter().filter(lies_here).copied().collect()
    };
    let worn = packs.iter().map(|pack| Worn { pack: Arc::clone(pack), live: live(pack) });
    worn.filter(|worn| !worn.live.is_empty()).collect()
}

/// Packs that are worth moving, the emptiest first, as many as one run may. `old` is true for packs
/// old enough to be touched.
pub(crate) fn worn(state: &Snapshot, places: &Places, old: impl Fn(PackId) -> bool) -> Vec<Worn> {
    let lasting: Vec<Arc<PackInfo>> =
        state.lasting_packs().filter(|pack| old(pack.id)).map(Arc::clone).collect();
    let bytes = |slots: &[ChunkSlot]| slots.iter().map(|slot| u64::from(slot.stored)).sum::<u64>();
    let mut found: Vec<(u64, Worn)> = Vec::new();
    for Worn { pack, live } in needed(&lasting, places) {
        let (kept, all) = (bytes(&live), bytes(&pack.chunks));
        let dead = all.saturating_sub(kept);
        if dead * 100 > all * MOSTLY_DEAD {
            found.push((kept * 100 / all.max(1), Worn { pack, live }));
        }
    }
    found.sort_by_key(|(share, worn)| (*share, worn.pack.id));
    let mut moved = 0;
    let within = found.into_iter().take_while(|(_, worn)| {
        moved += bytes(&worn.live);
        moved <= MOST_BYTES
    });
    within.map(|(_, worn)| worn).collect()
}

impl Context {
    /// Puts the needed chunks of `worn` packs into new ones. A pack that cannot be read whole is
    /// left alone.
    pub(crate) async fn repack(&self, worn: Vec<Worn>) -> Result<Moved, SyncError> {
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let (mut moved, mut open): (Moved, Option<PackBuilder>) = Default::default();
        for Worn { pack, live } in worn {
            let Some(bytes) = reader.whole(pack.id).await? else { continue };
            let stored: Option<Vec<&[u8]>> =
                live.iter().map(|slot| stored_part(pack.id, slot, &bytes)).collect();
            let Some(stored) = stored else {
                tracing::warn!(pack = %pack.id, "a pack is damaged, and is left as it is: run `cogzy-vault verify --repair`");
                continue;
            };
            for (slot, stored) in live.iter().zip(stored) {
                let id = || PackId::from_bytes(random(self.ports.entropy.as_ref()));
                let builder = open.get_or_insert_with(|| PackBuilder::new(id()));
                let len = usize::try_from(slot.len).unwrap_or(usize::MAX);
                let unfit = |error: crate::content::PackError| LogError::Content(error.into());
                builder.push(slot.id, len, slot.codec, stored).map_err(unfit)?;
                if builder.size() >= PACK_TARGET {
                    self.put_pack(open.take().and_then(PackBuilder::finish), &mut moved).await?;
                }
            }
            moved.left.push(pack.id);
        }
        self.put_pack(open.and_then(PackBuilder::finish), &mut moved).await?;
        Ok(moved)
    }

    async fn put_pack(&self, pack: Option<FinishedPack>, moved: &mut Moved) -> Result<(), SyncError> {
        if let Some(FinishedPack { info, bytes }) = pack {
            self.ports.remote.put(&pack_key(info.id), bytes).await?;
            if let Err(error) = self.ports.database.note_sound_pack(&info) {
                tracing::debug!(%error, "what was put could not be noted; it is read again if need be");
            }
            moved.packs.push(info);
        }
        Ok(())
    }
}
