//! Takes over plain objects, as older versions of the app uploaded them: they become the first
//! generation of the vault.
//!
//! Decided here: which objects become files. Each is read once to a staging file, then cut and
//! packed from there, and one commit names them all. The protocol of every commit makes it, and it
//! comes to this device by the ordinary pull. The plain objects stay where they are. A crash before
//! the commit leaves staged files, which the next start removes, and packs that the next try uses.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::clock::random;
use crate::content::ChunkIndex;
use crate::fs::At;
use crate::log::{Depth, Prepared, Snapshot};
use crate::model::{
    Change, Commit, CommitKind, Content, Digest, Entry, PackId, PackInfo, RecipeOf, VaultPath,
};
use crate::remote::{Object, Remote, list_all};
use crate::sync::cycle::{Known, Run, Uploads};
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, Phase, Progress, Refusal, Report, Request, SyncError, Watcher, blocking};
use crate::vault::{ApplyId, Stage};

/// Bytes of an object that are read at once.
const READ: u64 = 8 << 20;
/// Names of ours, if the plain objects lie beside a vault.
const OURS: [&str; 6] = ["packs/", "commits/", "checkpoints/", "users/", "vault-", ".cogzy-"];
/// Permission bits of a file that came from an object.
const MODE: u32 = 0o644;

/// Result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Files taken over.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that are never synced, and were left in their places.
    pub skipped: Vec<String>,
    /// Report of the cycle that brought them here.
    pub report: Report,
}

impl Engine {
    /// Makes the plain objects of `source` the first generation.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] if the vault has a generation already, or nothing can be
    /// taken over.
    pub async fn import(
        &mut self,
        source: Arc<dyn Remote>,
        watcher: &dyn Watcher,
    ) -> Result<Imported, SyncError> {
        let mut imported = self.session(watcher).await?.take_over(source.as_ref()).await?;
        imported.report = self.settled_cycle(Request::FULL, watcher).await?;
        Ok(imported)
    }
}

/// Uploaded part of the objects.
#[derive(Default)]
struct Sent {
    entries: BTreeMap<VaultPath, Entry>,
    recipes: BTreeMap<Digest, RecipeOf>,
    packs: BTreeMap<PackId, PackInfo>,
}

impl Session<'_> {
    async fn take_over(&mut self, source: &dyn Remote) -> Result<Imported, SyncError> {
        self.finish_unfinished().await?;
        self.log.refresh(Depth::Whole).await?;
        if let Some(head) = self.log.settle().await? {
            return Err(Refusal::NotNew(head.seq).into());
        }
        let state = self.log.snapshot(None).await?;
        let listed = list_all(source, "", None).await?;
        let mut imported = Imported::default();
        let objects = self.context.plain(listed, &mut imported)?;
        if objects.is_empty() {
            return Err(Refusal::NothingPlain(source.url()).into());
        }
        let Context { ports, layout, .. } = self.context;
        let id = ApplyId::new(ports.clock.now_ms(), random(ports.entropy.as_ref()));
        let stage = Stage::create(Arc::clone(&ports.fs), layout, &id)?;
        let sent = self.send(&state, source, &objects, &stage).await;
        let discarded = stage.discard();
        let Sent { entries, recipes, packs } = sent?;
        discarded?;
        imported.files = entries.len();
        imported.bytes = entries.values().map(|entry| entry.size).sum();
        let mut record = self.context.record_or_first(self.marker.vault)?;
        let txn = self.next_txn(record.txn).await?;
        record.txn = Some(txn);
        let commit = Commit {
            changes: entries.into_iter().map(|(path, entry)| Change { path, entry: Some(entry) }).collect(),
            recipes: recipes.into_values().collect(),
            packs: packs.into_values().collect(),
            ..self.draft(&state, txn, CommitKind::Import).await?
        };
        self.publish(&Prepared::new(commit)?, record).await?;
        self.context.clear_uploaded();
        Ok(imported)
    }

    /// Reads the objects and uploads their chunks.
    async fn send(
        &self,
        state: &Snapshot,
        source: &dyn Remote,
        objects: &BTreeMap<VaultPath, Object>,
        stage: &Stage,
    ) -> Result<Sent, SyncError> {
        let Context { ports, layout, .. } = self.context;
        let largest = objects.values().map(|object| object.size).max().unwrap_or_default();
        self.context.check_free(largest, layout.root())?;
        let index = ChunkIndex::default();
        let mut known = Known::new(state, &index, self.context.left_over().await?);
        let uploads = Uploads::new(self.context);
        let mut sent = Sent::default();
        let mut progress = Progress {
            phase: Phase::Upload,
            files_total: objects.len(),
            bytes_total: objects.values().map(|object| object.size).sum(),
            ..Progress::default()
        };
        {
            let params = self.log.header()?.chunking;
            let mut run = Run::new(params, ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for (slot, (path, object)) in (0..).zip(objects) {
                let content = fetch_whole(source, object, stage, slot).await?;
                let recipe = self.context.take_in_object(&mut run, object, content, &stage.path(slot))?;
                sent.recipes.extend(recipe.map(|recipe| (content.digest, recipe)));
                let Content { digest, size } = content;
                let entry = Entry { digest, size, mtime_ms: object.modified_ms, mode: MODE, rows: None };
                sent.entries.insert(path.clone(), entry);
                run.send().await?;
                progress.files_done += 1;
                progress.bytes_done += size;
                self.watcher.progress(progress);
            }
            blocking(|| run.finish())?;
        }
        uploads.wait_for(0).await?;
        sent.packs.extend(known.used());
        sent.packs.extend(uploads.done().await.into_iter().map(|pack| (pack.id, pack)));
        Ok(sent)
    }
}

impl Context {
    /// Reads a staged object into the run, and removes it from the stage.
    fn take_in_object(
        &self,
        run: &mut Run<'_>,
        object: &Object,
        content: Content,
        staged: &Path,
    ) -> Result<Option<RecipeOf>, SyncError> {
        let ingested = blocking(|| {
            let mut file = self.fs().open(staged).at("open", staged)?;
            Ok::<_, SyncError>(run.add(&mut file)?.at("read", staged)?)
        })?;
        if ingested.content != content {
            let why = "its bytes changed on this disk while it was read".to_owned();
            return Err(Refusal::BadObject { key: object.key.clone(), why }.into());
        }
        blocking(|| self.fs().remove_file(staged)).at("remove", staged)?;
        Ok(ingested.recipe.map(|recipe| RecipeOf { digest: content.digest, recipe }))
    }

    /// Objects that can be files of the vault, by path.
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
}

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
        let part = source.get(&object.key, (at..end).into()).await?;
        hasher.update(&part);
        blocking(|| writer.write_all(&part)).at("write", &stage.path(slot))?;
        at = end;
    }
    let content = Content { digest: hasher.finalize().into(), size: object.size };
    blocking(|| writer.finish(content, MODE, object.modified_ms))?;
    Ok(content)
}
