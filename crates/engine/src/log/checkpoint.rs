//! Checkpoints: stored states at a commit, so that a reader need not replay from the beginning.
//!
//! A state is written as sorted lines of JSON and stored as content through the chunk store, in
//! packs of its own. So a new checkpoint costs only the changes since the last. The checkpoint
//! object lists its chunks and their places. A missing or damaged checkpoint only costs requests:
//! the commits hold the same state.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::chunks::pack_key;
use super::encode::encode;
use super::format::CHECKPOINTS;
use super::frame::{Decoded, ObjectKind, decode};
use super::start::seq_of;
use super::{Depth, Log, LogError, Snapshot};
use crate::clock::Entropy;
use crate::content::{ChunkIndex, Cutter, FinishedPack, Ingest, check_slot};
use crate::model::{
    ChunkSlot, CommitKey, Content, Digest, Ext, FIRST_FORMAT, FORMAT, Need, PackId, PackInfo, VaultId,
    at_most, limits,
};
use crate::remote::{Object, RemoteErrorKind, Span, list_all};

/// All of a checkpoint.
const WHOLE: Span = Span::UpTo(limits::CHECKPOINT_STORED);
/// Least number of generations between checkpoints, and the most.
pub(super) const EVERY: u64 = 32;
const MOST_APART: u64 = 8 * EVERY;
/// One is due once the commits since the last have this share of its bytes: one in so many.
const SHARE: u64 = 8;
/// Key in the cache of the generation at which a checkpoint was looked for and none was due.
const LOOKED_FOR: &str = "looked-for-checkpoint";
/// Number of newest checkpoints that stay at any age.
const KEPT: usize = 2;
/// Generations of which one checkpoint stays at any age, where states of all of them may be read.
const SPARED_IN: u64 = 1024;

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
    #[serde(deserialize_with = "at_most::<_, _, { limits::PIECES }>")]
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

impl Checkpoint {
    /// Commit whose state it is.
    pub(super) const fn commit(&self) -> CommitKey {
        self.commit
    }

    /// Vault that it belongs to.
    pub(super) const fn vault(&self) -> VaultId {
        self.vault
    }

    /// Digest of the state.
    pub(super) const fn state(&self) -> Digest {
        self.state.digest
    }

    /// Places of the state's chunks, in order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (PackId, ChunkSlot)> + '_ {
        self.pieces.iter().map(|piece| (piece.pack, piece.slot))
    }

    fn check(&self, format: u64) -> Result<(), String> {
        if u64::from(self.format) != format {
            return Err(format!("its head says format {format}, and it {}", self.format));
        }
        for Piece { pack, slot } in &self.pieces {
            check_slot(*pack, slot).map_err(|error| error.to_string())?;
        }
        let bytes: u64 = self.pieces.iter().map(|piece| u64::from(piece.slot.len)).sum();
        if bytes != self.state.size || bytes > limits::STATE {
            let (size, most) = (self.state.size, limits::STATE);
            return Err(format!("its chunks have {bytes} of {size} bytes: expected all, and at most {most}"));
        }
        Ok(())
    }
}

