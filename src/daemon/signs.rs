//! Signs that a failure may be cured: a disk was mounted, a key file was written.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

/// The longest wait for a look. A folder on a disk that is asleep may not answer for hours.
const PATIENCE: Duration = Duration::from_millis(50);

/// Places outside the vault that the remote depends on.
#[derive(Debug, Default)]
pub struct Signs {
    places: Vec<PathBuf>,
    /// Their states at the last look; none before the first.
    seen: Option<Vec<Option<Place>>>,
    /// A look that has not ended yet. There is never a second one: each may keep a thread.
    under_way: Option<JoinHandle<Vec<Option<Place>>>>,
}

/// A place as it stood: device, inode, length, and the time of its last change.
type Place = (u64, u64, u64, i64, i64);

impl Signs {
    /// The signs at these places.
    #[must_use]
    pub const fn at(places: Vec<PathBuf>) -> Self {
        Self { places, seen: None, under_way: None }
    }

    /// Looks again. True if a place is another than at the last look; one that gives no answer is
    /// as it was, until it does.
    pub(super) async fn changed(&mut self) -> bool {
        let look = self.under_way.get_or_insert_with(|| {
            let places = self.places.clone();
            tokio::task::spawn_blocking(move || look(&places))
        });
        let Ok(looked) = tokio::time::timeout(PATIENCE, look).await else { return false };
        self.under_way = None;
        let Ok(now) = looked else { return false };
        let before = self.seen.replace(now);
        before.is_some() && before != self.seen
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

    #[tokio::test]
    async fn a_file_that_is_written_and_a_folder_that_comes_are_signs_and_a_busy_folder_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (keys, disk) = (folder.path().join("keys"), folder.path().join("disk"));
        let mut signs = Signs::at(vec![keys.clone(), disk.clone()]);
        assert!(!signs.changed().await);
        std::fs::write(&keys, "one").unwrap();
        assert!(signs.changed().await && !signs.changed().await);
        std::fs::write(&keys, "another").unwrap();
        assert!(signs.changed().await);
        std::fs::create_dir(&disk).unwrap();
        assert!(signs.changed().await);
        std::fs::write(disk.join("object"), "").unwrap();
        assert!(!signs.changed().await);
        std::fs::remove_file(&keys).unwrap();
        assert!(signs.changed().await);
    }
    #[tokio::test]
    async fn a_place_that_gives_no_answer_is_looked_at_once_and_holds_nothing_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut signs = Signs::at(vec![folder.path().join("disk")]);
        assert!(!signs.changed().await);
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        // Stands for a disk that is asleep.
        let (wake, asleep) = std::sync::mpsc::channel();
        let places = signs.places.clone();
        signs.under_way = Some(tokio::task::spawn_blocking(move || {
            let _woken = asleep.recv();
            look(&places)
        }));
        assert!(!signs.changed().await);
        let first = signs.under_way.as_ref().unwrap().id();
        assert!(!signs.changed().await);
        assert_eq!(signs.under_way.as_ref().unwrap().id(), first);
        wake.send(()).unwrap();
        while signs.under_way.is_some() {
            if signs.changed().await {
                return;
            }
        }
        panic!("the folder has come");
    }
}
