//! Sending: packs first, then the commit that names them.
//!
//! Decided here: which items of the plan make it into the commit. A file that is no longer as it
//! was scanned leaves its item out, and with it every item bound to it. A crash before the commit
//! leaves packs that no commit names; the next push uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::indexed::Packs;
use super::intake::Taken;
use super::sent::{Sent, fill, manifest_after};
use super::upload::PACKS_IN_FLIGHT;
use super::{Known, Run, Survey, Uploads};
use crate::content::ChunkIndex;
use crate::log::{Prepared, Snapshot, packs_of};
use crate::model::{CommitKey, CommitKind, Feature, Hlc, Item, Origin, PackInfo};
use crate::plan::{Step, batches};
use crate::state::LastSync;
use crate::sync::conflicts::LocalConflict;
use crate::sync::report::{Report, Trouble, Weight};
use crate::sync::session::Session;
use crate::sync::sound::Relied;
use crate::sync::{About, Phase, Progress, SyncError, blocking};

/// State of a push under way, for its next commit.
struct Pushing<'s> {
    survey: &'s Survey,
    /// State that the next commit follows.
    head: Arc<Snapshot>,
    /// Chunks that need not be uploaded.
    index: ChunkIndex,
    /// Packs that the index is of. None once it is of other chunks than their tables say.
    packs: Option<Packs>,
    /// Uploaded packs that no commit names.
    left_over: Vec<PackInfo>,
    record: LastSync,
    /// One transaction for all commits of a push: people see them as one change.
    txn: Option<Hlc>,
    /// Items on which both sides now agree.
    done: BTreeSet<Item>,
    progress: Progress,
}

