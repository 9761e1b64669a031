//! Commits read by docs/FORMAT.md, and contents put together from packs, without any engine.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cogzy_engine::content::open_chunk;
use cogzy_engine::model::{ChunkSlot, Commit, Digest, Entry, PackId, Recipe, Tree};

use crate::store::Store;

/// The vault as one commit left it, replayed here.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    pub tree: Tree,
    pub packs: BTreeSet<PackId>,
    chunks: BTreeMap<Digest, (PackId, ChunkSlot)>,
    recipes: BTreeMap<Digest, Recipe>,
}

impl Replayed {
    /// Takes over what a commit says of packs and recipes. Returns the entries that it names.
    pub fn take(&mut self, commit: &Commit) -> Vec<Entry> {
        for pack in &commit.packs {
            self.packs.insert(pack.id);
            self.chunks.extend(pack.chunks.iter().map(|slot| (slot.id, (pack.id, *slot))));
        }
        self.recipes.extend(commit.recipes.iter().map(|of| (of.digest, of.recipe.clone())));
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        commit.changes.iter().filter_map(|change| change.entry).chain(kept).collect()
    }
}

/// Puts a content together and holds it against its digest.
pub fn restore(
    state: &Replayed,
    entry: &Entry,
    objects: &BTreeMap<String, (Bytes, u64)>,
) -> Result<Vec<u8>, String> {
    let parts = match state.recipes.get(&entry.digest) {
        Some(recipe) if recipe.depth > 0 => {
            return Err("a recipe of recipes: the simulation writes none".into());
        }
        Some(recipe) => recipe.parts.iter().map(|part| part.id).collect(),
        None if entry.size == 0 => vec![],
        None => vec![entry.digest],
    };
    let mut whole = Vec::new();
    for part in parts {
        let (pack, slot) =
            state.chunks.get(&part).ok_or(format!("chunk {part} of {} is nowhere", entry.digest))?;
        let id = pack.to_string();
        let (body, _) =
            objects.get(&format!("packs/{}/{id}", &id[..2])).ok_or(format!("pack {id} is gone"))?;
        let [start, stored] = [slot.offset, slot.stored].map(|at| usize::try_from(at).unwrap());
        let stored = body.get(start..start + stored).ok_or(format!("pack {id} is too short"))?;
        whole.extend(open_chunk(*pack, slot, stored).map_err(|error| error.to_string())?);
    }
    if Digest::of(&whole) == entry.digest {
        Ok(whole)
    } else {
        Err(format!("{} cannot be put together", entry.digest))
    }
}

/// Every content that a commit names.
pub fn contents(store: &Store) -> Result<BTreeMap<Digest, Vec<u8>>, String> {
    let bucket = store.lock();
    let (mut state, mut named) = (Replayed::default(), Vec::new());
    for (_, (body, _)) in bucket.objects.range("commits/".to_owned().."commits0".to_owned()) {
        let commit = parse(body)?;
        named.extend(state.take(&commit));
    }
    named.into_iter().map(|entry| Ok((entry.digest, restore(&state, &entry, &bucket.objects)?))).collect()
}

pub fn parse(body: &[u8]) -> Result<Commit, String> {
    let (head, rest) = body.split_at_checked(9).ok_or("a commit is too short")?;
    let plain =
        if head[8] == 1 { zstd::decode_all(rest).map_err(|error| error.to_string())? } else { rest.to_vec() };
    serde_json::from_slice(&plain).map_err(|error| error.to_string())
}
