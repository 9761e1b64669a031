//! Signs that a failure may be cured: a disk was mounted, a key file was written.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Places outside the vault that the remote depends on.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    places: Vec<PathBuf>,
    seen: Vec<Option<Place>>,
}

/// A place as it stood: device, inode, length, and the time of its last change.
type Place = (u64, u64, u64, i64, i64);

impl Signs {
    /// The signs at these places, as they stand now.
    #[must_use]
    pub fn at(places: Vec<PathBuf>) -> Self {
        let seen = look(&places);
        Self { places, seen }
    }

    /// Looks again. True if a place is another than at the last look.
    pub(super) fn changed(&mut self) -> bool {
        let now = look(&self.places);
        std::mem::replace(&mut self.seen, now) != self.seen
    }
}

fn look(places: &[PathBuf]) -> Vec<Option<Place>> {
    let stand = |place: &PathBuf| {
        let stat = std::fs::metadata(place).ok()?;
        // A folder changes whenever something is put into it.
        let (length, seconds, nanos) =
            if stat.is_dir() { (0, 0, 0) } else { (stat.len(), stat.ctime(), stat.ctime_nsec()) };
        Some((stat.dev(), stat.ino(), length, seconds, nanos))
    };
    places.iter().map(stand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_and_a_folder_that_comes_are_signs_and_a_busy_folder_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, disk) = (folder.path().join("keys"), folder.path().join("disk"));
        let mut signs = Signs::at(vec![keys.clone(), disk.clone()]);
        assert!(!signs.changed());
        std::fs::write(&keys, "one").unwrap();
        assert!(signs.changed() && !signs.changed());
        std::fs::write(&keys, "another").unwrap();
        assert!(signs.changed());
        std::fs::create_dir(&disk).unwrap();
        assert!(signs.changed());
        std::fs::write(disk.join("object"), "").unwrap();
        assert!(!signs.changed());
        std::fs::remove_file(&keys).unwrap();
        assert!(signs.changed());
    }
}
