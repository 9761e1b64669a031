//! The end of an apply, after its last rename: its journal is dropped once the base is saved. One
//! that was cut short is finished, or given back to the planner.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::fs::{At, found};
use crate::log::Snapshot;
use crate::model::Item;
use crate::state::LastSync;
use crate::sync::session::{Context, Session};
use crate::sync::{SyncError, blocking};
use crate::vault::{Purpose, conclude, conclude_pull, recover, settle_transaction};

impl Session<'_> {
    /// Drops the journal of the last apply, if there is one. The base is saved, so the journal is
    /// no longer needed.
    pub(crate) async fn conclude(&self) -> Result<(), SyncError> {
        if !self.context.has_journal()? {
            return Ok(());
        }
        // The journal may be that of a transaction being written now. That one is gone once this
        // has the lock, or its command has died.
        let _lock = self.context.apply_lock().await?;
        Ok(blocking(|| conclude_pull(self.context.fs(), &self.context.layout))?)
    }

    /// Finishes an apply that a crash cut short, and records its result as agreed. The remote may
    /// have moved on since, and files that came from it must not pass for local edits.
    pub(crate) async fn recover(&mut self) -> Result<(), SyncError> {
        let context = self.context;
        // Who only reads may hold the lock for long. Without a journal there is nothing to wait
        // for: stages that nobody uses can go another time.
        let lock = if context.has_journal()? {
            context.apply_lock().await?
        } else {
            let Some(lock) = context.apply_lock_if_free()? else { return Ok(()) };
            lock
        };
        let recovered = blocking(|| recover(context.fs(), &context.layout, lock.as_ref()))?;
        let Some(recovered) = recovered else { return Ok(()) };
        let applied = &recovered.applied;
        tracing::info!(
            purpose = String::from(recovered.purpose.clone()),
            done = applied.done.len(),
            again = applied.retry.len(),
            "an apply that was cut short has been finished"
        );
        if let Purpose::Generation(commit) = recovered.purpose {
            self.report.brought(applied);
            context.confirm_brought(&applied.done)?;
            let done: BTreeSet<Item> = applied.done.iter().cloned().collect();
            // A first join that was cut short has also agreed on the files that it brought.
            let mut record = context.record_or_first(self.marker.vault)?;
            let there = self.log.recall(commit).await?;
            let agreed = self.agreed_by(&record).await?;
            context.agree_applied(&mut record, &agreed, &there, &done)?;
            context.save_record(&record)?;
            self.forget_brought(&there, &done)?;
        }
        self.forget_agreed(&applied.stranded).await?;
        blocking(|| settle_transaction(context.fs(), &context.layout, &recovered))?;
        Ok(blocking(|| conclude(context.fs(), &context.layout))?)
    }

    /// Makes files count as never agreed on here, so that they are brought anew: this program took
    /// them out of a folder that was moved away. Else the missing files would count as deleted.
    async fn forget_agreed(&mut self, stranded: &BTreeSet<Item>) -> Result<(), SyncError> {
        let Some(mut record) = self.context.record()?.filter(|_| !stranded.is_empty()) else {
            return Ok(());
        };
        let agreed = self.agreed_by(&record).await?;
        self.context.forget_agreed(&mut record, &agreed, stranded)?;
        self.context.save_record(&record)
    }

    async fn agreed_by(&mut self, record: &LastSync) -> Result<Arc<Snapshot>, SyncError> {
        Ok(match record.commit {
            Some(agreed) => self.log.recall(agreed).await?,
            None => self.log.snapshot(None).await?,
        })
    }
}

impl Context {
    pub(super) fn has_journal(&self) -> Result<bool, SyncError> {
        let path = self.layout.applying();
        Ok(found(self.fs().lstat(&path)).at("look at", &path)?.is_some())
    }

    /// Drops `items` from the base of `record`, whose commit is `agreed`.
    fn forget_agreed(
        &self,
        record: &mut LastSync,
        agreed: &Snapshot,
        items: &BTreeSet<Item>,
    ) -> Result<(), SyncError> {
        // A transaction goes by the name of its first file, whatever group that is in.
        let of_agreed = |item: &Item| match item {
            Item::File(path) => agreed.groups.item(path),
            Item::Group(_) => item.clone(),
        };
        let items: BTreeSet<Item> = items.iter().map(of_agreed).collect();
        self.amend_base(record, agreed, |base| {
            base.retain(|path, _| !items.contains(&agreed.groups.item(path)));
        })
    }
}
