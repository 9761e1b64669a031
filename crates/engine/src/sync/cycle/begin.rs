//! The beginning of a cycle: opens the log, finishes what was left half-way, and looks at the
//! remote; meanwhile, on another thread, at the vault.
//!
//! Decided here: when that look may go on beside. Not where an apply or a commit was left half-way:
//! finishing it moves files and the record, and clears the stages, in which the look puts copies of
//! databases. Nor where there is no record: most files are then to be hashed, and the remote's
//! answer may say that nothing is to be done here.

use std::collections::BTreeSet;

use super::Request;
use super::look::Scout;
use super::survey::Sides;
use crate::fs::found;
use crate::model::VaultPath;
use crate::planted::{Bug, planted};
use crate::state::LastSync;
use crate::sync::beside::beside;
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, SyncError, Watcher, blocking};
use crate::vault::{Marker, recover};

/// A cycle that has begun.
pub(super) struct Begun<'e> {
    pub session: Session<'e>,
    /// The record as it is now.
    pub stored: Option<LastSync>,
    /// Both sides of the log.
    pub sides: Sides,
}

impl Engine {
    /// Begins a cycle. A look at the vault that fails meanwhile is made again, and reported, when
    /// its turn comes.
    pub(super) async fn begin<'e>(
        &'e mut self,
        request: Request,
        places: Option<BTreeSet<VaultPath>>,
        watcher: &'e dyn Watcher,
    ) -> Result<Begun<'e>, SyncError> {
        // Comes first: where the remote is out of reach, this cycle never comes to tidy up.
        blocking(|| self.context.clear_replaced());
        let ahead = self.ask_ahead(request, places.is_some());
        let Self { context, memory, log, .. } = self;
        let context = &*context;
        let looks = request.ask.scan && places.is_none() && !planted(Bug::TrustTheWatcher);
        let scout = if looks && ahead.is_some() { context.scout(watcher) } else { None };
        let is_tidy = scout.is_some();
        if is_tidy {
            memory.last = None;
        }
        let begin = async move {
            let mut session = Session::begin(context, memory, log, watcher).await?;
            (session.hints, session.ahead) = (places, ahead);
            session.relieve().await;
            if !is_tidy {
                session.finish_unfinished().await?;
            }
            let stored = context.record()?;
            let sides = session.look_at_remote(stored.as_ref(), request.ask.whole).await?;
            Ok(Begun { session, stored, sides })
        };
        let Some(scout) = scout else { return begin.await };
        let (early, begun) = beside(|| scout.look_early(), begin).await;
        let mut begun = begun?;
        begun.session.early = early.ok();
        Ok(begun)
    }
}

impl Context {
    /// One who may look at the vault before the log is open: nothing was left half-way, and the
    /// stages are clear. None if not, or if that cannot be told.
    fn scout<'e>(&'e self, watcher: &'e dyn Watcher) -> Option<Scout<'e>> {
        let is_pending = found(self.fs().lstat(&self.layout.pending())).map(|stat| stat.is_some());
        if is_pending.unwrap_or(true) || self.has_journal().unwrap_or(true) {
            return None;
        }
        self.record().ok().flatten()?;
        let marker = Marker::read(self.fs(), &self.layout).ok()?;
        let lock = self.apply_lock_if_free().ok().flatten()?;
        // A command may have left a journal meanwhile: whoever finishes it begins anew.
        let recovered = blocking(|| recover(self.fs(), &self.layout, lock.as_ref()));
        recovered.ok().filter(Option::is_none)?;
        Some(Scout { context: self, vault: marker.vault, watcher })
    }
}
