//! Contents of the past, outside the vault: written to a folder, or read to be shown. Nothing in
//! the vault or the bucket is changed, and the vault's lock is not needed.
//!
//! Files are staged in a hidden folder of the target, checked against their digests and then
//! renamed; what exists is never overwritten. The target is empty, unless somebody insists, for it
//! may be the folder of another program, and what is written there is what somebody once wrote into
//! the bucket. It is held open, and no link in it is followed. What is never synced is never
//! written either. A crash leaves that hidden folder, and files that are whole.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Point;
use super::restore::chosen;
use super::target::{self, Target, check_unused, put_out};
use crate::clock::random;
use crate::content::ChunkIndex;
use crate::fs::{self, At, Escaping, RootedFs};
use crate::log::{ChunkReader, Depth, Leaves, Log, LogError, Past, Snapshot};
use crate::model::{CommitKey, ConflictId, Digest, Entry, VaultPath};
use crate::sync::cycle::{Order, Wanted};
use crate::sync::session::Context;
use crate::sync::{Engine, Phase, Progress, Refusal, SyncError, Watcher, blocking};
use crate::vault::{Stage, Verdict};

/// Number of chunks read at once for a content that is shown.
const BATCH: usize = 16;

/// Result of an export.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Exported {
    /// Generation of the files.
    pub generation: u64,
    /// Files written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that could not be written, because the bucket has lost parts of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<VaultPath>,
    /// The first generation that retention keeps, if files are lost and this one is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_kept: Option<u64>,
    /// Files that are not written because nothing of their name is ever synced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never: Vec<VaultPath>,
    /// Files with names that the folder's disk cannot hold: they are written in the escape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escaped: Vec<VaultPath>,
}

/// The two versions of one file of a conflict: the one that lost, and the one that stands.
pub type Versions = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Engine {
    /// The history up to the newest known generation. If the remote is out of reach, up to the one
    /// that was agreed last.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn past(&mut self) -> Result<Vec<Past>, SyncError> {
        let (context, log) = self.any_log().await?;
        match context.newest_known(log).await? {
            Some(head) => Ok(log.past(head).await?),
            None => Ok(Vec::new()),
        }
    }

    /// The first generation that retention keeps whole; 0 if all are.
    ///
    /// # Errors
    /// See [`Engine::past`].
    pub async fn first_kept(&mut self) -> Result<u64, SyncError> {
        let (context, log) = self.any_log().await?;
        let head = context.newest_known(log).await?;
        Ok(log.snapshot(head).await?.horizon)
    }

    /// Writes files of the state at `point` to a folder outside the vault: `paths`, or all.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] where a file would be overwritten, or the target is not
    /// empty.
    pub async fn export(
        &mut self,
        point: &Point,
        paths: &[VaultPath],
        target: &Target,
        watcher: &dyn Watcher,
    ) -> Result<Exported, SyncError> {
        let (context, log) = self.any_log().await?;
        let head = context.newest_known(log).await?;
        let key = point.find(log, head).await?;
        let old = log.readable(key, head).await?;
        let items = chosen(&old, &old, paths).map_err(|error| match error {
            SyncError::Refused(Refusal::NoPath { path, generation }) => {
                Refusal::NoPathThen { path, generation }.into()
            }
            other => other,
        })?;
        let meant =
            |path: &VaultPath| items.as_ref().is_none_or(|items| items.contains(&old.groups.item(path)));
        let files = old.tree.iter().filter(|(path, _)| meant(path));
        let files = files.map(|(path, entry)| (path.clone(), *entry)).collect();
        let mut exported = context.write_out(log, &old, files, None, target, watcher).await?;
        if !exported.lost.is_empty() {
            let horizon = log.snapshot(head).await?.horizon;
            exported.first_kept = Some(horizon).filter(|first| exported.generation < *first);
        }
        Ok(exported)
    }

    /// Writes the losing version of an open conflict to a folder outside the vault.
    ///
    /// # Errors
    /// See [`Engine::export`].
    pub async fn export_conflict(
        &mut self,
        id: ConflictId,
        target: &Target,
        watcher: &dyn Watcher,
    ) -> Result<Exported, SyncError> {
        let (context, log) = self.any_log().await?;
        let head = context.newest_known(log).await?;
        let state = log.snapshot(head).await?;
        let here = context.local_conflicts()?.remove(&id).filter(|_| !state.resolved.contains_key(&id));
        // No commit lists a version that was set aside a moment ago, or while offline.
        let unlisted = here.map(|local| local.conflict);
        let conflict = state.conflicts.get(&id).or(unlisted.as_ref()).ok_or(Refusal::NoConflict(id))?;
        let files: BTreeMap<VaultPath, Entry> =
            conflict.files.iter().filter_map(|file| Some((file.path.clone(), file.entry?))).collect();
        context.write_out(log, &state, files, Some(id), target, watcher).await
    }

    /// Both versions of a conflict's file, from this disk if it has them, else from the bucket.
    /// Contents longer than `limit` count as absent.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn both_versions(
        &mut self,
        id: ConflictId,
        path: &VaultPath,
        lost: Option<Entry>,
        limit: u64,
    ) -> Result<Versions, SyncError> {
        let state = self.agreed_snapshot().await?;
        let stands = state.tree.get(path).copied();
        let layout = &self.context.layout;
        let mine = self.context.content(&state, lost, &layout.conflict_file(id, path), limit).await?;
        let remote = self.context.content(&state, stands, &path.below(layout.root()), limit).await?;
        Ok((mine, remote))
    }

    /// Entry of `path` in the state that was agreed last.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn standing(&mut self, path: &VaultPath) -> Result<Option<Entry>, SyncError> {
        Ok(self.agreed_snapshot().await?.tree.get(path).copied())
    }
}

