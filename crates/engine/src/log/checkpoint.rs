//! Checkpoints: stored states at a commit, so that a reader need not replay from the beginning.
//!
//! A state is written as sorted lines of JSON and stored as content through the chunk store, in
//! packs of its own. So a new checkpoint costs only the changes since the last. The checkpoint
//! object lists its chunks and their places. A missing or damaged checkpoint only costs requests:
//! the commits hold the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::chunks::pack_key;
use super::format::CHECKPOINTS;
use super::frame::{Decoded, ObjectKind, decode, encode};
use super::{ChunkReader, Depth, Log, LogError, Node, Snapshot};
use crate::clock::Entropy;
use crate::content::{ChunkIndex, Cutter, FinishedPack, Ingest};
use crate::model::{
    ChunkSlot, CommitKey, Conflict, ConflictId, Content, Digest, Entry, Ext, FIRST_FORMAT, FORMAT, Group,
    Keep, Need, PackId, PackInfo, Recipe, VaultId, VaultPath, limits,
};
use crate::plan::Ages;
use crate::remote::{Object, RemoteErrorKind, Span, list_all};

/// All of a checkpoint.
const WHOLE: Span = Span::UpTo(limits::CHECKPOINT_STORED);
/// Number of generations between checkpoints.
const EVERY: u64 = 32;
/// Number of newest checkpoints that stay at any age.
const KEPT: usize = 2;
/// Cache prefix of the state of a checkpoint, followed by the commit's name.
const CACHED: &str = "state/";

/// Checkpoint object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoint {
    format: u32,
    vault: VaultId,
    commit: CommitKey,
    /// The state as content.
    state: Content,
    /// Chunks of the state in order, each with its pack.
    pieces: Vec<Piece>,
    /// Features that the state needs, sorted. Absent in format 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    needs: Vec<Need>,
    /// Members that a reader may ignore. Absent in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ext: Option<Ext>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    pack: PackId,
    slot: ChunkSlot,
}

/// One line of the state. Lines are sorted by kind in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Needs(BTreeSet<Need>),
    Groups(Vec<Group>),
    Ages(String, Ages),
    Commit(CommitKey, Node),
    Conflict(Box<Conflict>),
    Resolved(ConflictId, Keep),
    Horizon(u64),
    Marked(PackId, CommitKey),
    Swept(PackId),
    Void(CommitKey),
    Pack(Box<PackInfo>),
    Recipe(Digest, Recipe),
    File(VaultPath, Entry),
}

impl Log {
    /// Loads the cached state, if there is one.
    pub(super) fn load_cached_state(&mut self) {
        for key in self.cache.keys(CACHED).iter().rev() {
            let taken = self.cache.get(key).is_some_and(|bytes| {
                let whole = bytes
                    .split_first_chunk::<32>()
                    .filter(|(sum, state)| Digest::of(state).as_bytes() == *sum);
                whole.is_some_and(|(_, state)| self.take_state(key, parse_name(key, CACHED), state).is_ok())
            });
            if taken {
                return;
            }
            self.cache.remove(key);
        }
    }

