//! Agreed files that the scan has not found: each is looked at once more before it counts as
//! deleted.
//!
//! Decided here: which files are looked at again. One that is there all the same, or of which
//! nobody can tell, waits for the next look. Only reads; a crash leaves nothing.

use super::local::Local;
use crate::model::{Tree, VaultPath};
use crate::planted::{Bug, planted};
use crate::sync::session::Context;
use crate::vault::look_again;

impl Context {
    /// Blocks the paths of `base` that were not found and are not gone.
    pub(super) fn look_for_missing(&self, local: &mut Local, base: &Tree) {
        let is_unknown = |path: &&VaultPath| local.blocked.reason(path).is_none();
        let unfound = base.diff(&local.tree).filter(|(_, _, here)| here.is_none());
        let missing: Vec<VaultPath> = unfound.map(|(path, ..)| path).filter(is_unknown).cloned().collect();
        if missing.is_empty() || planted(Bug::TrustTheListing) {
            return;
        }
        for problem in look_again(self.fs(), &self.layout, &local.names, missing) {
            local.block(&problem);
        }
    }
}
