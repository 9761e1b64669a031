//! Sending: packs first, then the commit that names them.
//!
//! Decided here: which items of the plan make it into the commit. A file that is no longer as it was
//! scanned leaves its item out, and what is bound to that item too. A crash before the commit leaves
//! packs that no commit names; the next push uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::upload::{Counted, PACKS_IN_FLIGHT};
use super::{Known, Run, Survey, Uploads};
use crate::content::ChunkIndex;
use crate::fs::readable_files_below;
use crate::log::Prepared;
use crate::model::{
    Change, Commit, CommitKey, CommitKind, Conflict, Content, Digest, Entry, FileStat, Item, Origin, PackId,
    PackInfo, Recipe, RecipeOf, VaultPath, set_entry,
};
use crate::plan::Step;
use crate::state::LastSync;
use crate::sync::conflicts::LocalConflict;
use crate::sync::report::{Report, Trouble, Weight};
use crate::sync::session::{Context, Session};
use crate::sync::{About, Phase, Progress, SyncError, blocking};
use crate::vault::{hash_stable, open_stable};

/// What was uploaded and can be committed.
#[derive(Debug, Default)]
struct Sent {
    items: BTreeSet<Item>,
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

/// What became of a file that was to be read for the commit.
enum Taken {
    /// The vault holds its content already.
    Known,
    /// It was read. A content of one chunk has no recipe.
    Read(Option<Recipe>),
    /// It is not in a state that can be committed.
    LeftOut(String),
}

impl Session<'_> {
    /// Uploads what the plan pushes, and losing versions that no commit names yet; commits both. Gives the
    /// key of the commit, none where there was nothing to commit.
    pub(crate) async fn push(
        &mut self,
        record: &LastSync,
        survey: &Survey,
        pulled: &BTreeSet<Item>,
    ) -> Result<Option<CommitKey>, SyncError> {
        let losers = self.context.unkept(&survey.remote)?;
        let steps: Vec<&Step> = survey.plan.steps.iter().filter(|step| step.outgoing()).collect();
        if steps.is_empty() && losers.is_empty() {
            return Ok(None);
        }
        let mut sent = self.upload(survey, &steps, losers).await?;
        leave_out_halves(survey, pulled, &mut sent, &mut self.report);
        let pack = sent.packs.keys().next().copied();
        let txn = self.next_txn(record.txn, pack).await?;
        let origin = Origin { device: self.context.settings.device_name.clone(), txn };
        for conflict in &mut sent.kept {
            conflict.origin.get_or_insert_with(|| origin.clone());
        }
        if sent.items.is_empty() && sent.kept.is_empty() {
            return Ok(None);
        }
        let mut record = record.clone();
        record.txn = Some(txn);
        let draft = self.draft(&survey.remote, txn, CommitKind::Sync).await?;
        let mut commit = fill(draft, survey, &sent);
        let prepared = Prepared::new(&mut commit)?;
        let mut after = survey.remote.tree.clone();
        for change in &commit.changes {
            set_entry(&mut after, change.path.clone(), change.entry);
        }
        let done: BTreeSet<Item> = pulled.union(&sent.items).cloned().collect();
        self.context.agree(&mut record, survey, &done, Some(prepared.key), &after)?;
        self.publish(&prepared, record).await?;
        self.context.forget_uploaded();
        self.report.sent(&commit);
        // What did not fit together there has been committed over.
        let sent_over = |about: &About| matches!(about, About::Item(item) if sent.items.contains(item));
        let fits = |trouble: &Trouble| trouble.weight != Weight::Invalid || !sent_over(&trouble.about);
        self.report.problems.retain(fits);
        Ok(Some(prepared.key))
    }