    /// Loads the newest usable checkpoint of the remote.
    pub(super) async fn load_checkpoint(&mut self) -> Result<(), LogError> {
        let listed = list_all(self.remote.as_ref(), CHECKPOINTS, None).await?;
        for object in listed.iter().rev() {
            match self.read_checkpoint(&object.key).await {
                Ok(()) => return Ok(()),
                Err(LogError::Remote(error)) if error.kind.offline() => return Err(error.into()),
                Err(error @ LogError::Newer { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(key = object.key, %error, "a checkpoint is unusable; an older one is tried");
                }
            }
        }
        Ok(())
    }

    async fn read_checkpoint(&mut self, key: &str) -> Result<(), LogError> {
        let (checkpoint, state) = self.checkpoint_state(key).await?;
        self.header_of(checkpoint.vault).await?;
        self.take_state(key, Some(checkpoint.commit), &state)?;
        self.cache_state(checkpoint.commit, &state);
        Ok(())
    }

    /// Reads a checkpoint and its state from the remote.
    pub(super) async fn checkpoint_state(&self, key: &str) -> Result<(Checkpoint, Vec<u8>), LogError> {
        let bytes = self.remote.get(key, WHOLE).await?;
        let Decoded { value: checkpoint, digest, .. } =
            decode::<Checkpoint>(ObjectKind::Checkpoint, key, &bytes)?;
        if key != format!("{CHECKPOINTS}{}", name(checkpoint.commit.seq, digest)) {
            return Err(LogError::corrupt(key, "its content belongs under another key"));
        }
        let slots: Vec<(PackId, ChunkSlot)> =
            checkpoint.pieces.iter().map(|piece| (piece.pack, piece.slot)).collect();
        let chunks = ChunkReader::new(Arc::clone(&self.remote)).collect(&slots).await?;
        let mut state = Vec::new();
        for piece in &checkpoint.pieces {
            let chunk = chunks
                .get(&piece.slot.id)
                .ok_or_else(|| LogError::corrupt(key, "a chunk of it is missing"))?;
            state.extend_from_slice(chunk);
        }
        if Digest::of(&state) != checkpoint.state.digest {
            return Err(LogError::corrupt(key, "its chunks are not the state it names"));
        }
        Ok((checkpoint, state))
    }

    /// Loads the state at `commit` as a start for replays.
    fn take_state(&mut self, key: &str, commit: Option<CommitKey>, state: &[u8]) -> Result<(), LogError> {
        let commit = commit.ok_or_else(|| LogError::corrupt(key, "it is named otherwise than a state is"))?;
        let mut snapshot = Snapshot { key: Some(commit), ..Snapshot::default() };
        let mut nodes = BTreeMap::new();
        for line in serde_json::Deserializer::from_slice(state).into_iter::<Line>() {
            match line.map_err(|error| LogError::corrupt(key, error))? {
                Line::Needs(needs) => snapshot.needs = needs,
                Line::Groups(groups) => {
                    let groups = crate::model::Groups::new(groups);
                    snapshot.groups = groups.map_err(|error| LogError::groups(key, &error))?;
                }
                Line::Ages(group, ages) => drop(snapshot.ages.insert(group, ages)),
                Line::Commit(commit, node) => drop(nodes.insert(commit, node)),
                Line::Conflict(conflict) => drop(snapshot.conflicts.insert(conflict.id, *conflict)),
                Line::Resolved(id, keep) => drop(snapshot.resolved.insert(id, keep)),
                Line::Horizon(horizon) => snapshot.horizon = horizon,
                Line::Marked(pack, by) => drop(snapshot.marked.insert(pack, by)),
                Line::Swept(pack) => drop(snapshot.swept.insert(pack)),
                Line::Void(commit) => drop(snapshot.void.insert(commit)),
                Line::Pack(pack) => drop(snapshot.packs.insert(pack.id, Arc::new(*pack))),
                Line::Recipe(digest, recipe) => drop(snapshot.recipes.insert(digest, recipe)),
                Line::File(path, entry) => drop(snapshot.tree.insert(path, entry)),
            }
        }
        if !nodes.contains_key(&commit) {
            return Err(LogError::corrupt(key, "it does not know its own commit"));
        }
        nodes.into_iter().for_each(|(commit, node)| self.graph.insert(commit, node));
        self.checkpoint = Some(commit);
        self.remember(Arc::new(snapshot));
        Ok(())
    }

    fn cache_state(&self, commit: CommitKey, state: &[u8]) {
        for old in self.cache.keys(CACHED) {
            self.cache.remove(&old);
        }
        let sum = Digest::of(state);
        self.cache.put(&format!("{CACHED}{commit}"), &[sum.as_bytes().as_slice(), state].concat());
    }

    /// Writes a checkpoint of `head` if one is due. Best effort: the next commit tries again. True
    /// if it wrote one.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn checkpoint_if_due(
        &mut self,
        head: CommitKey,
        entropy: &dyn Entropy,
    ) -> Result<bool, LogError> {
        let last = self.checkpoint.map_or(0, |key| key.seq);
        if head.seq < last + EVERY {
            return Ok(false);
        }
        // Readers of the checkpoint would never see a commit that it leaves out, so list all
        // commits first.
        self.refresh(Depth::Whole).await?;
        if self.graph.heads() != [head] {
            return Ok(false);
        }
        let snapshot = self.snapshot(Some(head)).await?;
        let state = self.state_of(head, &snapshot)?;
        let pieces = self.store(&state, &snapshot, entropy).await?;
        let vault = self.graph.get(head).map_or_else(|| self.vault(), |node| Some(node.vault));
        let vault = vault.ok_or_else(|| LogError::corrupt("the remote", "it holds no vault"))?;
        let content = Content { digest: Digest::of(&state), size: state.len() as u64 };
        let needs: Vec<Need> = snapshot.needs.iter().cloned().collect();
        let format = if needs.is_empty() { FIRST_FORMAT } else { FORMAT };
        let checkpoint = Checkpoint { format, vault, commit: head, state: content, pieces, needs, ext: None };
        let (digest, bytes) = encode(ObjectKind::Checkpoint, format, &checkpoint, true)?;
        self.remote.put(&format!("{CHECKPOINTS}{}", name(head.seq, digest)), Bytes::from(bytes)).await?;
        self.cache_state(head, &state);
        self.checkpoint = Some(head);
        Ok(true)
    }

