//! Features that not every device reads yet: what needs one waits for its readers.
//!
//! Decided here: a commit may first need a feature once every device that committed in the last 30
//! days reads it. From then on the vault needs the feature, and nothing waits for it any more.
//! Nothing is written; a crash leaves nothing.

use std::time::Duration;

use super::Local;
use crate::log::Snapshot;
use crate::model::{Feature, VaultPath};
use crate::sync::SyncError;
use crate::sync::report::{About, Trouble, Weight};
use crate::sync::session::Session;

/// Time for which an answer of the remote about its devices counts.
const ASK_EVERY: Duration = Duration::from_secs(3600);

impl Session<'_> {
    /// Names of the devices for which a commit after `head` may not need `feature` yet.
    pub(crate) async fn behind(
        &mut self,
        feature: Feature,
        head: &Snapshot,
    ) -> Result<Vec<String>, SyncError> {
        let Some(key) = head.key.filter(|_| !head.needs.contains(&feature.need())) else {
            return Ok(Vec::new());
        };
        let now = self.context.ports.clock.monotonic();
        let known = self.memory.behind.get(&feature).filter(|(until, _)| now < *until);
        if let Some((_, behind)) = known {
            return Ok(behind.clone());
        }
        let behind = self.log.cannot_read(feature, key, self.marker.device).await?;
        self.memory.behind.insert(feature, (now + ASK_EVERY, behind.clone()));
        Ok(behind)
    }
}

impl Local {
    /// Blocks the files at `paths` until all devices that are `behind` read `feature`. `why` is the
    /// first half of the words for it.
    pub(super) fn wait_for_readers(
        &mut self,
        paths: Vec<VaultPath>,
        feature: Feature,
        behind: &[String],
        why: &str,
    ) {
        if behind.is_empty() {
            return;
        }
        let message =
            format!("{why} once {} has cogzy-vault {} or newer", behind.join(", "), feature.since());
        for path in paths {
            self.blocked.add(path.clone(), message.clone());
            let about = About::Path(path.clone());
            let message = message.clone();
            self.troubles.push(Trouble { path: path.to_string(), about, message, weight: Weight::Lasting });
        }
    }
}
