//! A push that is broken off goes on where it was: what was sent is not sent again, and what was
//! cut into chunks is not read again. Nor is what only has another name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{MemoryRemote, Remote, RemoteError, RemoteErrorKind};
use cogzy_testkit::fresh_folder;
use tokio::sync::Notify;

use crate::support::around::{Around, Through};
use crate::support::device::Device;
use crate::support::process::{PATIENCE, noise};

const MB: usize = 1 << 20;

/// A bucket that takes packs of so many bytes and is out of reach then.
#[derive(Debug)]
struct Breaks {
    bucket: MemoryRemote,
    room: AtomicUsize,
}

#[async_trait]
impl Around for Breaks {
    fn bucket(&self) -> &dyn Remote {
        &self.bucket
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let is_left = |left: usize| left.checked_sub(body.len());
        let counts = key.starts_with("packs/");
        if counts && self.room.fetch_update(Ordering::SeqCst, Ordering::SeqCst, is_left).is_err() {
            return Err(RemoteError::new(RemoteErrorKind::Offline, "put", key));
        }
        self.bucket.put(key, body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_was_broken_off_cuts_no_file_again_that_was_sent_whole() {
    let folder = fresh_folder();
    let bucket = MemoryRemote::default();
    let breaks = Breaks { bucket: bucket.clone(), room: AtomicUsize::new(33 * MB) };
    let breaks = Arc::new(Through(breaks));
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&breaks) as Arc<dyn Remote>).await;
    // The first has more chunks than a recipe lists at once, the second has one.
    let sizes = [9 * MB, 10_000, 7 * MB, 7 * MB, 7 * MB, 6 * MB];
    for (number, size) in sizes.into_iter().enumerate() {
        one.write(&format!("vectors/{number}.npy"), noise(&format!("file {number}"), size));
    }
    one.try_sync().await.unwrap_err();
    let whole: usize = sizes.iter().sum();
    assert!(one.opened.take_bytes() >= whole as u64, "all is read in the first run");

    // One of them changes meanwhile.
    one.write("vectors/5.npy", noise("file 5, changed", 6 * MB));
    one.restart();
    breaks.room.store(usize::MAX, Ordering::SeqCst);
    let packs = |bucket: &MemoryRemote| -> usize {
        let packs = bucket.dump().into_iter().filter(|(key, _)| key.starts_with("packs/"));
        packs.map(|(_, body)| body.len()).sum()
    };
    let before = packs(&bucket);
    assert!(before > 16 * MB, "{before} bytes had arrived");
    assert_eq!(one.sync().await.pushed, sizes.len());
    // The changed file is hashed and cut; of the others those that had not arrived whole.
    let (read, rest) = (one.opened.take_bytes(), whole - before + MB);
    assert!(read < (rest + 2 * 6 * MB + 7 * MB) as u64, "{read} bytes were read, and {before} had arrived");
    assert!(packs(&bucket) - before < rest + 6 * MB, "what had arrived is not sent again");

    let mut two = Device::joined(folder.path(), "two", Arc::new(bucket)).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
}

/// A bucket that takes no large pack before it has a commit.
#[derive(Debug, Default)]
struct Patient {
    bucket: MemoryRemote,
    committed: Notify,
}

#[async_trait]
impl Around for Patient {
    fn bucket(&self) -> &dyn Remote {
        &self.bucket
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let has_commit = || self.bucket.dump().keys().any(|key| key.starts_with("commits/"));
        if key.starts_with("packs/") && body.len() > MB {
            let committed = self.committed.notified();
            if !has_commit() {
                committed.await;
            }
        }
        // It takes more than a moment.
        tokio::task::yield_now().await;
        self.bucket.put(key, body).await?;
        self.committed.notify_waiters();
        Ok(())
    }
}

/// More packs than may be under way at once come from one file: it is read, and so is not done
/// before they are taken.
#[tokio::test(flavor = "multi_thread")]
async fn the_commit_of_a_note_does_not_wait_for_the_packs_of_a_large_file() {
    let folder = fresh_folder();
    let bucket = Arc::new(Through(Patient::default()));
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&bucket) as Arc<dyn Remote>).await;
    one.limits.content = 1 << 20;
    one.restart();
    one.write("notes/a.md", "a note");
    one.write("vectors/large.npy", noise("large", 80 * MB));
    let sent = tokio::time::timeout(PATIENCE, one.sync()).await.expect("the note is held up");
    assert_eq!((sent.pushed, sent.generation), (2, 2));
}

/// A file keeps its inode and its times where the folder that it is in gets another name; whatever
/// is done to the file itself changes one of them.
#[tokio::test]
async fn files_of_a_renamed_folder_are_not_read_again_and_an_edit_among_them_is_sent() {
    let folder = fresh_folder();
    let store: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&store)).await;
    let mut two = Device::joined(folder.path(), "two", store).await;
    for number in 0..20 {
        one.write(&format!("notes/old/{number}.txt"), format!("note {number}"));
    }
    one.sync().await;
    one.opened.take();
    let edited = one.root.join("notes/old/7.txt");
    let before = edited.metadata().unwrap().modified().unwrap();
    std::fs::write(&edited, "NOTE 7").unwrap();
    std::fs::File::options().write(true).open(&edited).unwrap().set_modified(before).unwrap();
    std::fs::rename(one.root.join("notes/old"), one.root.join("notes/new")).unwrap();
    let sent = one.sync().await;
    let notes = one.root.join("notes");
    let read: Vec<_> = one.opened.take().into_iter().filter(|path| path.starts_with(&notes)).collect();
    assert!(!read.is_empty() && read.iter().all(|path| path.ends_with("7.txt")), "{read:?}");
    assert_eq!((sent.pushed, sent.deleted_remote), (20, 20), "{sent:?}");
    two.sync().await;
    assert_eq!(two.files(), one.files());
    assert_eq!(two.text("notes/new/7.txt").unwrap(), "NOTE 7");
}