    async fn upload(
        &mut self,
        survey: &Survey,
        steps: &[&Step],
        losers: Vec<LocalConflict>,
    ) -> Result<Sent, SyncError> {
        let context = self.context;
        let head = &survey.remote;
        let index: ChunkIndex = head.lasting_packs().map(AsRef::as_ref).collect();
        let mut left_over = context.left_over().await?;
        // What was uploaded long ago may have been marked as nobody's meanwhile.
        left_over.retain(|pack| !head.marked.contains_key(&pack.id) && !head.swept.contains(&pack.id));
        let mut known = Known::new(head, &index, left_over);
        let uploads = Uploads::new(&context.ports, context.interrupt.clone());
        let mut sent = Sent::default();
        let mut progress = total(steps, survey);
        {
            let params = self.log.header()?.chunking;
            let mut run = Run::new(params, context.ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for step in steps {
                self.take_in_step(&mut run, survey, step, &mut progress, &mut sent).await?;
            }
            for loser in losers {
                self.take_in_loser(&mut run, loser, &mut sent).await?;
            }
            blocking(|| run.finish())?;
        }
        for left in (0..PACKS_IN_FLIGHT).rev() {
            uploads.wait_for(left).await?;
            self.watcher.progress(uploads.sent_of(progress));
        }
        sent.packs.extend(known.used());
        sent.packs.extend(uploads.done().await.into_iter().map(|pack| (pack.id, pack)));
        Ok(sent)
    }

    /// Reads the files of one item into the run, all of them or the item is left out.
    async fn take_in_step(
        &mut self,
        run: &mut Run<'_>,
        survey: &Survey,
        step: &Step,
        progress: &mut Progress,
        sent: &mut Sent,
    ) -> Result<(), SyncError> {
        let mut recipes = Vec::new();
        for (path, entry) in step.files.iter().filter_map(|file| Some((&file.path, file.to?))) {
            let Some(source) = source(survey, path, entry) else {
                self.report.wait(&step.item, format!("{path}: it is no longer as it was scanned"));
                return Ok(());
            };
            // A large file is more than one step.
            let (uploads, watcher, before) = (run.uploads().clone(), self.watcher, *progress);
            let read = |bytes| {
                let bytes_done = before.bytes_done + bytes;
                watcher.progress(uploads.sent_of(Progress { bytes_done, ..before }));
            };
            match self.context.take_in(run, &source, &read).await? {
                Taken::Known => {}
                Taken::Read(recipe) => recipes.extend(recipe.map(|recipe| (entry.digest, recipe))),
                Taken::LeftOut(why) => {
                    self.report.wait(&step.item, format!("{path}: {why}"));
                    return Ok(());
                }
            }
            progress.files_done += 1;
            progress.bytes_done += entry.size;
            watcher.progress(uploads.sent_of(*progress));
        }
        sent.items.insert(step.item.clone());
        sent.recipes.extend(recipes);
        Ok(())
    }

    /// Reads a losing version into the run: all of it, or it is reported. A version that is missing in part is none.
    async fn take_in_loser(
        &mut self,
        run: &mut Run<'_>,
        loser: LocalConflict,
        sent: &mut Sent,
    ) -> Result<(), SyncError> {
        match self.context.read_loser(run, &loser.conflict).await? {
            Ok(recipes) => {
                sent.recipes.extend(recipes);
                sent.kept.push(loser.conflict);
            }
            Err(why) => {
                self.report.problems.push(Trouble::of(&loser.conflict.item, why, Weight::Lasting));
            }
        }
        Ok(())
    }
}

impl Context {
    /// Reads one file into the run. `read` is told how many bytes of it were read.
    async fn take_in(
        &self,
        run: &mut Run<'_>,
        source: &Source,
        read: &(dyn Fn(u64) + Sync),
    ) -> Result<Taken, SyncError> {
        if source.content.size == 0 || run.has(source.content.digest) {
            return Ok(Taken::Known);
        }
        let taken = blocking(|| {
            let left_out = |error: std::io::Error| Ok(Taken::LeftOut(error.to_string()));
            let reader = open_stable(self.fs(), self.layout.root(), &source.relative, &source.stat);
            let mut reader = match reader {
                Ok(reader) => reader,
                Err(error) => return left_out(error),
            };
            let ingested = match run.add(&mut Counted::new(&mut reader, read))? {
                Ok(ingested) => ingested,
                Err(error) => return left_out(error),
            };
            if let Err(error) = reader.finish() {
                return left_out(error);
            }
            // What is hashed is what is uploaded: a read that gave other bytes than the scan saw is not committed.
            if ingested.content != source.content {
                return Ok(Taken::LeftOut("it changed since it was scanned".to_owned()));
            }
            Ok::<_, SyncError>(Taken::Read(ingested.recipe))
        })?;
        run.send().await?;
        Ok(taken)
    }

