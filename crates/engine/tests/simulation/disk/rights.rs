//! The rights that users give to files.

use super::Site;
use crate::oracle::Check;

impl Site {
    /// Checks that every file that took the place of another has the rights that the user gave to
    /// that place.
    pub fn check_modes(&mut self) -> Check {
        for (path, mode) in std::mem::take(&mut self.ledger.modes) {
            let Some(ino) = self.file(&path) else { continue };
            let now = self.state.node(ino).mode;
            if now != mode {
                return Err(format!("the mode of {path} is {now:o}, and its user made it {mode:o}"));
            }
            self.ledger.modes.insert(path, mode);
        }
        Ok(())
    }
}
