//! Moves the needed chunks of worn packs to new packs, so that the old ones can go; and joins small
//! packs, of which a reader fetches each by a request of its own.
//!
//! Chunks move as they are stored, each checked against its name; of a pack only the ranges are
//! fetched that hold them. The new packs are put first and named by the commit that marks the old
//! ones. A crash in between leaves packs that belong to nothing, and a later prune takes them. One
//! run fetches a bounded number of bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::random;
use crate::content::{ChunkIndex, FinishedPack, PACK_TARGET, PackBuilder, PackRead, ReadLimits, join_ranges};
use crate::log::{LogError, Places, pack_key};
use crate::model::{ChunkSlot, Digest, PackId, PackInfo};
use crate::remote::{RemoteErrorKind, Span};
use crate::sync::session::Context;
use crate::sync::{Phase, Progress, SyncError, Watcher};

/// Percentage of its chunks' bytes that nothing needs, above which a pack is worth moving.
const MOSTLY_DEAD: u64 = 20;
/// Most bytes that one run fetches.
pub(super) const MOST_BYTES: u64 = 256 << 20;
/// Needed bytes below which a pack is small. Two that are not make a pack of the usual size.
const SMALL: u64 = PACK_TARGET as u64 / 2;
/// Small packs that are never too many: each new one would else be joined by the next prune.
const FEW: usize = 8;

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

/// Packs that are worth moving, the emptiest first, then small ones if they are many, as many as
/// one run may. `lasting` are packs that nobody marks, `old` is true for those old enough to be
/// touched.
pub(crate) fn worn(lasting: &[Arc<PackInfo>], places: &Places, old: impl Fn(PackId) -> bool) -> Vec<Worn> {
    let aged: Vec<Arc<PackInfo>> = lasting.iter().filter(|pack| old(pack.id)).map(Arc::clone).collect();
    let (mut found, mut small) = (Vec::new(), Vec::new());
    for worn in needed(&aged, places) {
        let (kept, all) = (bytes(&worn.live), bytes(&worn.pack.chunks));
        let dead = all.saturating_sub(kept);
        let share = kept * 100 / all.max(1);
        if dead * 100 > all * MOSTLY_DEAD {
            found.push((share, kept, worn));
        } else if kept < SMALL {
            small.push((share, kept, worn));
        }
    }
    if are_many(small.iter().map(|(_, kept, _): &(u64, u64, Worn)| *kept)) {
        found.extend(small);
    }
    found.sort_by_key(|(share, kept, worn)| (*share, *kept, worn.pack.id));
    let mut fetched = 0;
    let within = found.into_iter().take_while(|(_, _, worn)| {
        fetched += reads(worn).iter().map(|read| read.range.end - read.range.start).sum::<u64>();
        fetched <= MOST_BYTES
    });
    within.map(|(_, _, worn)| worn).collect()
}

/// The chunks that lie in a `worn` pack and in one of `packs`, at the places in those.
fn copies(worn: &[Worn], packs: &[Arc<PackInfo>]) -> ChunkIndex {
    let moving: BTreeSet<PackId> = worn.iter().map(|worn| worn.pack.id).collect();
    let chunks: BTreeSet<Digest> = worn.iter().flat_map(|worn| &worn.live).map(|slot| slot.id).collect();
    let staying = packs.iter().filter(|pack| !moving.contains(&pack.id));
    staying.map(|pack| Arc::new(pack.only(|slot| chunks.contains(&slot.id)))).collect()
}

fn bytes(slots: &[ChunkSlot]) -> u64 {
    slots.iter().map(|slot| u64::from(slot.stored)).sum()
}

/// True if small packs of these sizes cost a reader more than twice the requests that it needs for
/// their bytes.
fn are_many(sizes: impl Iterator<Item = u64>) -> bool {
    let (count, bytes) = sizes.fold((0_usize, 0_u64), |(count, sum), size| (count + 1, sum + size));
    count > FEW && count as u64 > 2 * bytes.div_ceil(PACK_TARGET as u64)
}

