//! Folders for the files of a test.

use std::path::Path;

use tempfile::TempDir;

use crate::whole;

/// The folder that Linux keeps in memory.
const MEMORY: &str = "/dev/shm";

/// A fresh folder, gone when dropped: in memory for a quick run, on a disk for a whole one.
///
/// A disk takes its time for each `fsync`. Nothing in the tests depends on it but how long they
/// take.
#[must_use]
pub fn fresh_folder() -> TempDir {
    if whole() { tempfile::tempdir().unwrap() } else { fresh_folder_in_memory() }
}

/// The same for tests that make thousands: always in memory, where the system has such a folder.
#[must_use]
pub fn fresh_folder_in_memory() -> TempDir {
    if is_fit(Path::new(MEMORY)) {
        tempfile::tempdir_in(MEMORY).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Makes a named pipe, as every Unix can.
pub fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// True if there is enough room, and programs may be started: tests put hooks there.
#[cfg(target_os = "linux")]
fn is_fit(folder: &Path) -> bool {
    use rustix::fs::{StatVfsMountFlags, statvfs};

    /// Room for what a few large tests leave at the same time.
    const ROOM: u64 = 4 << 30;
    statvfs(folder).is_ok_and(|disk| {
        disk.f_bavail * disk.f_frsize >= ROOM && !disk.f_flag.contains(StatVfsMountFlags::NOEXEC)
    })
}

/// Other systems have no such folder.
#[cfg(not(target_os = "linux"))]
const fn is_fit(_: &Path) -> bool {
    false
}