    /// Reads a losing version into the run. The inner error says what of it is missing.
    async fn read_loser(
        &self,
        run: &mut Run<'_>,
        loser: &Conflict,
    ) -> Result<Result<BTreeMap<Digest, Recipe>, String>, SyncError> {
        let mut sources = Vec::new();
        for (path, entry) in loser.files.iter().filter_map(|file| Some((&file.path, file.entry?))) {
            // A member that was the same on both sides was not displaced: the bucket has it, so it need not be here.
            if run.has(entry.digest) {
                continue;
            }
            let absolute = self.layout.conflict_file(loser.id, path);
            let there = self.source_at(&absolute, entry.content());
            // Unless so much time has passed that the bucket has it no longer.
            match there.or_else(|| blocking(|| self.anywhere(entry.content()))) {
                Some(source) => sources.push(source),
                None => return Ok(Err(format!("its losing version is missing: {}", absolute.display()))),
            }
        }
        let mut recipes = BTreeMap::new();
        for source in sources {
            match self.take_in(run, &source, &|_| {}).await? {
                Taken::Known => {}
                Taken::Read(recipe) => {
                    recipes.extend(recipe.map(|recipe| (source.content.digest, recipe)));
                }
                Taken::LeftOut(why) => {
                    return Ok(Err(format!("its losing version {}: {why}", source.relative)));
                }
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
        let files = readable_files_below(self.fs(), self.layout.root());
        let sources = files.iter().filter_map(|file| self.source_at(file, content));
        let mut alike = sources.filter(|source| source.stat.size == content.size);
        alike.find(|Source { relative, stat, .. }| {
            hash_stable(self.fs(), self.layout.root(), relative, stat)
                .is_ok_and(|found| found == Some(content))
        })
    }

    /// Packs that an earlier run uploaded without coming to the commit. One that is gone from the remote is forgotten.
    pub(crate) async fn left_over(&self) -> Result<Vec<PackInfo>, SyncError> {
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

/// Takes items out of what is about to be committed that belong with one that did not get this far.
fn leave_out_halves(survey: &Survey, pulled: &BTreeSet<Item>, sent: &mut Sent, report: &mut Report) {
    loop {
        let missing = |item: &&Item| {
            let mut steps = survey.plan.steps.iter().filter(|step| step.item == **item);
            steps.any(|step| {
                step.outgoing() && !sent.items.contains(*item) || step.incoming() && !pulled.contains(*item)
            })
        };
        let half = |items: &&BTreeSet<Item>| items.iter().any(|item| sent.items.contains(item));
        let bound = survey.bound.items.iter().filter(half);
        let mut broken = bound.filter_map(|items| Some((items, items.iter().find(missing)?)));
        let Some((items, cause)) = broken.next() else { return };
        let why = format!("it was written together with {cause}, which could not be sent");
        for item in items {
            if sent.items.remove(item) {
                report.wait(item, why.clone());
            }
        }
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

fn source(survey: &Survey, path: &VaultPath, entry: Entry) -> Option<Source> {
    let stat = *survey.local.stats.get(path)?;
    let relative = survey.local.names.on_disk(path).unwrap_or_else(|| path.to_string());
    Some(Source { relative, stat, content: entry.content() })
}
