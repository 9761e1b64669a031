//! Repairs damaged data: local files from the bucket, objects of the bucket from this device.
//!
//! Decided here: the source of each repair. An object that is written again has the very bytes that
//! were committed. Commits and headers come from the cache's verified copies; a pack is put
//! together from the chunks that can still be read, here or there. If some of its chunks are
//! nowhere, zeros stand for them, which no reader takes for a chunk; the others are at their places
//! again. So the only bytes ever overwritten are wrong ones. An object that its own table calls
//! sound, with another table than the commits have of it, stays, unless all its chunks lie
//! elsewhere too: the table of the commits may be the lie. What no pack can have again is sent in
//! new ones ([`super::send_again`]). A damaged local file is replaced as in
//! any apply, and lies in the trash afterwards. A version that cannot be repaired is named by file
//! and generation.
//!
//! A crash leaves what was repaired until then; running it again goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lost::{Losses, Lost};
use super::verify::is_damaged;
use super::{Fault, Verified};
use crate::content::{ChunkIndex, Encoder, PackBuilder, open_chunk, read_table, stored_in};
use crate::fs::readable_files_below;
use crate::log::{ChunkReader, Depth, Snapshot, pack_key, parse_commit_key};
use crate::model::{ChunkSlot, Digest, PackId, PackInfo};
use crate::plan::{Action, FileStep, Step};
use crate::sync::cycle::{Incoming, Local, OnDisk};
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
    /// Files that were whole only here, since the bucket would have made them of other bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<String>,
    /// Damaged checkpoints that were deleted: the commits hold the same.
    #[serde(default)]
    pub dropped: Vec<String>,
    /// Objects that were set aside, or are not believed, and that are told of no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dismissed: Vec<String>,
    /// Versions whose bytes are neither here nor in the bucket.
    pub lost: Vec<Lost>,
    /// Versions of those that were given up now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<Lost>,
}

impl Engine {
    /// Verifies everything, repairs what it can, and verifies again. Returns the result of the
    /// second look.
    ///
    /// # Errors
    /// Errors that keep it from looking or writing; its findings are no errors.
    pub async fn repair(&mut self, watcher: &dyn Watcher) -> Result<(Verified, Repaired), SyncError> {
        let (verified, repaired, _) = self.session(watcher).await?.repair().await?;
        Ok((verified, repaired))
    }

    /// Puts right what it can of these faults, which a look has found, without looking at
    /// everything again. Another look tells what is left.
    ///
    /// # Errors
    /// Errors that keep it from writing.
    pub async fn put_right(
        &mut self,
        faults: &[Fault],
        watcher: &dyn Watcher,
    ) -> Result<Repaired, SyncError> {
        let mut session = self.session(watcher).await?;
        session.put_back_agreed().await?;
        let mut repaired = Repaired { dismissed: session.log.dismiss(), ..Repaired::default() };
        if !faults.is_empty() {
            session.put_right(faults, &mut repaired).await?;
        }
        Ok(repaired)
    }
}

impl Session<'_> {
    /// See [`Engine::repair`]. Returns what is lost, too.
    pub(super) async fn repair(&mut self) -> Result<(Verified, Repaired, Losses), SyncError> {
        self.put_back_agreed().await?;
        let (mut first, losses) = self.verify_all(true).await?;
        let mut repaired = Repaired { dismissed: self.log.dismiss(), ..Repaired::default() };
        if first.faults.is_empty() {
            first.aside = self.log.aside();
            return Ok((first, repaired, losses));
        }
        self.put_right(&first.faults, &mut repaired).await?;
        let (second, losses) = self.verify_all(true).await?;
        repaired.lost.clone_from(&second.lost);
        Ok((second, repaired, losses))
    }

    /// Puts the commits back that this device has agreed on, if the bucket has lost only them.
    async fn put_back_agreed(&mut self) -> Result<(), SyncError> {
        self.log.refresh(Depth::Whole).await?;
        if let Some(agreed) = self.context.agreed()? {
            self.log.put_back_agreed(agreed).await?;
        }
        Ok(())
    }

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
        let (packs, sent) = self.send_again(faults).await?;
        repaired.objects.extend(packs.iter().map(|pack| pack_key(pack.id)));
        repaired.sent = sent;
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
        let Context { layout, ports, settings, .. } = self.context;
        let is_good = |pack: &&Arc<PackInfo>| bad.iter().all(|other| other.id != pack.id);
        let good: ChunkIndex = state.packs.values().filter(is_good).cloned().collect();
        let params = self.log.header()?.chunking;
        let mut here = OnDisk::default();
        blocking(|| {
            let files = readable_files_below(self.context.fs(), layout.root());
            here.add_files(self.context.fs(), &files, params, settings.threads);
        });
        let reader = ChunkReader::new(Arc::clone(&ports.remote));
        let mut encoder = Encoder::new().map_err(|error| SyncError::Upload(error.to_string()))?;
        for pack in bad {
            let old = reader.whole(pack.id).await?;
            if let Some(old) = &old
                && has_more(&reader, &good, pack.id, old).await?
            {
                tracing::warn!(
                    pack = %pack.id,
                    "the object of this pack is sound, but not the pack that the commits name: it stays as it is"
                );
                continue;
            }
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
        let (steps, local) = (steps.iter().collect(), Local::of(scan, &state.tree));
        // Of no commit: the agreed state stays as it is, also if this is cut short.
        let incoming = Incoming {
            steps,
            remote: &state,
            local: &local,
            recipes: &state.recipes,
            base: None,
            reverted: BTreeMap::new(),
            purpose: Purpose::Repair,
            finish: true,
            whole: false,
        };
        let done = self.pull(&incoming).await?;
        self.conclude().await?;
        let mended = incoming.steps.iter().filter(|step| done.contains(&step.item));
        Ok(mended.flat_map(|step| &step.files).map(|file| file.path.to_string()).collect())
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
                agreed: Vec::new(),
            });
            step.files.push(file);
        }
        steps.into_values().collect()
    }
}

/// Stored bytes of a chunk in a pack's object, if they are right.
pub(crate) fn stored_part<'a>(pack: PackId, slot: &ChunkSlot, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let stored = stored_in(slot, bytes);
    open_chunk(pack, slot, stored).is_ok().then_some(stored)
}

/// True if an object is a sound pack by its own table, and has a chunk that no other pack has.
async fn has_more(
    reader: &ChunkReader,
    good: &ChunkIndex,
    pack: PackId,
    bytes: &[u8],
) -> Result<bool, SyncError> {
    let slots = read_table(pack, bytes).unwrap_or_default();
    if slots.iter().any(|slot| stored_part(pack, slot, bytes).is_none()) {
        return Ok(false);
    }
    for slot in slots {
        if elsewhere(reader, good, slot.id).await?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
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
