//! Repairs damaged data: local files from the bucket, objects of the bucket from this device.
//!
//! Decided here: the source of each repair. An object that is written again has the very bytes that
//! were committed. Commits and headers come from the cache's verified copies; a pack is put
//! together from the chunks that can still be read, here or there. If some of its chunks are
//! nowhere, zeros stand for them, which no reader takes for a chunk; the others are at their places
//! again. So the only bytes ever overwritten are wrong ones. A damaged local file is replaced as in
//! any apply, and lies in the trash afterwards. A version that cannot be repaired is named by file
//! and generation.
//!
//! A crash leaves what was repaired until then; running it again goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::verify::is_damaged;
use super::{Fault, Verified};
use crate::content::{ChunkIndex, Encoder, PackBuilder, open_chunk, stored_in};
use crate::fs::readable_files_below;
use crate::log::{ChunkReader, Depth, Snapshot, pack_key, parse_commit_key};
use crate::model::{ChunkSlot, CommitKey, Digest, Entry, PackId, PackInfo, VaultPath};
use crate::plan::{Action, FileStep, Step};
use crate::sync::cycle::{Incoming, Local, OnDisk, list_chunks};
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, SyncError, Watcher, blocking};
use crate::vault::{Purpose, Scan};

/// Result of a repair.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Repaired {
    /// Local files that hold their right bytes again.
    pub files: Vec<String>,
    /// Objects that were written again.
    pub objects: Vec<String>,
    /// Packs that were written again with the chunks that are still somewhere; their other chunks
    /// are lost.
    #[serde(default)]
    pub partly: Vec<String>,
    /// Damaged checkpoints that were deleted: the commits hold the same.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// Objects that were set aside, or are not believed, and that are told of no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dismissed: Vec<String>,
    /// Versions whose bytes are neither here nor in the bucket.
    pub lost: Vec<Lost>,
}

/// A version of a file that cannot be put together any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Lost {
    /// The file. For a conflict, its id comes first.
    pub path: String,
    /// Generation that made it.
    pub from: u64,
    /// Last generation that has it.
    pub to: u64,
}

impl Engine {
    /// Verifies everything, repairs what it can, and verifies again. Returns the result of the
    /// second look.
    ///
    /// # Errors
    /// Errors that keep it from looking or writing; its findings are no errors.
    pub async fn repair(&mut self, watcher: &dyn Watcher) -> Result<(Verified, Repaired), SyncError> {
        let mut session = self.session(watcher).await?;
        let mut first = session.verify(true).await?;
        let mut repaired = Repaired { dismissed: session.log.dismiss(), ..Repaired::default() };
        if first.faults.is_empty() {
            first.aside = session.log.aside();
            return Ok((first, repaired));
        }
        session.put_right(&first.faults, &mut repaired).await?;
        let second = session.verify(true).await?;
        repaired.lost.clone_from(&second.lost);
        Ok((second, repaired))
    }
}