impl Log {
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
        let last = self.start.as_ref().and_then(|start| seq_of(&start.checkpoint)).unwrap_or(0);
        let near = |seq: u64| head.seq < seq + EVERY;
        if near(last.max(self.checkpointed)) || near(self.looked_for(head)) {
            return Ok(false);
        }
        // Another device may have written one.
        let listed = list_all(self.remote.as_ref(), CHECKPOINTS, None).await?;
        let seqs = listed.iter().filter_map(|object| seq_of(&object.key));
        self.checkpointed = seqs.filter(|seq| *seq <= head.seq).max().unwrap_or(0);
        if head.seq < self.checkpointed + EVERY {
            return Ok(false);
        }
        if let Some(last) = listed.iter().rfind(|object| seq_of(&object.key) == Some(self.checkpointed))
            && self.is_enough(&last.key, head).await?
        {
            // It is looked at again after as many generations, also by the next process.
            self.cache.put(LOOKED_FOR, &head.seq.to_le_bytes());
            return Ok(false);
        }
        // Readers of the checkpoint would never see a commit that it leaves out, so list all
        // commits first.
        self.refresh(Depth::Whole).await?;
        if self.graph.heads() != [head] {
            return Ok(false);
        }
        let snapshot = self.snapshot(Some(head)).await?;
        self.write_checkpoint(head, &snapshot, entropy).await?;
        Ok(true)
    }

    /// The generation at which none was due when it was last looked for; 0 if that was after
    /// `head`.
    fn looked_for(&self, head: CommitKey) -> u64 {
        let noted = self.cache.get(LOOKED_FOR).and_then(|bytes| bytes.try_into().ok());
        noted.map(u64::from_le_bytes).filter(|seq| *seq <= head.seq).unwrap_or(0)
    }

    /// True if a checkpoint is still near enough: the commits since are few bytes beside it, so
    /// that writing all of a large state again would cost more than it spares a reader.
    async fn is_enough(&mut self, key: &str, head: CommitKey) -> Result<bool, LogError> {
        let seq = seq_of(key).unwrap_or(0);
        if head.seq >= seq + MOST_APART {
            return Ok(false);
        }
        let checkpoint = match self.read_checkpoint(key).await {
            Err(LogError::Remote(error)) if error.kind.offline() => return Err(error.into()),
            // One that cannot be read spares nobody anything.
            Err(_) => return Ok(false),
            Ok(checkpoint) => checkpoint,
        };
        let state: u64 = checkpoint.slots().map(|(_, slot)| u64::from(slot.stored)).sum();
        let since: u64 = self.list_commits(seq + 1).await?.values().map(|seen| seen.size).sum();
        Ok(since * SHARE < state)
    }

    pub(super) async fn write_checkpoint(
        &mut self,
        head: CommitKey,
        snapshot: &Snapshot,
        entropy: &dyn Entropy,
    ) -> Result<(), LogError> {
        let state = self.state_of(head, snapshot)?;
        self.write_state(head, snapshot, &state, entropy).await
    }

    /// Writes `state`, the lines of `snapshot`, as a checkpoint.
    pub(super) async fn write_state(
        &mut self,
        head: CommitKey,
        snapshot: &Snapshot,
        state: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<(), LogError> {
        if state.len() as u64 > limits::STATE {
            let why =
                format!("its state would have {} bytes, and {} is the most", state.len(), limits::STATE);
            return Err(LogError::TooMuch { why });
        }
        let pieces = self.store(state, snapshot, entropy).await?;
        let vault = self.graph.get(head).map_or_else(|| self.vault(), |node| Some(node.vault));
        let vault = vault.ok_or_else(|| LogError::corrupt("the remote", "it holds no vault"))?;
        let content = Content { digest: Digest::of(state), size: state.len() as u64 };
        let needs: Vec<Need> = snapshot.needs.iter().cloned().collect();
        let format = if needs.is_empty() { FIRST_FORMAT } else { FORMAT };
        let checkpoint = Checkpoint { format, vault, commit: head, state: content, pieces, needs, ext: None };
        let (digest, bytes) = encode(ObjectKind::Checkpoint, format, &checkpoint, true)?;
        let key = checkpoint_key(head.seq, digest);
        self.remote.put(&key, Bytes::from(bytes)).await?;
        self.cache_state(head, key, snapshot)
    }

    /// The state as sorted lines.
    pub(super) fn state_of(&self, head: CommitKey, snapshot: &Snapshot) -> Result<Vec<u8>, LogError> {
        let past = self.graph.part(&self.graph.ancestry(head));
        let mut state = Vec::new();
        for line in snapshot.lines(&past) {
            state.extend(line.bytes()?);
            state.push(b'\n');
        }
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
        packs.iter().for_each(|pack| places.insert(pack.info.clone()));
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
    /// newest ones, and those from which old states are read. Also deletes those that came so late
    /// that one of their packs was already swept. Their packs then belong to nothing. One that
    /// cannot be deleted, because it is locked, keeps no other from it. Returns the number deleted.
    ///
    /// # Errors
    /// Errors of the remote: of several the first.
    pub async fn delete_old_checkpoints(&self, before_ms: i64, head: &Snapshot) -> Result<usize, LogError> {
        let swept = |packs: &BTreeSet<PackId>| packs.iter().any(|pack| head.has_swept(pack));
        let (mut doomed, whole): (Vec<_>, Vec<_>) =
            self.checkpoints().await?.into_iter().partition(|(_, packs)| packs.as_ref().is_some_and(swept));
        // One that cannot be read serves nobody, and keeps packs without a commit from going.
        let readable = whole.iter().filter(|(_, packs)| packs.is_some());
        let seqs: Vec<u64> = readable.filter_map(|(object, _)| seq_of(&object.key)).collect();
        let spared = spared(&seqs, head.horizon);
        let goes = |object: &Object| {
            object.modified_ms < before_ms && seq_of(&object.key).is_none_or(|seq| !spared.contains(&seq))
        };
        doomed.extend(whole.into_iter().filter(|(object, _)| goes(object)));
        let keys: Vec<String> = doomed.into_iter().map(|(object, _)| object.key).collect();
        if !keys.is_empty() {
            self.remote.delete_all(&keys).await?;
        }
        Ok(keys.len())
    }

    /// Checkpoints of the bucket, the oldest first, each with the packs that it needs, or `None` if
    /// it cannot be read.
    async fn checkpoints(&self) -> Result<Vec<(Object, Option<BTreeSet<PackId>>)>, LogError> {
        let mut checkpoints = Vec::new();
        for object in list_all(self.remote.as_ref(), CHECKPOINTS, None).await? {
            let packs = match self.read_checkpoint(&object.key).await {
                Ok(read) => Some(read.pieces.iter().map(|piece| piece.pack).collect()),
                // Another prune has already deleted it.
                Err(LogError::Remote(error)) if error.kind == RemoteErrorKind::NotFound => continue,
                Err(LogError::Remote(error)) if !matches!(error.kind, RemoteErrorKind::TooLarge { .. }) => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::warn!(key = object.key, %error, "a checkpoint cannot be read: what it needs is not known");
                    None
                }
            };
            checkpoints.push((object, packs));
        }
        Ok(checkpoints)
    }

    /// Chunks of the checkpoint that this device wrote or proved last. Another one may name chunks
    /// that do not exist. Empty if there is none or it cannot be read: then the new one is stored
    /// whole.
    async fn last_pieces(&self) -> Vec<Piece> {
        let Some(start) = &self.start else { return Vec::new() };
        let read = self.read_checkpoint(&start.checkpoint).await;
        read.map(|checkpoint| checkpoint.pieces).unwrap_or_default()
    }

    /// Reads a checkpoint object.
    pub(super) async fn read_checkpoint(&self, key: &str) -> Result<Checkpoint, LogError> {
        let bytes = self.remote.get(key, WHOLE).await?;
        let read: Decoded<Checkpoint> = decode(ObjectKind::Checkpoint, key, &bytes)?;
        if key != checkpoint_key(read.value.commit.seq, read.digest) {
            return Err(LogError::corrupt(key, "its content belongs under another key"));
        }
        read.value.check(u64::from(read.format)).map_err(|why| LogError::corrupt(key, why))?;
        Ok(read.value)
    }
}

