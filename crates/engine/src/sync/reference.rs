//! The sliding reference of the brakes, and the time by which old things are deleted.
//!
//! Both are in `sync/reference.json` ([`crate::state::Reference`]). Everything that is deleted for
//! its age asks only [`Session::age_ms`]: the trash, the records and copies of transactions. The
//! bucket's retention goes by the server's time, and the settle window by the disk's.
//!
//! The losses of a commit are durable before the commit is sent. If a crash or an error brings that
//! commit to nothing, the record names files that stand as they were, and these are no losses.

use std::collections::BTreeSet;

use super::cycle::Survey;
use super::session::{Context, Session};
use super::{SyncError, blocking};
use crate::clock::random;
use crate::log::{Log, Snapshot};
use crate::model::{Item, Losses, VaultId};
use crate::plan::{self, Input};
use crate::planted::{Bug, planted};
use crate::state::Reference;
use crate::vault::ApplyId;

impl Context {
    /// Reads the reference of a vault, or begins one.
    pub(crate) fn reference(&self, vault: VaultId, log: &Log) -> Result<Reference, SyncError> {
        let stored = Reference::load(self.fs(), &self.layout.reference(), vault)?;
        Ok(stored.unwrap_or_else(|| Reference::new(vault, self.ports.clock.now_ms(), server_ms(log))))
    }
}

impl Session<'_> {
    /// Time by which ages are measured. A clock that jumps ahead makes nothing old.
    pub(crate) fn age_ms(&self) -> u64 {
        let local = self.context.ports.clock.now_ms();
        if planted(Bug::LocalClock) {
            return local;
        }
        self.reference.age_ms(local, server_ms(self.log))
    }

    /// Name of an apply that begins now.
    pub(crate) fn apply_id(&self) -> ApplyId {
        let ports = &self.context.ports;
        ApplyId::new(self.reference.name_ms(ports.clock.now_ms()), random(ports.entropy.as_ref()))
    }

    /// Losses of the last day of files that the filters let be synced.
    pub(crate) fn losses(&self) -> Losses {
        let mut losses = self.reference.losses_now(self.context.ports.clock.now_ms());
        losses.retain(|path, _| self.context.visible(path));
        losses
    }

    /// Makes durable what the plan's items in `done` take from the reference, or put back.
    pub(crate) fn note_losses(&mut self, survey: &Survey, done: &BTreeSet<Item>) -> Result<(), SyncError> {
        let remote = &survey.remote;
        let input = Input {
            blocked: &survey.local.blocked,
            brakes: Some(self.context.settings.brakes),
            losses: &survey.losses,
            ..Input::of([&survey.base, &survey.local.tree, &remote.tree], &remote.groups, &remote.ages)
        };
        let at_ms = self.reference.loss_ms(self.context.ports.clock.now_ms());
        self.keep_losses(plan::losses(&input, &survey.plan, done, at_ms))
    }

    /// Forgets all losses: a person has decided what the vault is to be.
    pub(crate) fn forget_losses(&mut self) -> Result<(), SyncError> {
        self.keep_losses(Losses::new())
    }

    /// Forgets the losses of items that a commit of another device has brought.
    pub(crate) fn forget_brought(
        &mut self,
        commit: &Snapshot,
        items: &BTreeSet<Item>,
    ) -> Result<(), SyncError> {
        let mut losses = self.reference.losses.clone();
        losses.retain(|path, _| !items.contains(&commit.groups.item(path)));
        self.keep_losses(losses)
    }

    fn keep_losses(&mut self, losses: Losses) -> Result<(), SyncError> {
        if losses == self.reference.losses {
            return Ok(());
        }
        self.reference.losses = losses;
        self.save_reference()
    }

    /// Records the clock at the end of a cycle, and forgets losses whose day has passed. A disk
    /// that cannot keep this costs only exactness.
    pub(crate) fn note_time(&mut self) {
        let local = self.context.ports.clock.now_ms();
        let losses = self.reference.losses_now(local);
        let looked = self.reference.look(local, server_ms(self.log));
        if looked || losses.len() < self.reference.losses.len() || self.is_first_look() {
            self.reference.losses = losses;
            if let Err(error) = self.save_reference() {
                tracing::warn!(%error, "the time could not be noted; what is old goes later");
            }
        }
    }

    fn is_first_look(&self) -> bool {
        self.context.fs().lstat(&self.context.layout.reference()).is_err()
    }

    pub(crate) fn save_reference(&self) -> Result<(), SyncError> {
        let context = self.context;
        Ok(blocking(|| self.reference.save(context.fs(), &context.layout.reference()))?)
    }
}

/// Newest time that the server told.
fn server_ms(log: &Log) -> Option<u64> {
    log.newest_ms().and_then(|ms| u64::try_from(ms).ok())
}