impl Context {
    async fn content(
        &self,
        state: &Snapshot,
        entry: Option<Entry>,
        here: &Path,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, SyncError> {
        let Some(entry) = entry.filter(|entry| entry.size <= limit) else { return Ok(None) };
        let on_disk = fs::read(self.fs(), here, limit).ok();
        if let Some(bytes) = on_disk.filter(|bytes| Digest::of(bytes) == entry.digest) {
            return Ok(Some(bytes));
        }
        let index: ChunkIndex = state.packs.values().cloned().collect();
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let name = here.display().to_string();
        let recipe = state.recipes.get(&entry.digest);
        let missing = |chunk| SyncError::NoChunk { chunk, path: name.clone() };
        let leaves = Leaves::new();
        let mut walk = reader.walk(&index, &leaves, entry.content(), recipe).await?;
        let mut bytes = Vec::new();
        loop {
            let batch = walk.next(BATCH).await?.map_err(missing)?;
            if batch.is_empty() {
                break;
            }
            let ids = batch.iter().map(|placed| placed.part.id);
            let chunks = reader.gather(&index, ids).await?.map_err(missing)?;
            for placed in &batch {
                bytes.extend_from_slice(chunks.get(&placed.part.id).map_or(&[], Vec::as_slice));
            }
        }
        Ok((Digest::of(&bytes) == entry.digest).then_some(bytes))
    }

    /// The newest known generation. If the remote is out of reach, the one that was agreed last.
    async fn newest_known(&self, log: &mut Log) -> Result<Option<CommitKey>, SyncError> {
        match log.refresh(Depth::Near).await {
            Ok(()) => Ok(log.graph().heads().first().copied()),
            Err(LogError::Remote(error)) if error.kind.offline() => {
                let agreed = self.agreed()?.ok_or(LogError::Remote(error))?;
                log.recall(agreed).await?;
                Ok(Some(agreed))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn write_out(
        &self,
        log: &Log,
        state: &Snapshot,
        mut files: BTreeMap<VaultPath, Entry>,
        conflict: Option<ConflictId>,
        target: &Target,
        watcher: &dyn Watcher,
    ) -> Result<Exported, SyncError> {
        let Target { folder: target, force } = target;
        if target.starts_with(self.layout.root()) {
            return Err(Refusal::InsideVault(target.clone()).into());
        }
        let never: Vec<VaultPath> = files.keys().filter(|path| self.is_never(path)).cloned().collect();
        files.retain(|path, _| !self.is_never(path));
        let number = u32::from_be_bytes(random(self.ports.entropy.as_ref()));
        let folder = target::stage_in(target, number);
        let out = self.open_target(target, *force, &folder).map_err(|error| match error {
            error if error.is_full() => error,
            SyncError::Io(at) => Refusal::NoFolder { folder: at.path, why: at.source.to_string() }.into(),
            other => other,
        })?;
        for path in files.keys() {
            check_unused(out.as_ref(), target, path)?;
        }
        let wanted: Vec<Wanted> = (0..)
            .zip(&files)
            .map(|(slot, (path, entry))| Wanted { name: path.to_string(), slot, entry: *entry })
            .collect();
        let bytes = files.values().map(|entry| entry.size).sum();
        let stage = Stage::outside(Arc::<Escaping<RootedFs>>::clone(&out), folder)?;
        let written = async {
            self.check_room(&wanted, target)?;
            let progress = Progress {
                phase: Phase::Download,
                files_total: files.len(),
                bytes_total: bytes,
                ..Progress::default()
            };
            let elsewhere = match conflict {
                Some(id) => blocking(|| self.stage_here(id, &wanted, &stage))?,
                None => wanted.clone(),
            };
            let order = Order { log, remote: state, wanted: &elsewhere, old: vec![] };
            let lost = self.fetch(order, &stage, progress, watcher).await?;
            let mut exported = Exported { generation: state.seq(), never, ..Exported::default() };
            for (file, path) in wanted.iter().zip(files.keys()) {
                if lost.contains_key(&file.slot) {
                    exported.lost.push(path.clone());
                    continue;
                }
                blocking(|| put_out(out.as_ref(), &stage.path(file.slot), target, path))?;
                let place = path.below(target);
                if out.place(&place).is_ok_and(|spelled| spelled != place) {
                    exported.escaped.push(path.clone());
                }
                exported.files += 1;
                exported.bytes += file.entry.size;
            }
            Ok(exported)
        };
        let written: Result<Exported, SyncError> = written.await;
        let discarded = stage.discard();
        let exported = written?;
        discarded?;
        Ok(exported)
    }

    /// Stages the files of a conflict that this disk has. Returns the others. A version that was
    /// never sent has no recipe in any state, and so it could not be put together.
    fn stage_here(&self, id: ConflictId, wanted: &[Wanted], stage: &Stage) -> Result<Vec<Wanted>, SyncError> {
        let mut elsewhere = Vec::new();
        for file in wanted {
            let place = VaultPath::new(&file.name).map(|path| self.layout.conflict_file(id, &path));
            let from = place.ok().and_then(|place| Some((self.fs().open(&place).ok()?, place)));
            let Some((mut from, place)) = from else {
                elsewhere.push(file.clone());
                continue;
            };
            let mut writer = stage.writer(file.slot)?;
            io::copy(&mut from, &mut writer).at("copy", &place)?;
            if writer.written() == file.entry.content() {
                writer.finish(file.entry.content(), file.entry.mode, file.entry.mtime_ms)?;
            } else {
                drop(writer);
                stage.clear(file.slot)?;
                elsewhere.push(file.clone());
            }
        }
        Ok(elsewhere)
    }

    fn is_never(&self, path: &VaultPath) -> bool {
        self.settings.filter.verdict(path) == Verdict::Never
    }
}