    /// The state as sorted lines.
    fn state_of(&self, head: CommitKey, snapshot: &Snapshot) -> Result<Vec<u8>, LogError> {
        let mut state = Vec::new();
        let mut line = |line: Line| {
            serde_json::to_writer(&mut state, &line)
                .map_err(|error| LogError::corrupt("a new checkpoint", error))?;
            state.push(b'\n');
            Ok::<_, LogError>(())
        };
        if !snapshot.needs.is_empty() {
            line(Line::Needs(snapshot.needs.clone()))?;
        }
        line(Line::Groups(snapshot.groups.definitions().to_vec()))?;
        snapshot.ages.iter().try_for_each(|(group, ages)| line(Line::Ages(group.clone(), *ages)))?;
        let ancestry = self.graph.ancestry(head);
        let known = ancestry.iter().filter_map(|key| self.graph.get(*key).map(|node| (*key, node.clone())));
        known.into_iter().try_for_each(|(key, node)| line(Line::Commit(key, node)))?;
        let conflicts = snapshot.conflicts.values();
        conflicts.into_iter().try_for_each(|conflict| line(Line::Conflict(Box::new(conflict.clone()))))?;
        snapshot.resolved.iter().try_for_each(|(id, keep)| line(Line::Resolved(*id, *keep)))?;
        if snapshot.horizon > 0 {
            line(Line::Horizon(snapshot.horizon))?;
        }
        snapshot.marked.iter().try_for_each(|(pack, by)| line(Line::Marked(*pack, *by)))?;
        snapshot.swept.iter().try_for_each(|pack| line(Line::Swept(*pack)))?;
        snapshot.void.iter().try_for_each(|commit| line(Line::Void(*commit)))?;
        snapshot.packs.values().try_for_each(|pack| line(Line::Pack(Box::new(pack.as_ref().clone()))))?;
        snapshot
            .recipes
            .iter()
            .try_for_each(|(digest, recipe)| line(Line::Recipe(*digest, recipe.clone())))?;
        snapshot.tree.iter().try_for_each(|(path, entry)| line(Line::File(path.clone(), *entry)))?;
        Ok(state)
    }