impl Session<'_> {
    async fn put_right(&mut self, faults: &[Fault], repaired: &mut Repaired) -> Result<(), SyncError> {
        self.recover().await?;
        let bad: BTreeSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        for key in &bad {
            if self.log.put_again(key).await? {
                repaired.objects.push((*key).to_owned());
            }
        }
        // While a commit is missing, the rest of a checkpoint may be needed.
        let put = |key: &str| repaired.objects.iter().any(|put| put == key);
        if !bad.iter().any(|key| parse_commit_key(key).is_some() && !put(key)) {
            for key in &bad {
                if self.log.drop_damaged_checkpoint(key).await? {
                    repaired.dropped.push((*key).to_owned());
                }
            }
        }
        self.rescue().await?;
        let head = self.log.graph().heads().first().copied();
        let state = self.log.snapshot(head).await?;
        let packs: Vec<Arc<PackInfo>> =
            state.packs.values().filter(|pack| bad.contains(pack_key(pack.id).as_str())).cloned().collect();
        if !packs.is_empty() {
            self.rebuild_packs(&state, &packs, repaired).await?;
        }
        // After the bucket, since they come from it.
        repaired.files = self.repair_files().await?;
        Ok(())
    }

    /// Writes packs again that can have more chunks than are readable in them now.
    async fn rebuild_packs(
        &self,
        state: &Snapshot,
        bad: &[Arc<PackInfo>],
        repaired: &mut Repaired,
    ) -> Result<(), SyncError> {
        let Context { layout, ports, .. } = self.context;
        let is_good = |pack: &&Arc<PackInfo>| bad.iter().all(|other| other.id != pack.id);
        let good: ChunkIndex = state.packs.values().filter(is_good).map(AsRef::as_ref).collect();
        let params = self.log.header()?.chunking;
        let mut here = OnDisk::default();
        blocking(|| {
            let files = readable_files_below(self.context.fs(), layout.root());
            files.into_iter().for_each(|path| here.add_file(self.context.fs(), path, params));
        });
        let reader = ChunkReader::new(Arc::clone(&ports.remote));
        let mut encoder = Encoder::new().map_err(|error| SyncError::Upload(error.to_string()))?;
        for pack in bad {
            let old = reader.whole(pack.id).await?;
            let mut builder = PackBuilder::new(pack.id);
            let mut found = 0_usize;
            for slot in &pack.chunks {
                let stored = match old.as_deref().and_then(|bytes| stored_part(pack.id, slot, bytes)) {
                    Some(stored) => Some(stored.to_vec()),
                    None => {
                        let plain = match blocking(|| here.chunk(self.context.fs(), &slot.id)) {
                            Some(plain) => Some(plain),
                            None => elsewhere(&reader, &good, slot.id).await?,
                        };
                        let stored = plain.and_then(|plain| encoded(&mut encoder, slot, &plain));
                        found += usize::from(stored.is_some());
                        stored
                    }
                };
                let [len, size] = [slot.len, slot.stored].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
                let stored = stored.unwrap_or_else(|| vec![0; size]);
                let pushed = builder.push(slot.id, len, slot.codec, &stored);
                pushed.map_err(|error| SyncError::Upload(error.to_string()))?;
            }
            let Some(finished) = builder.finish() else { continue };
            let whole = finished.info == **pack;
            if whole || found > 0 {
                let key = pack_key(pack.id);
                ports.remote.put(&key, finished.bytes).await?;
                if whole { &mut repaired.objects } else { &mut repaired.partly }.push(key);
            }
        }
        Ok(())
    }

    /// Fetches local files again whose bytes have changed although no program wrote to them.
    async fn repair_files(&mut self) -> Result<Vec<String>, SyncError> {
        let context = self.context;
        let state = self.log.snapshot(context.agreed()?).await?;
        let scan = blocking(|| context.fresh_scan(self.marker.vault, &state))?;
        let steps = context.damaged(&scan, &state);
        let (steps, local) = (steps.iter().collect(), Local::of(scan));
        // Of no commit: the agreed state stays as it is, also if this is cut short.
        let incoming = Incoming {
            steps,
            remote: &state,
            local: &local,
            purpose: Purpose::Repair,
            finish: true,
            whole: false,
        };
        let done = self.pull(&incoming).await?;
        self.conclude().await?;
        let mended = incoming.steps.iter().filter(|step| done.contains(&step.item));
        Ok(mended.flat_map(|step| &step.files).map(|file| file.path.to_string()).collect())
    }

    /// Versions that need a chunk of a pack that is still damaged.
    pub(super) async fn lost(&mut self, faults: &[Fault]) -> Result<Vec<Lost>, SyncError> {
        self.log.refresh(Depth::Near).await?;
        let Some(head) = self.log.graph().heads().first().copied() else { return Ok(Vec::new()) };
        let bad: BTreeSet<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        let reader = ChunkReader::new(Arc::clone(&self.context.ports.remote));
        let mut readable: HashMap<Digest, bool> = HashMap::new();
        let mut open: BTreeMap<String, (u64, bool)> = BTreeMap::new();
        let mut lost = BTreeSet::new();
        let line: Vec<CommitKey> = self.log.line(head).into_iter().rev().collect();
        // A chunk that a later pack holds too is not lost.
        let (mut index, mut packs) = (ChunkIndex::default(), BTreeSet::new());
        let newest = self.log.snapshot(Some(head)).await?;
        add_readable(&reader, &newest, &bad, &mut packs, &mut index).await?;
        for key in line {
            let changed = self.log.changed_by(key).await?;
            let state = self.log.readable(key, Some(head)).await?;
            add_readable(&reader, &state, &bad, &mut packs, &mut index).await?;
            let files = changed.iter().map(|path| (path.to_string(), state.tree.get(path).copied()));
            let kept = state.conflicts.values().flat_map(|conflict| {
                let named = move |path: &VaultPath| format!("conflict {}: {path}", conflict.id.short());
                conflict.files.iter().map(move |file| (named(&file.path), file.entry))
            });
            let kept = kept.filter(|(name, _)| !open.contains_key(name));
            let looked: Vec<(String, Option<Entry>)> = files.chain(kept).collect();
            for (name, entry) in looked {
                if let Some((from, true)) = open.remove(&name) {
                    lost.insert(Lost { path: name.clone(), from, to: key.seq - 1 });
                }
                let Some(entry) = entry else { continue };
                let is_readable = match readable.get(&entry.digest) {
                    Some(known) => *known,
                    None => can_be_read(&reader, &index, &state, &name, entry).await?,
                };
                readable.insert(entry.digest, is_readable);
                open.insert(name, (key.seq, !is_readable));
            }
        }
        let standing = open.into_iter().filter(|(_, (_, is_lost))| *is_lost);
        lost.extend(standing.map(|(path, (from, _))| Lost { path, from, to: head.seq }));
        Ok(lost.into_iter().collect())
    }
}

