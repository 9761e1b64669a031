//! The rights that users give to files.

use super::Site;
use super::user::absolute;
use crate::oracle::Check;

impl Site {
    /// Checks that every file that took the place of another has the rights that the user gave to
    /// that place. A name in another letter case is another place, also on a disk that ignores
    /// case: what comes there is the file of whoever chose that name, as on every other disk.
    pub fn check_modes(&mut self) -> Check {
        for (path, mode) in std::mem::take(&mut self.ledger.modes) {
            let Some(ino) = self.file(&path).filter(|_| self.is_spelled_so(&path)) else { continue };
            let now = self.state.node(ino).mode;
            if now != mode {
                return Err(format!("the mode of {path} is {now:o}, and its user made it {mode:o}"));
            }
            self.ledger.modes.insert(path, mode);
        }
        Ok(())
    }

    /// Forgets the rights of what an apply has deleted, now that it is concluded: a file that the
    /// next one brings to such a place is a new one.
    pub fn forget_modes_of_the_deleted(&mut self) {
        let mut modes = std::mem::take(&mut self.ledger.modes);
        modes.retain(|path, _| self.file(path).is_some() && self.is_spelled_so(path));
        self.ledger.modes = modes;
    }

    /// True if the disk holds this name in this very letter case.
    fn is_spelled_so(&self, path: &str) -> bool {
        let path = absolute(path);
        let name = self.state.kept(path.file_name().unwrap_or_default());
        self.state.slot(&path).is_ok_and(|(_, there)| there == name)
    }
}
