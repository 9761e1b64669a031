//! What a file system says of one name, without opening it.

use super::Digest;

/// What kind of thing a name stands for. Only regular files are synced.
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

/// The part of `lstat` that tells whether a file has been touched: while two of these are equal, the file is taken to
/// hold the same bytes (writes through mmap excepted: a periodic rehash finds those).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Kind of the name.
    pub kind: FileKind,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since the Unix epoch.
    pub mtime_ns: i64,
    /// Status-change time in nanoseconds since the Unix epoch. Moves with every write, rename and chmod, and no program
    /// can set it back.
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
}

/// A digest, and the state of the file that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cached {
    /// The state, before and after the file was read.
    pub stat: FileStat,
    /// BLAKE3 of the file in that state.
    pub digest: Digest,
    /// When it was hashed, in nanoseconds since the Unix epoch.
    pub hashed_ns: i64,
}