impl Context {
    /// Local files that differ from the agreed state although no program wrote to them, as the
    /// steps that repair them.
    fn damaged(&self, scan: &Scan, state: &Snapshot) -> Vec<Step> {
        let known = self.ports.database.stats().unwrap_or_default();
        let mut steps: BTreeMap<_, Step> = BTreeMap::new();
        for (path, found) in &scan.files {
            let cached =
                known.get(path).filter(|cached| is_damaged(cached, found) && !scan.in_parts.contains(path));
            let right = cached.and_then(|cached| {
                state.tree.get(path).filter(|entry| entry.digest == cached.digest).copied()
            });
            let Some(right) = right else { continue };
            let file = FileStep { path: path.clone(), from: Some(found.entry), to: Some(right) };
            let item = state.groups.item(path);
            let step = steps.entry(item.clone()).or_insert_with(|| Step {
                item,
                action: Action::Pull,
                files: Vec::new(),
                agreed: BTreeMap::new(),
            });
            step.files.push(file);
        }
        steps.into_values().collect()
    }
}

/// Adds the chunks that can be read of a state's packs, except the `packs` that were looked at
/// before.
async fn add_readable(
    reader: &ChunkReader,
    state: &Snapshot,
    bad: &BTreeSet<&str>,
    packs: &mut BTreeSet<PackId>,
    index: &mut ChunkIndex,
) -> Result<(), SyncError> {
    for pack in state.packs.values().filter(|pack| packs.insert(pack.id)) {
        if !bad.contains(pack_key(pack.id).as_str()) {
            index.insert(pack);
            continue;
        }
        let Some(bytes) = reader.whole(pack.id).await? else { continue };
        let chunks = pack.chunks.iter().filter(|slot| stored_part(pack.id, slot, &bytes).is_some());
        index.insert(&PackInfo { chunks: chunks.copied().collect(), ..pack.as_ref().clone() });
    }
    Ok(())
}

/// Stored bytes of a chunk in a pack's object, if they are right.
pub(crate) fn stored_part<'a>(pack: PackId, slot: &ChunkSlot, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let stored = stored_in(slot, bytes);
    open_chunk(pack, slot, stored).is_ok().then_some(stored)
}

/// The chunk as the pack stored it. None if this program packs it differently.
fn encoded(encoder: &mut Encoder, slot: &ChunkSlot, plain: &[u8]) -> Option<Vec<u8>> {
    let (codec, stored) = encoder.encode(plain).ok()?;
    (codec == slot.codec && stored.len() as u64 == u64::from(slot.stored)).then(|| stored.to_vec())
}

/// The chunk from another pack.
async fn elsewhere(
    reader: &ChunkReader,
    good: &ChunkIndex,
    id: Digest,
) -> Result<Option<Vec<u8>>, SyncError> {
    match reader.from_any(good, id).await {
        Ok(chunk) => Ok(chunk),
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn can_be_read(
    reader: &ChunkReader,
    index: &ChunkIndex,
    state: &Snapshot,
    name: &str,
    entry: Entry,
) -> Result<bool, SyncError> {
    let recipe = state.recipes.get(&entry.digest);
    match list_chunks(reader, index, name, entry.content(), recipe).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}
