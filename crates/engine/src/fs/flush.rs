//! Many files made durable by one request to their disk.
//!
//! `fsync` of a small file costs the disk about as much as a flush of all that waits. `syncfs` is
//! that flush, and reports every write that failed since its descriptor was opened; but only on
//! some file systems, and only since Linux 5.17 all of its errors.

use std::io;
use std::os::fd::OwnedFd;

/// A flush that was begun before the writes that it is for.
pub trait Flush: Send {
    /// Makes everything durable that was written to the disk since this was begun: contents,
    /// attributes and names.
    ///
    /// # Errors
    /// Errors of the system. Anything of it may be lost then.
    fn flush(&self) -> io::Result<()>;
}

/// Files from which on one flush costs less than a request for each. It also waits for what other
/// programs have written.
#[cfg(target_os = "linux")]
const WORTH_IT: usize = 64;

/// A flush of the disk of an open folder; see [`super::Fs::begin_flush`].
#[cfg(target_os = "linux")]
pub(super) fn begin(folder: OwnedFd, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
    if files < WORTH_IT || !tells_all(&folder)? {
        return Ok(None);
    }
    Ok(Some(Box::new(WholeDisk(folder))))
}

/// Elsewhere no call makes such a promise.
#[cfg(not(target_os = "linux"))]
pub(super) fn begin(_: OwnedFd, _: usize) -> io::Result<Option<Box<dyn Flush>>> {
    Ok(None)
}

/// An open folder, which remembers the errors of its disk that were there before.
#[cfg(target_os = "linux")]
struct WholeDisk(OwnedFd);

#[cfg(target_os = "linux")]
impl Flush for WholeDisk {
    fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

/// True if a flush of this folder's disk reports every loss.
#[cfg(target_os = "linux")]
fn tells_all(folder: &OwnedFd) -> io::Result<bool> {
    /// ext4, XFS, Btrfs, F2FS: from `statfs(2)`.
    const KNOWN: [u64; 4] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010];
    #[expect(clippy::cast_sign_loss, reason = "a number that some platforms keep in a signed field")]
    let kind = rustix::fs::fstatfs(folder)?.f_type as u64 & 0xFFFF_FFFF;
    let release = rustix::system::uname();
    Ok(KNOWN.contains(&kind) && release.release().to_str().is_ok_and(is_recent))
}

/// True for a release of Linux whose `syncfs` hides no error: before 5.17 those of the file system
/// itself, such as a journal that could not be written, were lost.
#[cfg(target_os = "linux")]
fn is_recent(release: &str) -> bool {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return false };
    (major, minor) >= (5, 17)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::fs::{Fs, RealFs};

    #[test]
    fn an_old_kernel_is_not_believed() {
        for (release, recent) in [
            ("5.17.0", true),
            ("6.18.44-fc-v657", true),
            ("10.0", true),
            ("5.16.20-generic", false),
            ("4.19.0", false),
            ("5", false),
            ("", false),
            ("new", false),
        ] {
            assert_eq!(is_recent(release), recent, "{release}");
        }
    }

    #[test]
    fn a_few_files_are_made_durable_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(RealFs.begin_flush(folder.path(), WORTH_IT - 1).unwrap().is_none());
        if let Some(flush) = RealFs.begin_flush(folder.path(), WORTH_IT).unwrap() {
            flush.flush().unwrap();
        }
        assert!(RealFs.begin_flush(std::path::Path::new("/proc"), WORTH_IT).unwrap().is_none());
    }
}
