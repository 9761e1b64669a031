//! Metadata of a file, read without opening it.

use std::collections::HashMap;

use super::{Digest, VaultPath};

/// Type of a file. Only regular files are synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link: never followed, never synced.
    Symlink,
    /// A socket, pipe or device: never opened, never synced.
    Special,
}

/// Fields of `lstat` that tell if a file was touched. Two equal values mean the same bytes, except
/// for writes through mmap: a periodic rehash finds those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Type of the file.
    pub kind: FileKind,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// Status-change time in nanoseconds since the Unix epoch. It moves with every write, rename
    /// and chmod, and no program can set it back.
    pub ctime_ns: i64,
    /// Permission bits (`0o777`).
    pub mode: u32,
}

impl FileStat {
    /// Modification time in milliseconds, as a manifest carries it.
    #[must_use]
    pub const fn mtime_ms(&self) -> i64 {
        self.mtime_ns.div_euclid(1_000_000)
    }

    /// True if an equal state at another path can only be that of the same file. A file of a folder
    /// that was renamed keeps its inode and its times. But FAT gives inode numbers away again and
    /// keeps times so coarse that another file may have the same.
    #[must_use]
    pub const fn tells_apart(&self) -> bool {
        const COARSE: i64 = 10_000_000;
        self.ctime_ns % COARSE != 0
    }
}

/// Digest of a file, and the file's metadata when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cached {
    /// Metadata before and after the file was read.
    pub stat: FileStat,
    /// BLAKE3 of the file's bytes.
    pub digest: Digest,
    /// Time of hashing, in nanoseconds since the Unix epoch.
    pub hashed_ns: i64,
}

/// Digests that are known from the last scan.
pub trait KnownDigests {
    /// The digest of a path. Each path is asked for at most once, in ascending order.
    fn digest_of(&self, path: &VaultPath) -> Option<Cached>;

    /// States of files at paths that nobody asked for, once the last question was asked: they are
    /// gone, or stand elsewhere.
    fn unasked(&self) -> Vec<Cached> {
        Vec::new()
    }
}

impl KnownDigests for HashMap<VaultPath, Cached> {
    fn digest_of(&self, path: &VaultPath) -> Option<Cached> {
        self.get(path).copied()
    }
}
