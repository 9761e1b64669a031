//! Chunks that something is about to rely on: are they where the tables of packs say?
//!
//! Whoever can write to the bucket can put a pack there whose table names any chunk. A device that
//! believed it would not send what it has, and would delete the true copy. So before a commit
//! relies on a chunk, and before a prune deletes another copy of it, the chunk is read, unless this
//! device has sent or read it at that place before. Nothing is written but the cache.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::session::Context;
use super::{SyncError, blocking, object_cache};
use crate::content::ChunkIndex;
use crate::log::{ChunkReader, Leaves, Snapshot, note_claim, pack_key};
use crate::model::{ChunkSlot, Content, Digest, PackId, PackInfo};

/// Result of reading chunks that several packs say to have.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Places that do not give their chunk, although another place does.
    pub(crate) lies: BTreeSet<(PackId, Digest)>,
    /// Chunks that none of their places gives. One of these may have held it before it was damaged,
    /// and nobody can tell which: a repair needs that place.
    pub(crate) nowhere: BTreeSet<Digest>,
}

/// Chunks that a push leaves to packs of others.
#[derive(Debug, Default)]
pub(crate) struct Relied {
    /// The chunks.
    pub(crate) chunks: BTreeSet<Digest>,
    /// Lists among them that were asked for just now, and that no place gave.
    pub(crate) unread: BTreeSet<Digest>,
    /// Packs that should hold these. They may have lost more.
    pub(crate) doubted: BTreeSet<PackId>,
    /// True where the vault has a recipe that does not belong to its content.
    pub(crate) is_wrong: bool,
}

impl Relied {
    /// Adds what contents need that the state of `head` has already.
    ///
    /// # Errors
    /// Errors of the remote.
    pub(crate) async fn add(
        &mut self,
        context: &Context,
        index: &ChunkIndex,
        head: &Snapshot,
        contents: Vec<Content>,
    ) -> Result<(), SyncError> {
        if contents.is_empty() {
            return Ok(());
        }
        let reader = ChunkReader::new(Arc::clone(&context.ports.remote));
        let recipes = blocking(|| context.recipes_of(&head.recipes))?;
        for content in contents {
            let recipe = recipes.get(&content.digest);
            match reader.list_chunks(index, &Leaves::new(), content, recipe).await {
                Ok(listed) => {
                    self.chunks.extend(listed.lists.into_iter().chain(listed.chunks).chain(listed.missing));
                    let packs = listed.unread.iter().flat_map(|id| index.places(id));
                    self.doubted.extend(packs.map(|(pack, _)| pack));
                    self.unread.extend(listed.unread);
                }
                Err(error) if error.is_damage() => {
                    tracing::warn!(%error, "the vault does not hold what it says: the file is read");
                    self.is_wrong = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Context {
    /// Chunks that none of their places in `index` gives.
    pub(crate) async fn not_there(
        &self,
        index: &ChunkIndex,
        ids: impl IntoIterator<Item = Digest>,
    ) -> Result<BTreeSet<Digest>, SyncError> {
        self.not_there_now(index, ids, &BTreeSet::new()).await
    }

    /// The same, where it counts for nothing that this device has once read a chunk in one of the
    /// `doubted` packs.
    pub(crate) async fn not_there_now(
        &self,
        index: &ChunkIndex,
        ids: impl IntoIterator<Item = Digest>,
        doubted: &BTreeSet<PackId>,
    ) -> Result<BTreeSet<Digest>, SyncError> {
        let mut known = Known::default();
        let (mut places, mut missing) = (Vec::new(), BTreeSet::new());
        for id in ids {
            let mut places_of = index.places(&id).filter(|(pack, _)| !doubted.contains(pack));
            let is_sound = places_of.any(|place| known.is_sound(self, place));
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
        self.note_read(&reader);
        Ok(missing)
    }

    /// Reads chunks that have several places, as far as the first place that gives them. `lists` of
    /// packs come in the order in which their chunks are preferred.
    pub(crate) async fn doubts(&self, lists: [&[Arc<PackInfo>]; 3]) -> Result<Doubts, SyncError> {
        let mut places: BTreeMap<Digest, Vec<(PackId, ChunkSlot)>> = BTreeMap::new();
        for list in lists {
            let by_id: BTreeMap<PackId, &Arc<PackInfo>> = list.iter().map(|pack| (pack.id, pack)).collect();
            for (id, pack) in by_id {
                pack.chunks.iter().for_each(|slot| places.entry(slot.id).or_default().push((id, *slot)));
            }
        }
        places.retain(|_, places| places.len() > 1);
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let mut doubts = Doubts::default();
        loop {
            let mut known = Known::default();
            places.retain(|_, places| !places.first().is_some_and(|place| known.is_sound(self, *place)));
            let first: Vec<(PackId, ChunkSlot)> =
                places.values().filter_map(|places| places.first().copied()).collect();
            if first.is_empty() {
                self.note_lies(&doubts.lies);
                return Ok(doubts);
            }
            let missing: BTreeSet<(PackId, Digest)> =
                reader.missing(&first).await?.into_iter().map(|(pack, slot)| (pack, slot.id)).collect();
            self.note_read(&reader);
            // What gave its chunk is settled, whether the cache could keep that or not.
            places.retain(|id, places| {
                let lied = places.first().is_some_and(|(pack, _)| missing.contains(&(*pack, *id)));
                if lied {
                    places.remove(0);
                }
                if lied && places.is_empty() {
                    doubts.nowhere.insert(*id);
                }
                lied && !places.is_empty()
            });
            doubts.lies.extend(missing);
            doubts.lies.retain(|(_, id)| !doubts.nowhere.contains(id));
        }
    }

    /// Notes places that gave the chunk that they should, and packs that did not.
    pub(crate) fn note_read(&self, reader: &ChunkReader) {
        for (pack, offsets) in reader.take_sound() {
            if let Err(error) = self.ports.database.note_sound(pack, &offsets) {
                tracing::debug!(%error, "what was read could not be noted; it is read again if need be");
            }
        }
        self.note_lies(&reader.take_lies().into_iter().collect());
    }

    /// Notes packs that do not hold a chunk that another one gives.
    fn note_lies(&self, lies: &BTreeSet<(PackId, Digest)>) {
        let cache = object_cache(&self.ports);
        for (pack, chunk) in lies {
            let why = format!(
                "its commit says that it holds chunk {}, and it does not: another pack gives it",
                chunk.short()
            );
            note_claim(cache.as_ref(), &pack_key(*pack), &why);
        }
    }
}

/// Places of packs that are known to be sound, as far as they were asked for.
#[derive(Default)]
struct Known(HashMap<PackId, BTreeSet<u32>>);

impl Known {
    fn is_sound(&mut self, context: &Context, (pack, slot): (PackId, ChunkSlot)) -> bool {
        let sound = || context.ports.database.sound(pack).unwrap_or_default();
        self.0.entry(pack).or_insert_with(sound).contains(&slot.offset)
    }
}
