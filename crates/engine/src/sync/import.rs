//! Taking over plain objects, as older versions of the app uploaded them: they become the first generation of the vault.
//!
//! Each object is read once to a staging file, cut and packed from there, and one commit names them all: it is made by the protocol
//! of every commit, and comes to this device by the ordinary pull. The plain objects stay where they are. A crash before the commit
//! leaves staged files, which the next start removes, and packs that the next try uses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use super::report::{Phase, Progress, Report, Watcher};
use super::upload::{Known, Run, Uploads};
use super::{Engine, Refusal, Request, SyncError, blocking};
use crate::clock::random;
use crate::content::ChunkIndex;
use crate::log::{Depth, Log, Prepared, Snapshot};
use crate::model::{
    Change, Commit, CommitKind, Content, Digest, Entry, PackId, PackInfo, RecipeOf, VaultPath,
};
use crate::remote::{Object, Remote, list_all};
use crate::vault::{ApplyId, IoAt, Marker, Stage};

/// Objects are read so many bytes at a time.
const READ: u64 = 8 << 20;
/// Names of ours, should the plain objects lie beside a vault.
const OURS: [&str; 6] = ["packs/", "commits/", "checkpoints/", "users/", "vault-", ".cogzy-"];
/// Permission bits of a file that came from an object.
const MODE: u32 = 0o644;

/// What was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are never synced, and were left where they are.
    pub skipped: Vec<String>,
    /// The cycle that brought them here.
    pub report: Report,
}