impl Session<'_> {
    /// Uploads the files that the plan pushes, and losing versions that no commit names yet.
    /// Commits both, in as many commits as their size asks for. Returns the key of the last commit,
    /// or none if there was nothing to commit. If another device commits meanwhile, the rest is
    /// left to the next round.
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
        let chunk = self.log.header()?.chunking.avg;
        let limits = self.context.settings.limits;
        let mut batches = batches(&steps, &survey.bound.items, &survey.plan.approved, chunk, limits);
        if batches.is_empty() {
            batches.push(Vec::new());
        }
        let mut pushing = self.pushing(record, survey, pulled, &steps).await?;
        let (mut losers, mut last) = (Some(losers), None);
        for batch in batches {
            if let Some(pushed) = last {
                if self.log.settle().await? != Some(pushed) {
                    return Ok(last);
                }
                let head = self.log.snapshot_sharing(pushed, &survey.local.tree).await?;
                pushing.head = self.log.at_hand(head);
            }
            let sent = self.upload(&mut pushing, &batch, &losers.take().unwrap_or_default()).await?;
            last = self.commit_sent(&mut pushing, &batch, sent).await?.or(last);
        }
        if last.is_some() {
            self.context.clear_uploaded();
        }
        if let Some(packs) = pushing.packs {
            self.context.indexed.keep(packs, pushing.index);
        }
        Ok(last)
    }

    async fn pushing<'s>(
        &self,
        record: &LastSync,
        survey: &'s Survey,
        pulled: &BTreeSet<Item>,
        steps: &[&Step],
    ) -> Result<Pushing<'s>, SyncError> {
        let head = Arc::clone(&survey.remote);
        let mut left_over = self.context.left_over().await?;
        // Meanwhile an old upload may have been marked as unneeded, or committed.
        left_over.retain(|pack| {
            let is_known = head.packs.contains_key(&pack.id) || head.marked.contains_key(&pack.id);
            !is_known && !head.swept.contains(&pack.id)
        });
        let packs = head.lasting();
        Ok(Pushing {
            survey,
            index: self.context.indexed.take(&packs),
            packs: Some(packs),
            head,
            left_over,
            record: record.clone(),
            txn: None,
            done: pulled.clone(),
            progress: total(steps, survey),
        })
    }

    /// Commits the uploaded part of a batch. Returns no key if there is none.
    async fn commit_sent(
        &mut self,
        pushing: &mut Pushing<'_>,
        batch: &[&Step],
        mut sent: Sent,
    ) -> Result<Option<CommitKey>, SyncError> {
        leave_out_halves(pushing, &mut sent, &mut self.report);
        if sent.items.is_empty() && sent.kept.is_empty() {
            return Ok(None);
        }
        let txn = match pushing.txn {
            Some(txn) => txn,
            None => self.next_txn(pushing.record.txn, sent.packs.keys().next().copied()).await?,
        };
        pushing.txn = Some(txn);
        pushing.record.txn = Some(txn);
        let origin = Origin { device: self.context.settings.device_name.clone(), txn };
        for conflict in &mut sent.kept {
            conflict.origin.get_or_insert_with(|| origin.clone());
        }
        let draft = self.draft(&pushing.head, txn, CommitKind::Sync).await?;
        let mut commit = fill(draft, &pushing.head, batch, &sent);
        pushing.survey.local.fold_parted(&mut commit.changes, &pushing.head.tree);
        if sent.databases && self.behind(Feature::Sqlite, &pushing.head).await?.is_empty() {
            commit.needs.push(Feature::Sqlite.need());
        }
        let prepared = Prepared::new(commit)?;
        let after = manifest_after(&pushing.head, &prepared.commit, &pushing.survey.local.tree);
        pushing.done.extend(sent.items.iter().cloned());
        let Pushing { survey, record, done, .. } = pushing;
        self.context.agree(record, survey, done, Some(prepared.key), &after)?;
        self.note_losses(survey, done)?;
        self.publish(&prepared, record.clone()).await?;
        let brought: Vec<Arc<PackInfo>> = packs_of(prepared.key, &prepared.commit).map(Arc::new).collect();
        // The store has said so of each, in this very push.
        self.log.note_there(&brought.iter().map(|pack| pack.id).collect());
        for pack in brought {
            if let Some(packs) = &mut pushing.packs {
                packs.insert(pack.id, Arc::clone(&pack));
            }
            pushing.index.insert(Arc::clone(&pack));
            pushing.left_over.retain(|left| left.id != pack.id);
        }
        self.report.sent(&prepared.commit);
        // The commit replaces a remote version that did not fit together.
        let sent_over = |about: &About| matches!(about, About::Item(item) if sent.items.contains(item));
        let fits = |trouble: &Trouble| trouble.weight != Weight::Invalid || !sent_over(&trouble.about);
        self.report.keep_problems(fits);
        Ok(Some(prepared.key))
    }

    /// Uploads what a batch and losing versions need. What that leaves to packs of others is read
    /// before anything relies on it; a chunk that is not there is taken out of the index, and sent
    /// after all.
    async fn upload(
        &mut self,
        pushing: &mut Pushing<'_>,
        batch: &[&Step],
        losers: &[LocalConflict],
    ) -> Result<Sent, SyncError> {
        let (before, mut doubtful, mut doubted) = (pushing.progress, false, BTreeSet::new());
        loop {
            let (sent, relied) = self.upload_once(pushing, batch, losers, doubtful).await?;
            doubted.extend(relied.doubted);
            let mut missing = self.context.not_there_now(&pushing.index, relied.chunks, &doubted).await?;
            // This device may have read them once.
            missing.extend(relied.unread);
            let is_read_again = relied.is_wrong && !doubtful;
            if missing.is_empty() && !is_read_again {
                return Ok(sent);
            }
            tracing::warn!(
                chunks = missing.len(),
                "packs do not hold what their tables say: it is sent again"
            );
            pushing.packs = None;
            missing.iter().for_each(|id| pushing.index.forget(id));
            // What was sent just now need not be sent again.
            pushing.left_over.retain(|pack| !sent.packs.contains_key(&pack.id));
            pushing.left_over.extend(sent.packs.into_values());
            (pushing.progress, doubtful) = (before, true);
        }
    }

    /// Uploads what a batch and losing versions need and nobody seems to have sent. Returns the
    /// chunks that others seem to have sent, too.
    async fn upload_once(
        &mut self,
        pushing: &mut Pushing<'_>,
        batch: &[&Step],
        losers: &[LocalConflict],
        doubtful: bool,
    ) -> Result<(Sent, Relied), SyncError> {
        let context = self.context;
        let files = batch.iter().map(|step| step.files.len()).sum();
        let small = context.settings.limits.enclosed_at(pushing.head.seq(), files);
        let Pushing { survey, head, index, left_over, progress, .. } = pushing;
        let mut known = Known::new(head, index, left_over.clone());
        known.doubtful = doubtful;
        let uploads = Uploads::new(context).keeping(small);
        let mut sent = Sent::default();
        let contents = {
            let params = self.log.header()?.chunking;
            let mut run = Run::new(params, context.ports.entropy.as_ref(), &mut known, uploads.clone())?;
            for step in batch {
                self.take_in_step(&mut run, survey, step, progress, &mut sent).await?;
            }
            for loser in losers {
                self.take_in_loser(&mut run, loser, &mut sent).await?;
            }
            blocking(|| run.finish())?
        };
        for left in (0..PACKS_IN_FLIGHT).rev() {
            uploads.wait_for(left).await?;
            self.watcher.progress(uploads.sent_of(*progress));
        }
        if let Some(kept) = uploads.take_kept() {
            match kept.enclosed() {
                Some(enclosed) if self.behind(Feature::Enclosed, head).await?.is_empty() => {
                    sent.enclosed = Some(enclosed);
                }
                _ => {
                    uploads.queue(kept).await;
                    uploads.wait_for(0).await?;
                }
            }
        }
        let mut relied = Relied { chunks: known.relied().clone(), ..Relied::default() };
        relied.add(context, index, head, contents).await?;
        sent.packs.extend(known.used());
        sent.packs.extend(uploads.done().await.into_iter().map(|pack| (pack.id, pack)));
        Ok((sent, relied))
    }

    /// Reads the files of one item into the run. If one is missing, the item is left out.
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
            let Some(source) = self.context.source(survey, path, entry) else {
                self.report.wait(&step.item, format!("{path}: it is no longer as it was scanned"));
                return Ok(());
            };
            // A large file reports more than one step.
            let (uploads, watcher, before) = (run.uploads().clone(), self.watcher, *progress);
            let read = |bytes| {
                let bytes_done = before.bytes_done + bytes;
                watcher.progress(uploads.sent_of(Progress { bytes_done, ..before }));
            };
            match self.context.take_in(run, &source, &read).await? {
                // The same state may stand in the vault under another name.
                Taken::Known => sent.databases |= survey.local.in_parts.contains(path),
                Taken::Read { recipe, database } => {
                    recipes.extend(recipe.map(|recipe| (entry.digest, recipe)));
                    sent.databases |= database;
                }
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

    /// Reads a losing version into the run: all of it, or it is reported. A version that is missing
    /// in part is not kept.
    async fn take_in_loser(
        &mut self,
        run: &mut Run<'_>,
        loser: &LocalConflict,
        sent: &mut Sent,
    ) -> Result<(), SyncError> {
        match self.context.read_loser(run, &loser.conflict).await? {
            Ok(recipes) => {
                sent.recipes.extend(recipes);
                sent.kept.push(loser.conflict.clone());
            }
            Err(why) => {
                self.report.once(Trouble::of(&loser.conflict.item, why, Weight::Lasting));
            }
        }
        Ok(())
    }
}

/// Leaves out items that are bound to one that did not get this far.
fn leave_out_halves(pushing: &Pushing<'_>, sent: &mut Sent, report: &mut Report) {
    let Pushing { survey, done, .. } = pushing;
    if survey.bound.items.is_empty() {
        return;
    }
    let steps: BTreeMap<&Item, &Step> = survey.plan.steps.iter().map(|step| (&step.item, step)).collect();
    loop {
        let missing = |item: &&Item| {
            steps.get(*item).is_some_and(|step| {
                step.outgoing() && !sent.items.contains(*item) || step.incoming() && !done.contains(*item)
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

fn total(steps: &[&Step], survey: &Survey) -> Progress {
    let (up, _) = survey.pending();
    let files = steps.iter().flat_map(|step| &step.files).filter(|file| file.to.is_some()).count();
    Progress { phase: Phase::Upload, files_done: 0, files_total: files, bytes_done: 0, bytes_total: up.bytes }
}
