//! Checks that everything is as it was: local files against their last hashes, and the bucket
//! against its own commits. Nothing is changed; a crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Lost;
use super::lost::Losses;
use super::recipes::OfRecipe;
use crate::content::{ChunkIndex, open_chunk, read_table, stored_in};
use crate::log::{Aside, ChunkReader, Depth, Snapshot, pack_key, parse_pack_key};
use crate::model::{Cached, Content, Digest, PackId, PackInfo, VaultId, VaultPath};
use crate::sync::cycle::{Local, list_chunks};
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, Phase, Progress, SyncError, Watcher, blocking};
use crate::vault::{Found, Scan, ScanOptions, Snapshots, scan};

/// Fault of a file that is whole here, and not in the bucket.
const OTHER_BYTES: &str = "the bucket would put it together from other bytes, whoever has said so; it is whole here, and `cogzy-vault verify --repair` sends it again";
/// Packs read at once; each is held whole.
const PARALLEL_PACKS: usize = 3;

/// A local file or an object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The file or object.
    pub path: String,
    /// Fault that was found.
    pub message: String,
}

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Generation that was checked.
    pub generation: u64,
    /// Local files hashed.
    pub files: usize,
    /// Local files that differ from that generation: edits that are not sent yet, or changes that
    /// are not pulled yet.
    pub differing: usize,
    /// Commits read.
    pub commits: usize,
    /// Packs checked.
    pub packs: usize,
    /// True if every pack was read, false if it was only asked for.
    pub deep: bool,
    /// Faults that were found.
    pub faults: Vec<Fault>,
    /// Versions that the bucket cannot put together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// Versions that were lost, and that a person has given up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<Lost>,
    /// Objects in the bucket that were set aside, or are not believed. Nothing depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aside: Vec<Aside>,
}

impl Verified {
    fn fault(&mut self, path: impl ToString, message: impl ToString) {
        self.faults.push(Fault { path: path.to_string(), message: message.to_string() });
    }
}

impl Engine {
    /// Verifies the vault and the remote. `deep`: reads every object of it.
    ///
    /// # Errors
    /// Errors that keep it from looking; its findings are no errors.
    pub async fn verify(&mut self, deep: bool, watcher: &dyn Watcher) -> Result<Verified, SyncError> {
        self.session(watcher).await?.verify(deep).await
    }
}