impl Engine {
    /// Makes the plain objects of `source` the first generation.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] where the vault has a generation already, or nothing can be taken over.
    pub async fn import(
        &mut self,
        source: Arc<dyn Remote>,
        watcher: &dyn Watcher,
    ) -> Result<Imported, SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        let mut log = self.open_log(marker.vault).await?;
        let imported = self.take_over(&marker, &mut log, source.as_ref(), watcher).await;
        self.log = Some(log);
        let mut imported = imported?;
        imported.report = self.settled_cycle(Request::FULL, watcher).await?;
        Ok(imported)
    }

    async fn take_over(
        &self,
        marker: &Marker,
        log: &mut Log,
        source: &dyn Remote,
        watcher: &dyn Watcher,
    ) -> Result<Imported, SyncError> {
        self.recover(log, &mut Report::default()).await?;
        self.finish_pending(log, &mut Report::default()).await?;
        log.refresh(Depth::Whole).await?;
        let before = log.settle().await?;
        if let Some(head) = before {
            return Err(Refusal::NotNew(head.seq).into());
        }
        let state = log.snapshot(None).await?;
        let listed = list_all(source, "", None).await?;
        let mut imported = Imported::default();
        let objects = self.plain(listed, &mut imported)?;
        if objects.is_empty() {
            return Err(Refusal::NothingPlain(source.url()).into());
        }
        let id = ApplyId::new(self.ports.clock.now_ms(), random(self.ports.entropy.as_ref()));
        let stage = Stage::create(Arc::clone(&self.ports.fs), &self.layout, &id)?;
        let sent = self.send(log, &state, source, &objects, &stage, watcher).await;
        let discarded = stage.discard();
        let (entries, recipes, packs) = sent?;
        discarded?;
        imported.files = entries.len();
        imported.bytes = entries.values().map(|entry| entry.size).sum();
        let mut record = self.record()?.unwrap_or_else(|| self.first_record(marker.vault));
        let pack = packs.keys().next().copied();
        let txn = self.next_txn(log, record.txn, marker.device, pack).await?;
        record.txn = Some(txn);
        let commit = Commit {
            changes: entries.into_iter().map(|(path, entry)| Change { path, entry: Some(entry) }).collect(),
            recipes: recipes.into_values().collect(),
            packs: packs.into_values().collect(),
            ..self.draft(log, marker, &state, txn, CommitKind::Import)
        };
        self.publish(log, &Prepared::new(&commit)?, record).await?;
        self.forget_uploaded();
        Ok(imported)
    }

    /// The objects that can be files of the vault, by path.
    fn plain(
        &self,
        listed: Vec<Object>,
        imported: &mut Imported,
    ) -> Result<BTreeMap<VaultPath, Object>, SyncError> {
        let mut objects = BTreeMap::new();
        let mut keys = BTreeSet::new();
        for object in listed {
            // Some stores keep an empty object for a folder.
            if OURS.iter().any(|ours| object.key.starts_with(ours)) || object.key.ends_with('/') {
                continue;
            }
            let bad = |why: String| Refusal::BadObject { key: object.key.clone(), why };
            let path = VaultPath::new(&object.key).map_err(|error| bad(error.to_string()))?;
            if !self.visible(&path) {
                imported.skipped.push(object.key);
                continue;
            }
            if !keys.insert(path.fold_key()) {
                return Err(bad("another one differs from it in letter case only".to_owned()).into());
            }
            objects.insert(path, object);
        }
        Ok(objects)
    }

    /// Reads the objects and uploads their chunks.
    async fn send(
        &self,
        log: &Log,
        state: &Snapshot,
        source: &dyn Remote,
        objects: &BTreeMap<VaultPath, Object>,
        stage: &Stage,
        watcher: &dyn Watcher,
    ) -> Result<Sent, SyncError> {
        let largest = objects.values().map(|object| object.size).max().unwrap_or_default();
        self.check_free(largest, self.layout.root())?;
        let index = ChunkIndex::default();
        let mut known = Known::new(state, &index, self.left_over().await?);
        let uploads = Uploads::new(
            Arc::clone(&self.ports.remote),
            Arc::clone(&self.ports.database),
            self.interrupt.clone(),
        );
        let (mut entries, mut recipes) = (BTreeMap::new(), BTreeMap::new());
        let mut progress = Progress {
            phase: Phase::Upload,
            files_total: objects.len(),
            bytes_total: objects.values().map(|object| object.size).sum(),
            ..Progress::default()
        };
        {
            let params = log.header()?.chunking;
            let mut run = Run::new(params, self.ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for (slot, (path, object)) in (0..).zip(objects) {
                let content = fetch_whole(source, object, stage, slot).await?;
                let staged = stage.path(slot);
                let io = |operation| {
                    let path = staged.clone();
                    move |source| SyncError::Io(IoAt { operation, path, source })
                };
                let ingested = blocking(|| {
                    let mut file = self.fs().open(&staged).map_err(io("open"))?;
                    run.add(&mut file)?.map_err(io("read"))
                })?;
                if ingested.content != content {
                    let why = "its bytes changed on this disk while it was read".to_owned();
                    return Err(Refusal::BadObject { key: object.key.clone(), why }.into());
                }
                if let Some(recipe) = ingested.recipe {
                    recipes.insert(content.digest, RecipeOf { digest: content.digest, recipe });
                }
                blocking(|| self.fs().remove_file(&staged)).map_err(io("remove"))?;
                let Content { digest, size } = content;
                let entry = Entry { digest, size, mtime_ms: object.modified_ms, mode: MODE, rows: None };
                entries.insert(path.clone(), entry);
                run.send().await?;
                progress.files_done += 1;
                progress.bytes_done += size;
                watcher.progress(progress);
            }
            blocking(|| run.finish())?;
        }
        uploads.wait_for(0).await?;
        let mut packs: BTreeMap<PackId, PackInfo> = known.used().into_iter().collect();
        packs.extend(uploads.done().await.into_iter().map(|pack| (pack.id, pack)));
        Ok((entries, recipes, packs))
    }
}

type Sent = (BTreeMap<VaultPath, Entry>, BTreeMap<Digest, RecipeOf>, BTreeMap<PackId, PackInfo>);

/// Reads an object to a slot of the stage, part by part.
async fn fetch_whole(
    source: &dyn Remote,
    object: &Object,
    stage: &Stage,
    slot: u32,
) -> Result<Content, SyncError> {
    let mut writer = blocking(|| stage.writer(slot))?;
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < object.size {
        let end = object.size.min(at + READ);
        let part = source.get(&object.key, Some(at..end)).await?;
        hasher.update(&part);
        blocking(|| writer.write_all(&part))
            .map_err(|source| SyncError::Io(IoAt { operation: "write", path: stage.path(slot), source }))?;
        at = end;
    }
    let content = Content { digest: hasher.finalize().into(), size: object.size };
    blocking(|| writer.finish(content, MODE, object.modified_ms))?;
    Ok(content)
}
