//! Names that not every device can read yet: decides which of them wait.
//!
//! A path that Windows cannot store needs a reader of the feature `unix-names`. The first such path
//! is committed once every device that committed in the last 30 days reads it; until then it waits,
//! and the status names the devices. From then on the vault needs the feature, and no name waits
//! any more. Nothing is written; a crash leaves nothing.

use std::time::Duration;

use super::{Local, Sides};
use crate::model::{CommitKey, Feature, VaultPath};
use crate::sync::SyncError;
use crate::sync::report::{About, Trouble, Weight};
use crate::sync::session::Session;

/// Time for which an answer of the remote about its devices counts.
const ASK_EVERY: Duration = Duration::from_secs(3600);

impl Session<'_> {
    /// Blocks the names that a device cannot read yet.
    pub(crate) async fn hold_unread_names(
        &mut self,
        local: &mut Local,
        sides: &Sides,
    ) -> Result<(), SyncError> {
        let Some(head) = sides.head else { return Ok(()) };
        if sides.remote.needs.contains(&Feature::UnixNames.need()) {
            return Ok(());
        }
        let new: Vec<VaultPath> = local.tree.keys().filter(|path| !path.is_portable()).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let behind = self.behind(Feature::UnixNames, head).await?;
        for path in new.into_iter().filter(|_| !behind.is_empty()) {
            let since = Feature::UnixNames.since();
            let message = format!(
                "its name cannot be stored on Windows, and older versions refuse it: it is sent once {} has cogzy-vault {since} or newer",
                behind.join(", ")
            );
            local.blocked.add(path.clone(), message.clone());
            let about = About::Path(path.clone());
            local.troubles.push(Trouble { path: path.to_string(), about, message, weight: Weight::Lasting });
        }
        Ok(())
    }

    /// Names of the devices that committed lately and do not read `feature`.
    pub(crate) async fn behind(
        &mut self,
        feature: Feature,
        head: CommitKey,
    ) -> Result<Vec<String>, SyncError> {
        let now = self.context.ports.clock.monotonic();
        let known = self.memory.behind.get(&feature).filter(|(until, _)| now < *until);
        if let Some((_, behind)) = known {
            return Ok(behind.clone());
        }
        let behind = self.log.cannot_read(feature, head, self.marker.device).await?;
        self.memory.behind.insert(feature, (now + ASK_EVERY, behind.clone()));
        Ok(behind)
    }
}
