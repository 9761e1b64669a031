//! Sending: packs first, then the commit that names them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::keep::LocalConflict;
use super::repair::files_below;
use super::report::{Phase, Progress, Report, Trouble, Watcher, Weight};
use super::together::leave_out_halves;
use super::upload::{Counted, Known, PACKS_IN_FLIGHT, Run, Uploads};
use super::{Engine, Survey, SyncError, blocking};
use crate::content::ChunkIndex;
use crate::log::{Log, Prepared};
use crate::model::{
    Change, ChunkParams, Commit, CommitKey, CommitKind, Conflict, Content, Digest, Entry, FileStat, Item,
    Origin, PackId, PackInfo, Recipe, RecipeOf, VaultPath, set_entry,
};
use crate::plan::Step;
use crate::state::LastSync;
use crate::vault::{Marker, hash_stable, open_stable};

/// What was uploaded and can be committed.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) items: BTreeSet<Item>,
    recipes: BTreeMap<Digest, Recipe>,
    packs: BTreeMap<PackId, PackInfo>,
    kept: Vec<Conflict>,
}

/// A file that must be read for the commit.
struct Source {
    /// Relative to the root, as the disk spells it.
    relative: String,
    stat: FileStat,
    content: Content,
}

impl Engine {
    /// Uploads what the plan pushes, and losing versions that no commit names yet; commits both. The key of the commit, none
    /// where there was nothing to commit.
    #[expect(
        clippy::too_many_arguments,
        reason = "these are the cycle's own variables, and each is needed once"
    )]
    pub(super) async fn push(
        &mut self,
        log: &mut Log,
        marker: &Marker,
        record: &LastSync,
        survey: &Survey,
        pulled: &BTreeSet<Item>,
        report: &mut Report,
        watcher: &dyn Watcher,
    ) -> Result<Option<CommitKey>, SyncError> {
        let losers = self.unkept(&survey.remote)?;
        let steps: Vec<&Step> = survey.plan.steps.iter().filter(|step| step.outgoing()).collect();
        if steps.is_empty() && losers.is_empty() {
            return Ok(None);
        }
        let params = log.header()?.chunking;
        let mut sent = self.upload(params, survey, &steps, losers, report, watcher).await?;
        leave_out_halves(survey, pulled, &mut sent, report);
        let pack = sent.packs.keys().next().copied();
        let txn = self.next_txn(log, record.txn, marker.device, pack).await?;
        let origin = Origin { device: self.settings.device_name.clone(), txn };
        for conflict in &mut sent.kept {
            conflict.origin.get_or_insert_with(|| origin.clone());
        }
        if sent.items.is_empty() && sent.kept.is_empty() {
            return Ok(None);
        }
        let mut record = record.clone();
        record.txn = Some(txn);
        let draft = self.draft(log, marker, &survey.remote, txn, CommitKind::Sync);
        let commit = fill(draft, survey, &sent);
        let prepared = Prepared::new(&commit)?;
        let mut after = survey.remote.as_ref().clone();
        for change in &commit.changes {
            set_entry(&mut after.tree, change.path.clone(), change.entry);
        }
        let done: BTreeSet<Item> = pulled.union(&sent.items).cloned().collect();
        self.agree(&mut record, survey, &done, Some(prepared.key), &after.tree)?;
        self.publish(log, &prepared, record).await?;
        self.forget_uploaded();
        report.sent(&commit);
        // What did not fit together there has been committed over.
        let sent_over = |path: &str| sent.items.iter().any(|item| item.to_string() == path);
        report.problems.retain(|trouble| trouble.weight != Weight::Invalid || !sent_over(&trouble.path));
        Ok(Some(prepared.key))
    }

    async fn upload(
        &self,
        params: ChunkParams,
        survey: &Survey,
        steps: &[&Step],
        losers: Vec<LocalConflict>,
        report: &mut Report,
        watcher: &dyn Watcher,
    ) -> Result<Sent, SyncError> {
        let index: ChunkIndex = survey.remote.lasting_packs().map(AsRef::as_ref).collect();
        let mut left_over = self.left_over().await?;
        let head = &survey.remote;
        // What was uploaded long ago may have been taken for nobody's meanwhile.
        left_over.retain(|pack| !head.marked.contains_key(&pack.id) && !head.swept.contains(&pack.id));
        let mut known = Known::new(head, &index, left_over);
        let uploads = Uploads::new(
            Arc::clone(&self.ports.remote),
            Arc::clone(&self.ports.database),
            self.interrupt.clone(),
        );
        let mut sent = Sent::default();
        let mut progress = total(steps, survey);
        {
            let mut run = Run::new(params, self.ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for step in steps {
                let mut recipes = Vec::new();
                let mut left_out = None;
                for file in &step.files {
                    let Some(entry) = file.to else { continue };
                    let Some(source) = source(survey, &file.path, entry) else {
                        left_out = Some(format!("{}: it is no longer as it was scanned", file.path));
                        break;
                    };
                    // A large file is more than one step.
                    let read = |bytes| {
                        let bytes_done = progress.bytes_done + bytes;
                        watcher.progress(sent_of(Progress { bytes_done, ..progress }, &uploads));
                    };
                    match self.take_in(&mut run, &source, &read).await? {
                        Ok(recipe) => recipes.extend(recipe),
                        Err(why) => {
                            left_out = Some(format!("{}: {why}", file.path));
                            break;
                        }
                    }
                    progress.files_done += 1;
                    progress.bytes_done += entry.size;
                    watcher.progress(sent_of(progress, &uploads));
                }
                match left_out {
                    None => {
                        sent.items.insert(step.item.clone());
                        sent.recipes.extend(recipes);
                    }
                    Some(why) => report.wait(&step.item, why),
                }
            }
            for loser in losers {
                match self.take_in_loser(&mut run, &loser).await? {
                    Ok(recipes) => {
                        sent.recipes.extend(recipes);
                        sent.kept.push(loser.conflict);
                    }
                    Err(why) => {
                        let path = loser.conflict.item.to_string();
                        report.problems.push(Trouble { path, message: why, weight: Weight::Lasting });
                    }
                }
            }
            blocking(|| run.finish())?;
        }
        for left in (0..PACKS_IN_FLIGHT).rev() {
            uploads.wait_for(left).await?;
            watcher.progress(sent_of(progress, &uploads));
        }
        sent.packs.extend(known.used());
        sent.packs.extend(uploads.done().await.into_iter().map(|pack| (pack.id, pack)));
        Ok(sent)
    }

    /// Reads one file into the run. The inner error says why the file is not in a state that can be committed.
    async fn take_in(
        &self,
        run: &mut Run<'_>,
        source: &Source,
        read: &(dyn Fn(u64) + Sync),
    ) -> Result<Result<Option<(Digest, Recipe)>, String>, SyncError> {
        if source.content.size == 0 || run.has(source.content.digest) {
            return Ok(Ok(None));
        }
        let taken = blocking(|| {
            let reader = open_stable(self.fs(), self.layout.root(), &source.relative, &source.stat);
            let mut reader = match reader {
                Ok(reader) => reader,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let ingested = match run.add(&mut Counted::new(&mut reader, read))? {
                Ok(ingested) => ingested,
                Err(error) => return Ok(Err(error.to_string())),
            };
            if let Err(error) = reader.finish() {
                return Ok(Err(error.to_string()));
            }
            // What is hashed is what is uploaded: a read that gave other bytes than the scan saw is not committed.
            if ingested.content != source.content {
                return Ok(Err("it changed since it was scanned".to_owned()));
            }
            Ok::<_, SyncError>(Ok(ingested.recipe.map(|recipe| (ingested.content.digest, recipe))))
        })?;
        run.send().await?;
        Ok(taken)
    }

    async fn take_in_loser(
        &self,
        run: &mut Run<'_>,
        loser: &LocalConflict,
    ) -> Result<Result<Vec<(Digest, Recipe)>, String>, SyncError> {
        // All of it, or nothing is sent: a version that is missing in part is none.
        let mut sources = Vec::new();
        for file in &loser.conflict.files {
            let Some(entry) = file.entry else { continue };
            // A member that was the same on both sides was not displaced: the bucket has it, so it need not be here.
            if run.has(entry.digest) {
                continue;
            }
            let absolute = self.layout.conflict_file(loser.conflict.id, &file.path);
            let (there, content) = (self.source_at(&absolute, entry.content()), entry.content());
            // Unless so much time has passed that the bucket has it no longer.
            match there.or_else(|| blocking(|| self.anywhere(content))) {
                Some(source) => sources.push(source),
                None => return Ok(Err(format!("its losing version is missing: {}", absolute.display()))),
            }
        }
        let mut recipes = Vec::new();
        for source in sources {
            match self.take_in(run, &source, &|_| {}).await? {
                Ok(recipe) => recipes.extend(recipe),
                Err(why) => return Ok(Err(format!("its losing version {}: {why}", source.relative))),
            }
        }
        Ok(Ok(recipes))
    }

    fn source_at(&self, absolute: &Path, content: Content) -> Option<Source> {
        let relative = absolute.strip_prefix(self.layout.root()).ok()?.to_str()?.to_owned();
        Some(Source { relative, stat: self.fs().lstat(absolute).ok()?, content })
    }

    /// A file of this disk that holds a content: in the vault, in the trash or in a conflict copy.
    fn anywhere(&self, content: Content) -> Option<Source> {
        let mut files = Vec::new();
        files_below(self.fs(), self.layout.root(), &mut files);
        let sources = files.iter().filter_map(|file| self.source_at(file, content));
        let mut alike = sources.filter(|source| source.stat.size == content.size);
        alike.find(|Source { relative, stat, .. }| {
            hash_stable(self.fs(), self.layout.root(), relative, stat)
                .is_ok_and(|found| found == Some(content))
        })
    }

    /// Packs that an earlier run uploaded without coming to the commit. One that is gone from the remote is forgotten.
    pub(super) async fn left_over(&self) -> Result<Vec<PackInfo>, SyncError> {
        let packs = self.ports.database.uploaded().unwrap_or_default();
        let mut there = Vec::new();
        for pack in packs {
            if self.has_pack(&pack).await? {
                there.push(pack);
            }
        }
        Ok(there)
    }
}

/// The commit of what was sent.
fn fill(mut commit: Commit, survey: &Survey, sent: &Sent) -> Commit {
    let pushed = survey.plan.steps.iter().filter(|step| step.outgoing() && sent.items.contains(&step.item));
    commit.changes = pushed
        .flat_map(|step| &step.files)
        .map(|file| Change { path: file.path.clone(), entry: file.to })
        .collect();
    commit.changes.sort_by(|a, b| a.path.cmp(&b.path));
    let kept = sent.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
    let named: BTreeSet<Digest> = commit
        .changes
        .iter()
        .filter_map(|change| change.entry)
        .chain(kept)
        .map(|entry| entry.digest)
        .collect();
    let recipes = sent
        .recipes
        .iter()
        .filter(|(digest, _)| named.contains(digest) && !survey.remote.recipes.contains_key(digest));
    commit.recipes =
        recipes.map(|(digest, recipe)| RecipeOf { digest: *digest, recipe: recipe.clone() }).collect();
    commit.packs = sent.packs.values().cloned().collect();
    commit.kept.clone_from(&sent.kept);
    commit.kept.sort_by_key(|conflict| conflict.id);
    commit
}

fn total(steps: &[&Step], survey: &Survey) -> Progress {
    let (up, _) = survey.pending();
    let files = steps.iter().flat_map(|step| &step.files).filter(|file| file.to.is_some()).count();
    Progress { phase: Phase::Upload, files_done: 0, files_total: files, bytes_done: 0, bytes_total: up.bytes }
}

/// How much of what is `read` has arrived: what is on its way is not there yet.
fn sent_of(read: Progress, uploads: &Uploads) -> Progress {
    let in_flight = uploads.in_flight();
    let unsure = usize::from(in_flight > 0);
    Progress {
        files_done: read.files_done.min(read.files_total.saturating_sub(unsure)),
        bytes_done: read.bytes_done.saturating_sub(in_flight),
        ..read
    }
}

fn source(survey: &Survey, path: &VaultPath, entry: Entry) -> Option<Source> {
    let stat = *survey.local.stats.get(path)?;
    let relative = survey.local.names.on_disk(path).unwrap_or_else(|| path.to_string());
    Some(Source { relative, stat, content: entry.content() })
}
