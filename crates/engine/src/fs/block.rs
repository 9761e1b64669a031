//! Room on a disk: a file takes whole blocks, however short it is, and there may be none left.

use std::io;

/// Block of the file systems that are in use today, where nothing else is known.
pub(super) const USUAL: u64 = 4096;
/// The largest cluster that exFAT is formatted with by itself. A network disk names the length of
/// its transfers, of a MiB or more, which tells nothing of the disk behind it.
const LARGEST: u64 = 256 << 10;

/// The block that a file system names, if that can be one.
pub(super) fn believed(named: u64) -> u64 {
    if (1..=LARGEST).contains(&named) { named } else { USUAL }
}

/// Bytes that a file of `size` bytes takes on a disk with blocks of `block` bytes.
#[must_use]
pub const fn in_blocks(size: u64, block: u64) -> u64 {
    match size.checked_next_multiple_of(block) {
        Some(bytes) => bytes,
        None => size,
    }
}

/// True for the answers of a disk that has no room, at all or for this user.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// True for the answers of a disk that is read-only or full.
#[must_use]
pub fn takes_no_file(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ReadOnlyFilesystem || is_full(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_whole_blocks() {
        for (size, taken) in [(0, 0), (1, 4096), (4096, 4096), (4097, 8192), (u64::MAX, u64::MAX)] {
            assert_eq!(in_blocks(size, USUAL), taken, "{size}");
        }
        assert_eq!(in_blocks(300, believed(128 << 10)), 128 << 10, "a card with exFAT");
        for named in [0, 1 << 20, u64::MAX] {
            assert_eq!(believed(named), USUAL, "{named}");
        }
    }
}