impl Session<'_> {
    /// See [`Engine::verify`].
    pub(crate) async fn verify(&mut self, deep: bool) -> Result<Verified, SyncError> {
        Ok(self.verify_all(deep).await?.0)
    }

    /// Verifies, and returns the lost versions that nobody has given up, with their contents.
    pub(super) async fn verify_all(&mut self, deep: bool) -> Result<(Verified, Losses), SyncError> {
        self.log.refresh(Depth::Whole).await?;
        let agreed = self.context.agreed()?;
        if let Some(agreed) = agreed {
            self.log.check_agreed(agreed).await?;
        }
        let heads = self.log.graph().heads();
        let commits = self.log.graph().iter().count();
        let mut verified = Verified { deep, commits, ..Verified::default() };
        for commit in self.log.missing_commits().await? {
            verified.fault(commit, "it is missing");
        }
        verified.generation = heads.first().map_or(0, |head| head.seq);
        let mut packs: BTreeMap<PackId, Arc<PackInfo>> = BTreeMap::new();
        for head in heads {
            let snapshot = self.log.snapshot(Some(head)).await?;
            packs.extend(snapshot.packs.iter().map(|(id, pack)| (*id, Arc::clone(pack))));
            self.context.check_contents(&snapshot, &mut verified).await?;
        }
        if deep {
            for fault in self.log.check_objects().await? {
                let message =
                    fault.error.map_or_else(|| "it is missing".to_owned(), |error| error.to_string());
                verified.fault(fault.key, message);
            }
        }
        let base = self.log.snapshot(agreed).await?;
        let of_recipes = blocking(|| self.check_local(&base, &mut verified))?;
        if deep {
            for OfRecipe { path, .. } in self.context.made_of_others(&base, of_recipes).await? {
                verified.fault(path, OTHER_BYTES);
            }
        }
        self.check_packs(packs, &mut verified).await?;
        verified.faults.sort();
        verified.faults.dedup();
        if deep {
            let faulty = verified.faults.iter().map(|fault| fault.path.as_str()).collect();
            self.log.forget_claims_but(&faulty);
        }
        verified.aside = self.log.aside();
        let losses = self.tell_lost(&mut verified).await?;
        Ok((verified, losses))
    }

    /// Finds the lost versions, and parts those that were given up from the others. A pack that is
    /// on its way out is no fault once all that it lacks was given up. Packs that somebody swept and
    /// deleted are no state's any more: what only they held is a fault of its own.
    async fn tell_lost(&mut self, verified: &mut Verified) -> Result<Losses, SyncError> {
        let head = self.log.graph().heads().first().copied();
        let head = self.log.snapshot(head).await?;
        let gone = head.gone_for_good();
        let of_pack = |fault: &Fault| parse_pack_key(&fault.path);
        let is_sound = gone.is_empty() && verified.faults.is_empty();
        if is_sound && !(verified.deep && self.lacks(&head).await?) {
            return Ok(Losses::default());
        }
        let mut losses = self.lost(&verified.faults).await?;
        verified.given_up = losses.take(&gone).into_iter().map(|version| version.lost).collect();
        self.last_readable(&mut losses).await?;
        verified.lost = losses.told();
        if verified.lost.is_empty() {
            let is_leaving = |pack| head.marked.contains_key(&pack);
            verified.faults.retain(|fault| !of_pack(fault).is_some_and(is_leaving));
        } else if verified.faults.is_empty() {
            for Lost { path, from, to, .. } in losses.told() {
                let which = if from == to { from.to_string() } else { format!("{from} to {to}") };
                verified
                    .fault(path, format!("its version of generation {which} is in no pack of the bucket"));
            }
        }
        Ok(losses)
    }

    /// Versions that are lost for these faults, and that nobody has given up.
    pub(super) async fn not_given_up(&mut self, faults: &[Fault]) -> Result<Losses, SyncError> {
        let mut losses = self.lost(faults).await?;
        let gone = self.log.snapshot(losses.head).await?.gone_for_good();
        losses.take(&gone);
        Ok(losses)
    }

    /// Hashes every local file, whatever the cache knows. If a file's bytes have changed since it
    /// was hashed and its state has not, the disk has damaged it. Returns the files whose contents
    /// have a recipe.
    fn check_local(&self, base: &Snapshot, verified: &mut Verified) -> Result<Vec<OfRecipe>, SyncError> {
        let known = self.context.ports.database.stats().unwrap_or_default();
        let scan = self.context.fresh_scan(self.marker.vault, base)?;
        verified.files = scan.files.len();
        self.watcher.progress(Progress {
            phase: Phase::Scan,
            files_done: scan.files.len(),
            ..Progress::default()
        });
        let mut of_recipes = Vec::new();
        for (path, found) in &scan.files {
            // Of a database in parts, the file's own state tells too little.
            let alone = !scan.in_parts.contains(path);
            if alone && known.get(path).is_some_and(|cached| is_damaged(cached, found)) {
                verified.fault(
                    path,
                    "its bytes have changed although nothing has written to it: the disk has damaged it",
                );
            }
            if alone && base.recipes.contains_key(&found.entry.digest) {
                let file = scan.names.locate(self.context.layout.root(), path);
                of_recipes.push(OfRecipe { path: path.clone(), file, content: found.entry.content() });
            }
        }
        for problem in &scan.problems {
            tracing::info!(path = problem.path, "not verified: {}", problem.kind);
        }
        let visible = base.tree.iter().filter(|(path, _)| self.context.visible(path));
        let differs = |path: &VaultPath, entry| scan.files.get(path).map(|found| found.entry) != Some(entry);
        verified.differing = visible.filter(|(path, entry)| differs(path, **entry)).count();
        for (item, faults) in
            self.context.unfit_here(&base.groups, &base.tree, &Local::of(scan, &base.tree))?
        {
            verified.fault(item, format!("{faults}; `cogzy-vault restore --generation {}` with one of its paths brings the last good version back", base.seq()));
        }
        Ok(of_recipes)
    }

    async fn check_packs(
        &mut self,
        packs: BTreeMap<PackId, Arc<PackInfo>>,
        verified: &mut Verified,
    ) -> Result<(), SyncError> {
        verified.packs = packs.len();
        let bucket = self.log.packs_there(packs.values()).await?;
        let mut there = Vec::new();
        // From now on nothing may build on them, even if this device has seen them once.
        let missing = packs.keys().copied().filter(|id| !bucket.contains_key(id)).collect();
        let is_object = |id: &PackId| bucket.get(id).is_some_and(|there| there.is_object);
        let seen = packs.keys().copied().filter(is_object).collect();
        self.log.note_there(&seen);
        self.log.note_lost(&missing);
        for (id, pack) in packs {
            match bucket.get(&id).map(|there| there.size) {
                None => verified.fault(pack_key(id), "it is missing"),
                Some(size) if size != pack.size => {
                    verified.fault(pack_key(id), format!("it has {size} bytes, expected {}", pack.size));
                }
                Some(_) => there.push(pack),
            }
        }
        if !verified.deep {
            return Ok(());
        }
        let reader = ChunkReader::new(Arc::clone(self.log.remote()));
        let mut progress = Progress { phase: Phase::Verify, files_total: there.len(), ..Progress::default() };
        progress.bytes_total = there.iter().map(|pack| pack.size).sum();
        let mut reads = stream::iter(there)
            .map(|pack| {
                let reader = reader.clone();
                async move { (reader.whole(pack.id).await, pack) }
            })
            .buffered(PARALLEL_PACKS);
        let mut unread = BTreeSet::new();
        while let Some((bytes, pack)) = reads.next().await {
            match bytes? {
                None => {
                    unread.insert(pack.id);
                    verified.fault(pack_key(pack.id), "it is missing");
                }
                Some(bytes) => blocking(|| check_pack(&pack, &bytes, verified)),
            }
            progress.files_done += 1;
            progress.bytes_done += pack.size;
            self.watcher.progress(progress);
        }
        self.log.note_lost(&unread);
        Ok(())
    }
}

