//! The rights that users give to files, and those that the engine has to places.

use std::io;
use std::path::Path;

use super::told::absent_below_files;
use super::user::absolute;
use super::{ROOT, SimFs, Site};
use crate::oracle::Check;

impl SimFs {
    /// Fails where nobody may put a file, or a link stands above it. A look that changes nothing is
    /// no moment of its own.
    pub(super) fn may_place_at(&self, path: &Path) -> io::Result<()> {
        let site = self.disk.site();
        if site.faults.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        for at in path.ancestors().take_while(|at| *at != Path::new(ROOT)) {
            match absent_below_files(self.slot(&site.state, at)) {
                // A folder that is not there is made first, after a file in its place has gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => return found.map(drop),
            }
        }
        Ok(())
    }
}

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
