//! File systems that other machines write to as well: what they do there, this system's watcher
//! does not hear of.

use std::io;
use std::path::Path;

/// True if `path` lies on a network file system, or on one that a program makes of something else.
///
/// # Errors
/// As the system reports them.
#[cfg(target_os = "linux")]
pub fn is_network(path: &Path) -> io::Result<bool> {
    use rustix::fs::{major, stat, statfs};
    /// A program's file system (`FUSE_SUPER_MAGIC`); one on a disk of this machine (ntfs-3g, exFAT)
    /// has that disk's device.
    const FUSE: u64 = 0x6573_5546;
    /// NFS, SMB (three kinds), 9p, AFS (two kinds), Ceph, Coda, GFS2, OCFS2, Lustre, vboxsf: from
    /// `statfs(2)`.
    const NETWORK: [u64; 13] = [
        0x6969,
        0x517B,
        0xFF53_4D42,
        0xFE53_4D42,
        0x0102_1997,
        0x5346_414F,
        0x6B41_4653,
        0x00C3_6400,
        0x7375_7245,
        0x0116_1970,
        0x7461_636F,
        0x0BD0_0BD0,
        0x786F_4256,
    ];
    #[expect(clippy::cast_sign_loss, reason = "a number that some platforms keep in a signed field")]
    let kind = statfs(path)?.f_type as u64 & 0xFFFF_FFFF;
    Ok(NETWORK.contains(&kind) || kind == FUSE && major(stat(path)?.st_dev) == 0)
}

/// True if `path` lies on a file system that is not a disk of this machine.
///
/// # Errors
/// As the system reports them.
#[cfg(not(target_os = "linux"))]
pub fn is_network(path: &Path) -> io::Result<bool> {
    /// `MNT_LOCAL` of `mount(2)` on macOS.
    const LOCAL: u32 = 0x1000;
    Ok(rustix::fs::statfs(path)?.f_flags & LOCAL == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_of_this_machine_is_its_own() {
        assert!(!is_network(tempfile::tempdir().unwrap().path()).unwrap());
        assert!(is_network(Path::new("/nowhere/at/all")).is_err());
    }
}