    /// Stores a state, reusing the chunks of the last checkpoint.
    async fn store(
        &self,
        state: &[u8],
        snapshot: &Snapshot,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Piece>, LogError> {
        let mut earlier = self.last_pieces().await;
        let leaving = |pack: &PackId| snapshot.swept.contains(pack) || snapshot.marked.contains_key(pack);
        earlier.retain(|piece| !leaving(&piece.pack));
        let known: ChunkIndex = pieces_index(&earlier);
        let mut packs: Vec<FinishedPack> = Vec::new();
        let params = self.header()?.chunking;
        let unstorable = |error: &dyn std::fmt::Display| LogError::corrupt("a new checkpoint", error);
        let mut cutter = Cutter::new(params).map_err(|error| unstorable(&error))?;
        let mut order = Vec::new();
        let mut chunks = cutter.cut(state);
        while let Some(chunk) = chunks.next_chunk().map_err(|error| unstorable(&error))? {
            order.push(Digest::of(chunk));
        }
        let sink = |pack| {
            packs.push(pack);
            Ok::<_, std::convert::Infallible>(())
        };
        let mut ingest = Ingest::new(params, entropy, |id| known.contains(id), sink)
            .map_err(|error| unstorable(&error))?;
        ingest.add(state).map_err(|error| unstorable(&error))?;
        ingest.finish().map_err(|error| unstorable(&error))?;
        for pack in &packs {
            self.remote.put(&pack_key(pack.info.id), pack.bytes.clone()).await?;
        }
        let mut places = known;
        packs.iter().for_each(|pack| places.insert(&pack.info));
        let place = |id: &Digest| {
            let found = places.get(id).map(|(pack, slot)| Piece { pack, slot });
            found.ok_or_else(|| LogError::corrupt("a new checkpoint", "a chunk of it was not stored"))
        };
        order.iter().map(place).collect()
    }

    /// Packs that the checkpoints of the bucket need. `None` if a checkpoint cannot be read,
    /// because its needs are unknown then.
    ///
    /// # Errors
    /// Errors of the remote that are not about the object.
    pub async fn checkpoint_packs(&self) -> Result<Option<BTreeSet<PackId>>, LogError> {
        let needs: Option<Vec<BTreeSet<PackId>>> =
            self.checkpoints().await?.into_iter().map(|(_, packs)| packs).collect();
        Ok(needs.map(|packs| packs.into_iter().flatten().collect()))
    }

    /// Deletes checkpoints that were put before `before_ms` by the server's clock, except the
    /// newest ones. Also deletes those that came so late that one of their packs was already swept.
    /// Their packs then belong to nothing. Returns the number deleted.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn delete_old_checkpoints(&self, before_ms: i64, head: &Snapshot) -> Result<usize, LogError> {
        let swept = |packs: &BTreeSet<PackId>| packs.iter().any(|pack| head.has_swept(pack));
        let (mut doomed, whole): (Vec<_>, Vec<_>) =
            self.checkpoints().await?.into_iter().partition(|(_, packs)| packs.as_ref().is_some_and(swept));
        let spare = whole.len().saturating_sub(KEPT);
        doomed.extend(whole.into_iter().take(spare).filter(|(object, _)| object.modified_ms < before_ms));
        for (object, _) in &doomed {
            self.remote.delete(&object.key).await?;
        }
        Ok(doomed.len())
    }

    /// Checkpoints of the bucket, the oldest first, each with the packs that it needs, or `None` if
    /// it cannot be read.
    async fn checkpoints(&self) -> Result<Vec<(Object, Option<BTreeSet<PackId>>)>, LogError> {
        let mut checkpoints = Vec::new();
        for object in list_all(self.remote.as_ref(), CHECKPOINTS, None).await? {
            let bytes = match self.remote.get(&object.key, WHOLE).await {
                Ok(bytes) => bytes,
                // Another prune has already deleted it.
                Err(error) if error.kind == RemoteErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let read: Result<Decoded<Checkpoint>, LogError> =
                decode(ObjectKind::Checkpoint, &object.key, &bytes);
            let read = read.inspect_err(|error| {
                tracing::warn!(key = object.key, %error, "a checkpoint cannot be read: what it needs is not known");
            });
            let packs = read.map(|read| read.value.pieces.iter().map(|piece| piece.pack).collect());
            checkpoints.push((object, packs.ok()));
        }
        Ok(checkpoints)
    }

    /// Chunks of the newest checkpoint in the bucket. Empty if there is none or it cannot be read.
    async fn last_pieces(&self) -> Vec<Piece> {
        let read = async {
            let listed = list_all(self.remote.as_ref(), CHECKPOINTS, None).await?;
            let Some(newest) = listed.last() else { return Ok(Vec::new()) };
            let bytes = self.remote.get(&newest.key, WHOLE).await?;
            let read: Decoded<Checkpoint> = decode(ObjectKind::Checkpoint, &newest.key, &bytes)?;
            Ok::<_, LogError>(read.value.pieces)
        };
        // Without them the new checkpoint is stored whole.
        read.await.unwrap_or_default()
    }
}

fn pieces_index(pieces: &[Piece]) -> ChunkIndex {
    let mut packs: BTreeMap<PackId, PackInfo> = BTreeMap::new();
    for piece in pieces {
        let blank = || PackInfo { id: piece.pack, digest: Digest::of(b""), size: 0, chunks: Vec::new() };
        packs.entry(piece.pack).or_insert_with(blank).chunks.push(piece.slot);
    }
    packs.values().collect()
}

/// Name of a checkpoint: the generation in 16 digits, and the digest of its plaintext.
fn name(seq: u64, digest: Digest) -> String {
    format!("{seq:016}-{digest}")
}

fn parse_name(key: &str, prefix: &str) -> Option<CommitKey> {
    CommitKey::parse(key.strip_prefix(prefix)?)
}