impl Context {
    /// Scans the vault without reading or filling the cache: damage must not pass for an edit.
    pub(crate) fn fresh_scan(&self, vault: VaultId, base: &Snapshot) -> Result<Scan, SyncError> {
        let snapshots = Snapshots::new(Arc::clone(&self.ports.fs), &self.layout);
        let options = ScanOptions {
            vault,
            filter: &self.settings.filter,
            cache: &HashMap::new(),
            now_ns: self.ports.clock.now_ns(),
            settle: self.settings.settle,
            rehash_before: i64::MAX,
            threads: self.settings.threads,
            prefer: Some(&|path| base.tree.contains_key(path)),
            snapshots: Some(&snapshots),
            progress: &|_| {},
        };
        Ok(scan(self.fs(), &self.layout, &options)?)
    }

    /// Checks that every content of a manifest or an open conflict can be put together from packs
    /// that it names.
    async fn check_contents(&self, snapshot: &Snapshot, verified: &mut Verified) -> Result<(), SyncError> {
        let index: ChunkIndex = snapshot.packs.values().cloned().collect();
        let recipes = blocking(|| self.recipes_of(&snapshot.recipes))?;
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let kept = snapshot.conflicts.values().flat_map(|conflict| &conflict.files);
        let kept = kept.filter_map(|file| file.entry.map(|entry| (&file.path, entry)));
        let all = snapshot.tree.iter().map(|(path, entry)| (path, *entry)).chain(kept);
        let contents: BTreeMap<Digest, (&VaultPath, Content)> =
            all.map(|(path, entry)| (entry.digest, (path, entry.content()))).collect();
        for (digest, (path, content)) in contents {
            let recipe = recipes.get(&digest);
            match list_chunks(&reader, &index, path.as_str(), content, recipe).await {
                Ok(_) => {}
                Err(error) if error.is_damage() => verified.fault(path, error),
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}

/// True if a file's bytes have changed since it was hashed and its state has not.
pub(crate) fn is_damaged(cached: &Cached, found: &Found) -> bool {
    cached.stat == found.stat && cached.digest != found.entry.digest
}

/// Checks every byte of a pack: its digest, its table, and each chunk.
fn check_pack(pack: &PackInfo, bytes: &[u8], verified: &mut Verified) {
    let key = pack_key(pack.id);
    match read_table(pack.id, bytes) {
        Ok(table) if table == pack.chunks => {}
        Ok(_) => verified.fault(&key, "its table is not the one that was committed"),
        Err(error) => verified.fault(&key, error),
    }
    let damage = |slot| open_chunk(pack.id, slot, stored_in(slot, bytes)).err();
    let damaged: Vec<_> = pack.chunks.iter().filter_map(damage).collect();
    match damaged.as_slice() {
        [] if Digest::of(bytes) != pack.digest => {
            verified.fault(&key, "its bytes are not those that were committed");
        }
        [] => {}
        [one] => verified.fault(&key, one),
        [first, more @ ..] => verified.fault(&key, format!("{first}, and so are {} others", more.len())),
    }
}
