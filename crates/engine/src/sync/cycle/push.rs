//! Sending: packs first, then the commit that names them.
//!
//! Decided here: which items of the plan make it into the commit. A file that is no longer as it
//! was scanned leaves its item out, and with it every item bound to it. A crash before the commit
//! leaves packs that no commit names; the next push uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Survey;
use super::gather::{Gather, Gathered};
use super::indexed::Packs;
use super::sent::{Sent, fill, manifest_after};
use crate::content::ChunkIndex;
use crate::log::{Prepared, Snapshot, packs_of};
use crate::model::{CommitKey, CommitKind, Feature, Hlc, Item, Origin, PackInfo};
use crate::plan::{Step, batches};
use crate::state::LastSync;
use crate::sync::conflicts::LocalConflict;
use crate::sync::report::{Report, Trouble, Weight};
use crate::sync::session::Session;
use crate::sync::sound::Relied;
use crate::sync::{About, Phase, Progress, SyncError};

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
        let (mut losers, mut read, mut last) = (Some(losers), None, None);
        let mut batches = batches.into_iter().peekable();
        while let Some(batch) = batches.next() {
            if let Some(pushed) = last {
                if self.log.settle().await? != Some(pushed) {
                    return Ok(last);
                }
                let head = self.log.snapshot_sharing(pushed, &survey.local.tree).await?;
                pushing.head = self.log.at_hand(head);
            }
            let losers = losers.take().unwrap_or_default();
            let (sent, txn) = self.upload(&mut pushing, &batch, &losers, read.take()).await?;
            if let Some(prepared) = self.prepare(&mut pushing, &batch, &sent, txn).await? {
                last = Some(prepared.key);
                read = self.commit(&mut pushing, &prepared, &sent, batches.peek()).await?;
            }
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

    /// The commit of the uploaded part of a batch, and the record for it. None if there is nothing
    /// to commit.
    async fn prepare(
        &mut self,
        pushing: &mut Pushing<'_>,
        batch: &[&Step],
        sent: &Sent,
        txn: Hlc,
    ) -> Result<Option<Prepared>, SyncError> {
        if sent.items.is_empty() && sent.kept.is_empty() {
            return Ok(None);
        }
        let draft = self.draft(&pushing.head, txn, CommitKind::Sync).await?;
        let mut commit = fill(draft, &pushing.head, batch, sent);
        let origin = Origin { device: self.context.settings.device_name.clone(), txn };
        for conflict in &mut commit.kept {
            conflict.origin.get_or_insert_with(|| origin.clone());
        }
        pushing.survey.local.fold_parted(&mut commit.changes, &pushing.head.tree);
        if sent.databases && self.behind(Feature::Sqlite, &pushing.head).await?.is_empty() {
            commit.needs.push(Feature::Sqlite.need());
        }
        self.context.note_own_recipes(&commit, &pushing.head)?;
        let prepared = Prepared::new(commit)?;
        let after = manifest_after(&pushing.head, &prepared.commit, &pushing.survey.local.tree);
        pushing.done.extend(sent.items.iter().cloned());
        let Pushing { survey, record, done, .. } = pushing;
        record.txn = Some(txn);
        self.context.agree(record, survey, done, Some(prepared.key), &after)?;
        self.note_losses(survey, done)?;
        Ok(Some(prepared))
    }

    /// Sends a commit, and reads the files of the next one while the store takes it.
    async fn commit(
        &mut self,
        pushing: &mut Pushing<'_>,
        prepared: &Prepared,
        sent: &Sent,
        next: Option<&Vec<&Step>>,
    ) -> Result<Option<Gathered>, SyncError> {
        let brought: Vec<Arc<PackInfo>> = packs_of(prepared.key, &prepared.commit).map(Arc::new).collect();
        for pack in &brought {
            if let Some(packs) = &mut pushing.packs {
                packs.insert(pack.id, Arc::clone(pack));
            }
            pushing.index.insert(Arc::clone(pack));
            pushing.left_over.retain(|left| left.id != pack.id);
        }
        let gather = self.gather(pushing, false)?;
        let (watcher, progress) = (self.watcher, pushing.progress);
        let meanwhile = async {
            let Some(batch) = next else { return Ok(None) };
            let mut gathered = gather.read(batch, &[], progress).await?;
            gathered.arrive(watcher).await?;
            Ok(Some(gathered))
        };
        // Whatever becomes of the files, the commit is seen through.
        let publish = self.publish(prepared, pushing.record.clone());
        let ((), read) = tokio::try_join!(publish, async { Ok(Box::pin(meanwhile).await) })?;
        // The store has said so of each, in this very push.
        self.log.note_there(&brought.iter().map(|pack| pack.id).collect());
        self.report.sent(&prepared.commit);
        // The commit replaces a remote version that did not fit together.
        let sent_over = |about: &About| matches!(about, About::Item(item) if sent.items.contains(item));
        let fits = |trouble: &Trouble| trouble.weight != Weight::Invalid || !sent_over(&trouble.about);
        self.report.keep_problems(fits);
        read
    }

    /// Uploads what a batch and losing versions need. What that leaves to packs of others is read
    /// before anything relies on it; a chunk that is not there is taken out of the index, and sent
    /// after all. `read` is the batch where its files were read already. Returns the transaction of
    /// its commit, too.
    async fn upload(
        &mut self,
        pushing: &mut Pushing<'_>,
        batch: &[&Step],
        losers: &[LocalConflict],
        mut read: Option<Gathered>,
    ) -> Result<(Sent, Hlc), SyncError> {
        let (before, mut doubtful, mut doubted) = (pushing.progress, false, BTreeSet::new());
        loop {
            let gathered = match read.take() {
                Some(gathered) => gathered,
                None => self.gather(pushing, doubtful)?.read(batch, losers, pushing.progress).await?,
            };
            let (mut sent, relied, txn) = self.upload_rest(pushing, gathered).await?;
            doubted.extend(relied.doubted);
            let mut missing = self.context.not_there_now(&pushing.index, relied.chunks, &doubted).await?;
            // This device may have read them once.
            missing.extend(relied.unread);
            let is_read_again = relied.is_wrong && !doubtful;
            if missing.is_empty() && !is_read_again {
                leave_out_halves(pushing, &mut sent, &mut self.report);
                return Ok((sent, txn));
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

    /// Uploads what is left of a batch. Returns what it leaves to packs of others, too.
    async fn upload_rest(
        &mut self,
        pushing: &mut Pushing<'_>,
        mut gathered: Gathered,
    ) -> Result<(Sent, Relied, Hlc), SyncError> {
        let (context, watcher) = (self.context, self.watcher);
        let began = async {
            match pushing.txn {
                Some(txn) => Ok(txn),
                None => self.next_txn(pushing.record.txn).await,
            }
        };
        // What a first commit asks and says needs no pack to be there.
        let (arrived, announced, began) = tokio::join!(gathered.arrive(watcher), self.announce(), began);
        arrived?;
        announced?;
        let txn = *pushing.txn.insert(began?);
        gathered.troubles.drain(..).for_each(|trouble| self.report.once(trouble));
        pushing.progress = gathered.progress;
        if let Some(small) = gathered.small.take() {
            match small.enclosed() {
                Some(enclosed) if self.behind(Feature::Enclosed, &pushing.head).await?.is_empty() => {
                    gathered.sent.enclosed = Some(enclosed);
                }
                _ => gathered.part_with(small, watcher).await?,
            }
        }
        let Gathered { sent, relied, contents, .. } = gathered;
        let mut relied = Relied { chunks: relied, ..Relied::default() };
        relied.add(context, &pushing.index, &pushing.head, contents).await?;
        Ok((sent, relied, txn))
    }
}

impl<'e> Session<'e> {
    /// What files are read for in this push. It keeps nothing of the run from going on.
    fn gather<'a>(&self, pushing: &'a Pushing<'_>, doubtful: bool) -> Result<Gather<'a>, SyncError>
    where
        'e: 'a,
    {
        let (context, watcher) = (self.context, self.watcher);
        let Pushing { survey, head, index, left_over, .. } = pushing;
        let params = self.log.header()?.chunking;
        Ok(Gather { context, watcher, survey, params, head, index, left_over, doubtful })
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