/// Generations whose checkpoints stay at any age: of those that are there, sorted, the newest; the
/// newest from before the horizon, where the oldest state that is kept is read from, or the oldest;
/// and after that a few, far from each other.
pub(super) fn spared(seqs: &[u64], horizon: u64) -> BTreeSet<u64> {
    let newest = seqs.iter().rev().take(KEPT).copied();
    let (before, after) = seqs.split_at(seqs.partition_point(|seq| *seq < horizon));
    let mut spared: BTreeSet<u64> =
        before.last().or(after.first().filter(|_| horizon > 0)).copied().into_iter().collect();
    let mut last = spared.first().copied().unwrap_or(0);
    for seq in after {
        if *seq >= last + SPARED_IN {
            last = *seq;
            spared.insert(last);
        }
    }
    spared.extend(newest);
    spared
}

fn pieces_index(pieces: &[Piece]) -> ChunkIndex {
    let mut packs: BTreeMap<PackId, PackInfo> = BTreeMap::new();
    for piece in pieces {
        let blank = || PackInfo { id: piece.pack, digest: Digest::of(b""), size: 0, chunks: Vec::new() };
        packs.entry(piece.pack).or_insert_with(blank).chunks.push(piece.slot);
    }
    packs.into_values().collect()
}

/// Name of a checkpoint: the generation in 16 digits, and the digest of its plaintext.
pub(super) fn checkpoint_key(seq: u64, digest: Digest) -> String {
    format!("{CHECKPOINTS}{seq:016}-{digest}")
}
