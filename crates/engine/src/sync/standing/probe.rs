//! Reaching the remote at all, and the pause that a person wants.

use std::sync::Arc;
use std::time::Duration;

use crate::state::Paused;
use crate::sync::{Engine, SyncError};

/// A probe that takes longer has not reached the remote.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// Behind every commit: a listing from there on is short.
const BEHIND_ALL: &str = "commits/9999999999999999-~";

impl Engine {
    /// True where the remote answers at all, whatever it says: one short listing.
    pub async fn probe(&self) -> bool {
        let asked = self.context.ports.remote.list("commits/", Some(BEHIND_ALL));
        match tokio::time::timeout(PROBE_PATIENCE, asked).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => !error.kind.offline(),
            Err(_) => {
                // The connection may have died without a word.
                self.renew_remote();
                false
            }
        }
    }

    /// Has connections made anew and credentials read anew: the network or a key has changed.
    pub fn renew_remote(&self) {
        self.renewal()();
    }

    /// [`Engine::renew_remote`] for somebody who waits while the engine works.
    pub fn renewal(&self) -> impl Fn() + Send + use<> {
        let remote = Arc::clone(&self.context.ports.remote);
        move || remote.renew()
    }

    /// The pause that is wanted, if any.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn paused(&self) -> Result<Option<Paused>, SyncError> {
        Ok(Paused::load(self.context.fs(), &self.context.layout.paused())?)
    }

    /// Keeps a pause, or the wish to go on.
    ///
    /// # Errors
    /// Where the disk fails.
    pub fn set_paused(&self, paused: Option<Paused>) -> Result<(), SyncError> {
        let path = self.context.layout.paused();
        match paused {
            Some(paused) => paused.save(self.context.fs(), &path)?,
            None => Paused::clear(self.context.fs(), &path)?,
        }
        Ok(())
    }
}