/// The reads that fetch the needed chunks of a pack.
fn reads(worn: &Worn) -> Vec<PackRead> {
    let places: Vec<(PackId, ChunkSlot)> = worn.live.iter().map(|slot| (worn.pack.id, *slot)).collect();
    join_ranges(&places, ReadLimits::AT_ONCE)
}

impl Context {
    /// Leaves out the chunks that one of the `staying` packs gives: of two copies, the next prune
    /// would find one of no use. What a table says is not enough for that.
    pub(crate) async fn leave_copies(
        &self,
        worn: &mut [Worn],
        staying: &[Arc<PackInfo>],
    ) -> Result<(), SyncError> {
        let copies = copies(worn, staying);
        let live = worn.iter().flat_map(|worn| &worn.live).map(|slot| slot.id);
        let copied: BTreeSet<Digest> = live.filter(|id| copies.contains(id)).collect();
        let missing = self.not_there(&copies, copied.iter().copied()).await?;
        for worn in worn {
            worn.live.retain(|slot| !copied.contains(&slot.id) || missing.contains(&slot.id));
        }
        Ok(())
    }

    /// Puts the needed chunks of `worn` packs into new ones. A pack of which one cannot be read is
    /// left alone.
    pub(crate) async fn repack(&self, worn: Vec<Worn>, watcher: &dyn Watcher) -> Result<Moved, SyncError> {
        let mut progress =
            Progress { phase: Phase::Download, files_total: worn.len(), ..Progress::default() };
        progress.bytes_total = worn.iter().map(|worn| bytes(&worn.live)).sum();
        let (mut moved, mut open): (Moved, Option<PackBuilder>) = Default::default();
        for worn in worn {
            watcher.progress(progress);
            progress.files_done += 1;
            progress.bytes_done += bytes(&worn.live);
            let Some(stored) = self.stored(&worn).await? else {
                tracing::warn!(pack = %worn.pack.id, "a pack is damaged, and is left as it is: run `cogzy-vault verify --repair`");
                continue;
            };
            for (slot, stored) in &stored {
                let id = || PackId::from_bytes(random(self.ports.entropy.as_ref()));
                let builder = open.get_or_insert_with(|| PackBuilder::new(id()));
                let len = usize::try_from(slot.len).unwrap_or(usize::MAX);
                let unfit = |error: crate::content::PackError| LogError::Content(error.into());
                builder.push(slot.id, len, slot.codec, stored).map_err(unfit)?;
                if builder.size() >= PACK_TARGET {
                    self.put_pack(open.take().and_then(PackBuilder::finish), &mut moved).await?;
                }
            }
            moved.left.push(worn.pack.id);
        }
        self.put_pack(open.and_then(PackBuilder::finish), &mut moved).await?;
        Ok(moved)
    }

    /// The needed chunks of a pack as they are stored. None if one of them is not there.
    async fn stored(&self, worn: &Worn) -> Result<Option<Vec<(ChunkSlot, Bytes)>>, SyncError> {
        let key = pack_key(worn.pack.id);
        let mut stored = Vec::with_capacity(worn.live.len());
        for read in reads(worn) {
            let body = match self.ports.remote.get(&key, Span::Part(read.range.clone())).await {
                Ok(body) => body,
                // The pack is gone, or shorter than its table says.
                Err(error)
                    if matches!(error.kind, RemoteErrorKind::NotFound | RemoteErrorKind::Malformed) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            for (slot, chunk) in read.chunks.iter().zip(read.open(&body)) {
                if chunk.is_err() {
                    return Ok(None);
                }
                let from = u64::from(slot.offset) - read.range.start;
                let range = from..from + u64::from(slot.stored);
                let [start, end] =
                    [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
                stored.push((*slot, body.slice(start..end)));
            }
        }
        Ok(Some(stored))
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

#[cfg(test)]
mod tests;
