//! The files of one commit of a push, on their way into packs.
//!
//! Nothing of the run is changed here: what is found is handed over. So the files of the next
//! commit are read while the store still takes the one before. A crash leaves packs that no commit
//! names; the next push uses them.

use std::collections::BTreeSet;

use super::intake::Taken;
use super::sent::Sent;
use super::upload::PACKS_IN_FLIGHT;
use super::{Known, Run, Survey, Uploads};
use crate::content::{ChunkIndex, FinishedPack};
use crate::log::Snapshot;
use crate::model::{ChunkParams, Content, Digest, PackInfo};
use crate::plan::Step;
use crate::sync::conflicts::LocalConflict;
use crate::sync::report::{Trouble, Weight};
use crate::sync::session::Context;
use crate::sync::{Progress, SyncError, Watcher, blocking};

/// What the files are read for, and against.
pub(super) struct Gather<'a> {
    pub context: &'a Context,
    pub watcher: &'a dyn Watcher,
    pub survey: &'a Survey,
    pub params: ChunkParams,
    /// State whose contents need not be sent.
    pub head: &'a Snapshot,
    /// Chunks that need not be sent.
    pub index: &'a ChunkIndex,
    /// Packs that an earlier run has sent and no commit names.
    pub left_over: &'a [PackInfo],
    /// True where some of the index was found to be missing.
    pub doubtful: bool,
}

/// The files of one commit in packs.
pub(super) struct Gathered {
    pub sent: Sent,
    /// A pack so small that the commit itself may hold it.
    pub small: Option<FinishedPack>,
    /// Items that were left out, and why.
    pub troubles: Vec<Trouble>,
    /// Chunks that were not sent because the index has them.
    pub relied: BTreeSet<Digest>,
    /// Contents that were not read because the vault holds them.
    pub contents: Vec<Content>,
    pub progress: Progress,
    uploads: Uploads,
}

impl Gather<'_> {
    /// Reads the files of `batch` and the losing versions, and sends the packs that they fill.
    pub(super) async fn read(
        &self,
        batch: &[&Step],
        losers: &[LocalConflict],
        progress: Progress,
    ) -> Result<Gathered, SyncError> {
        let Self { context, head, index, .. } = *self;
        let files = batch.iter().map(|step| step.files.len()).sum();
        let small = context.settings.limits.enclosed_at(head.seq(), files);
        let mut known = Known::new(head, index, self.left_over.to_vec());
        known.doubtful = self.doubtful;
        known.agreed = Some(&self.survey.base);
        let uploads = Uploads::new(context).keeping(small);
        let mut gathered = Gathered {
            sent: Sent::default(),
            small: None,
            troubles: Vec::new(),
            relied: BTreeSet::new(),
            contents: Vec::new(),
            progress,
            uploads: uploads.clone(),
        };
        let mut run = Run::new(self.params, context.ports.entropy.as_ref(), &mut known, uploads.clone())?;
        for step in batch {
            self.take_in_step(&mut run, step, &mut gathered).await?;
            // What goes on beside this gets its turn.
            tokio::task::yield_now().await;
        }
        for loser in losers {
            self.take_in_loser(&mut run, loser, &mut gathered).await?;
        }
        gathered.contents = blocking(|| run.finish())?;
        gathered.small = uploads.take_kept();
        gathered.relied = known.relied().clone();
        gathered.sent.packs.extend(known.used());
        Ok(gathered)
    }

    /// Reads the files of one item into the run. If one is missing, the item is left out.
    async fn take_in_step(
        &self,
        run: &mut Run<'_>,
        step: &Step,
        gathered: &mut Gathered,
    ) -> Result<(), SyncError> {
        let Self { context, survey, watcher, .. } = *self;
        let mut recipes = Vec::new();
        for (path, entry) in step.files.iter().filter_map(|file| Some((&file.path, file.to?))) {
            let Some(source) = context.source(survey, path, entry) else {
                gathered.leave_out(step, format!("{path}: it is no longer as it was scanned"));
                return Ok(());
            };
            // A large file reports more than one step.
            let (uploads, before) = (run.uploads().clone(), gathered.progress);
            let read = |bytes| {
                let bytes_done = before.bytes_done + bytes;
                watcher.progress(uploads.sent_of(Progress { bytes_done, ..before }));
            };
            match context.take_in(run, &source, &read).await? {
                // The same state may stand in the vault under another name.
                Taken::Known => gathered.sent.databases |= survey.local.in_parts.contains(path),
                Taken::Read { recipe, database } => {
                    recipes.extend(recipe.map(|recipe| (entry.digest, recipe)));
                    gathered.sent.databases |= database;
                }
                Taken::LeftOut(why) => {
                    gathered.leave_out(step, format!("{path}: {why}"));
                    return Ok(());
                }
            }
            gathered.progress.files_done += 1;
            gathered.progress.bytes_done += entry.size;
            watcher.progress(uploads.sent_of(gathered.progress));
        }
        gathered.sent.items.insert(step.item.clone());
        gathered.sent.recipes.extend(recipes);
        Ok(())
    }

    /// Reads a losing version into the run: all of it, or it is reported. A version that is missing
    /// in part is not kept.
    async fn take_in_loser(
        &self,
        run: &mut Run<'_>,
        loser: &LocalConflict,
        gathered: &mut Gathered,
    ) -> Result<(), SyncError> {
        match self.context.read_loser(run, &loser.conflict).await? {
            Ok(recipes) => {
                gathered.sent.recipes.extend(recipes);
                gathered.sent.kept.push(loser.conflict.clone());
            }
            Err(why) => {
                gathered.troubles.push(Trouble::of(&loser.conflict.item, why, Weight::Lasting));
            }
        }
        Ok(())
    }
}

impl Gathered {
    fn leave_out(&mut self, step: &Step, why: String) {
        self.troubles.push(Trouble::of(&step.item, why, Weight::Passing));
    }

    /// Waits until all packs have arrived.
    pub(super) async fn arrive(&mut self, watcher: &dyn Watcher) -> Result<(), SyncError> {
        for left in (0..PACKS_IN_FLIGHT).rev() {
            self.uploads.wait_for(left).await?;
            watcher.progress(self.uploads.sent_of(self.progress));
        }
        let arrived = self.uploads.done().await;
        self.sent.packs.extend(arrived.into_iter().map(|pack| (pack.id, pack)));
        Ok(())
    }

    /// Sends the small pack as one of its own.
    pub(super) async fn part_with(
        &mut self,
        small: FinishedPack,
        watcher: &dyn Watcher,
    ) -> Result<(), SyncError> {
        self.uploads.queue(small).await;
        self.arrive(watcher).await
    }
}
