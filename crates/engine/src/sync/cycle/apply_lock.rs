//! The apply lock, as a cycle waits for it: other programs take it shared while they open their
//! files, and alone while they put a transaction in place.
//!
//! Decided here: how long. A crash leaves nothing, for the lock goes with its holder.

use std::time::Duration;

use crate::sync::SyncError;
use crate::sync::session::Context;
use crate::vault::{ApplyTurn, FileLock};

/// Time for which other programs may hold the lock. Then this one goes on with something else.
const WAIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

impl Context {
    /// The lock, if it is free now. The inner one is none where there are no other programs.
    pub(super) fn apply_lock_if_free(&self) -> Result<Option<Option<FileLock>>, SyncError> {
        if !self.fs().is_shared() {
            return Ok(Some(None));
        }
        Ok(FileLock::try_take(self.fs(), &self.layout.apply_lock())?.map(Some))
    }

    /// The lock, waited for. None where there are no other programs.
    pub(crate) async fn apply_lock(&self) -> Result<Option<FileLock>, SyncError> {
        if !self.fs().is_shared() {
            return Ok(None);
        }
        let until = self.ports.clock.monotonic() + WAIT;
        let mut turn = ApplyTurn::new(PAUSE);
        loop {
            let lock = turn.try_take(self.fs(), &self.layout)?;
            if lock.is_some() {
                return Ok(lock);
            }
            if self.ports.clock.monotonic() > until {
                return Err(SyncError::Reading);
            }
            // No event tells when a `flock` is released.
            tokio::time::sleep(PAUSE).await;
        }
    }
}
