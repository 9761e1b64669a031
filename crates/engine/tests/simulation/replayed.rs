//! Commits read by docs/FORMAT.md, and contents put together from packs, without any engine.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use cogzy_engine::content::open_chunk;
use cogzy_engine::model::{ChunkSlot, Commit, CommitKey, Digest, Entry, PackId, Recipe, Tree};

use crate::store::Store;

pub type Objects = BTreeMap<String, (Bytes, u64)>;

pub fn pack_name(pack: PackId) -> String {
    let id = pack.to_string();
    format!("packs/{}/{id}", &id[..2])
}

/// Packs that stand in commits, each with the name of its commit, and its bytes up to the table.
#[derive(Debug, Clone, Default)]
pub struct Within(BTreeMap<PackId, (String, Bytes)>);

impl Within {
    /// Takes the pack out of a commit. Returns all packs that the commit brings.
    pub fn take(&mut self, key: CommitKey, commit: &Commit) -> Vec<(PackId, Vec<ChunkSlot>)> {
        let mut all: Vec<_> = commit.packs.iter().map(|pack| (pack.id, pack.chunks.clone())).collect();
        if let Some(enclosed) = &commit.enclosed {
            let id = PackId::from_bytes(key.id.as_bytes()[..16].try_into().unwrap());
            let body = [&[0; 8], enclosed.bytes.0.as_slice()].concat();
            self.0.insert(id, (format!("commits/{key}"), body.into()));
            all.push((id, enclosed.chunks.clone()));
        }
        all
    }

    /// The commit in which a pack stands.
    pub fn commit(&self, pack: PackId) -> Option<&str> {
        self.0.get(&pack).map(|(name, _)| name.as_str())
    }

    /// The bytes of a pack, wherever it is.
    pub fn bytes<'a>(&'a self, pack: PackId, objects: &'a Objects) -> Option<&'a [u8]> {
        let object = || objects.get(&pack_name(pack)).map(|(body, _)| body.as_ref());
        let within = self.0.get(&pack).filter(|(name, _)| objects.contains_key(name));
        within.map(|(_, body)| body.as_ref()).or_else(object)
    }
}

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
    pub fn take(&mut self, commit: &Commit, packs: Vec<(PackId, Vec<ChunkSlot>)>) -> Vec<Entry> {
        for (pack, chunks) in packs {
            self.packs.insert(pack);
            self.chunks.extend(chunks.iter().map(|slot| (slot.id, (pack, *slot))));
        }
        self.recipes.extend(commit.recipes.iter().map(|of| (of.digest, of.recipe.clone())));
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        commit.changes.iter().filter_map(|change| change.entry).chain(kept).collect()
    }
}

/// Puts a content together and holds it against its digest.
pub fn restore(
    state: &Replayed,
    within: &Within,
    entry: &Entry,
    objects: &Objects,
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
        let body = within.bytes(*pack, objects).ok_or(format!("pack {pack} is gone"))?;
        let [start, stored] = [slot.offset, slot.stored].map(|at| usize::try_from(at).unwrap());
        let stored = body.get(start..start + stored).ok_or(format!("pack {pack} is too short"))?;
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
    let (mut state, mut within, mut named) = (Replayed::default(), Within::default(), Vec::new());
    for (name, (body, _)) in bucket.objects.range("commits/".to_owned().."commits0".to_owned()) {
        let key = CommitKey::parse(&name["commits/".len()..]).ok_or(format!("{name} is no commit"))?;
        let commit = parse(body)?;
        let packs = within.take(key, &commit);
        named.extend(state.take(&commit, packs));
    }
    named
        .into_iter()
        .map(|entry| Ok((entry.digest, restore(&state, &within, &entry, &bucket.objects)?)))
        .collect()
}

pub fn parse(body: &[u8]) -> Result<Commit, String> {
    let (head, rest) = body.split_at_checked(9).ok_or("a commit is too short")?;
    let plain =
        if head[8] == 1 { zstd::decode_all(rest).map_err(|error| error.to_string())? } else { rest.to_vec() };
    serde_json::from_slice(&plain).map_err(|error| error.to_string())
}
