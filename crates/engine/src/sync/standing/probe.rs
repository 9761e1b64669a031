//! A probe of the remote, and the pause that a person asked for. A crash leaves the pause as it was
//! recorded last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::fs::found;
use crate::model::VaultPath;
use crate::remote::{RemoteError, RemoteErrorKind};
use crate::state::Paused;
use crate::sync::{Engine, SyncError};

/// Longest time of a probe. One that takes longer has not reached the remote.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// A key after every commit: a listing from there on is short.
const BEHIND_ALL: &str = "commits/9999999999999999-~";

/// Result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probed {
    /// The remote answers, whatever it says.
    Reached,
    /// It asks to slow down, for this long; zero if it does not say how long.
    Throttled(Duration),
    /// It gives no answer.
    Away,
}

impl Engine {
    /// Asks the remote for one short listing.
    pub async fn probe(&self) -> Probed {
        let asked = self.context.ports.remote.list("commits/", Some(BEHIND_ALL));
        match tokio::time::timeout(PROBE_PATIENCE, asked).await {
            Ok(Err(RemoteError { kind: RemoteErrorKind::Throttled { retry_after }, .. })) => {
                Probed::Throttled(retry_after.unwrap_or_default())
            }
            Ok(Err(error)) if error.kind.offline() => Probed::Away,
            Ok(_) => Probed::Reached,
            Err(_) => {
                // The connection may have died without a word.
                self.renew_remote();
                Probed::Away
            }
        }
    }

    /// True where `path`, as the disk spells it, stands as the last pull of this engine left it:
    /// whoever touched it, it was us.
    #[must_use]
    pub fn has_brought(&self, path: &VaultPath) -> bool {
        let (fs, root) = (self.context.fs(), self.context.layout.root());
        let place = fs.meant(&path.below(root));
        let meant = place.strip_prefix(root).ok().and_then(Path::to_str).map(VaultPath::new);
        let left = meant.and_then(|path| self.memory.brought.get(&path.ok()?));
        left.is_some_and(|left| found(fs.lstat(&place)).ok().as_ref() == Some(left))
    }

    /// Has connections made anew and credentials read anew: the network or a key has changed.
    pub fn renew_remote(&self) {
        self.renewal()();
    }

    /// [`Engine::renew_remote`] for a caller that waits while the engine works.
    pub fn renewal(&self) -> impl Fn() + Send + use<> {
        let remote = Arc::clone(&self.context.ports.remote);
        move || remote.renew()
    }

    /// The requested pause, if there is one.
    ///
    /// # Errors
    /// Errors of reading it.
    pub fn paused(&self) -> Result<Option<Paused>, SyncError> {
        Ok(Paused::load(self.context.fs(), &self.context.layout.paused())?)
    }

    /// Records a pause, or its end.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn set_paused(&self, paused: Option<Paused>) -> Result<(), SyncError> {
        let path = self.context.layout.paused();
        match paused {
            Some(paused) => paused.save(self.context.fs(), &path)?,
            None => Paused::clear(self.context.fs(), &path)?,
        }
        Ok(())
    }
}
