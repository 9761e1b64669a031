//! Names that not every device can read yet: decides which of them wait.
//!
//! A path that Windows cannot store needs readers of the feature `unix-names` ([`super::readers`]).
//! Until there are, it waits, and the status names the devices. Nothing is written; a crash leaves
//! nothing.

use super::{Local, Sides};
use crate::model::{Feature, VaultPath};
use crate::sync::SyncError;
use crate::sync::session::{Memory, Session};

impl Session<'_> {
    /// Blocks the names that a device cannot read yet.
    pub(crate) async fn hold_unread_names(
        &mut self,
        local: &mut Local,
        sides: &Sides,
    ) -> Result<(), SyncError> {
        if sides.remote.needs.contains(&Feature::UnixNames.need()) {
            return Ok(());
        }
        let Memory { here, there, .. } = &mut *self.memory;
        let new: Vec<VaultPath> = here.take(&local.tree, there).unportable().iter().cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let behind = self.behind(Feature::UnixNames, &sides.remote).await?;
        let why = "its name cannot be stored on Windows, and older versions refuse it: it is sent";
        local.wait_for_readers(new, Feature::UnixNames, &behind, why);
        Ok(())
    }
}
