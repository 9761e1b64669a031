//! What is in the vault.
//!
//! [`walk`] lists the folders, [`clash`] sees to it that no two files claim one path, [`hashing`] reads what the cache does
//! not know, [`members()`] looks at a few files again. The result is sorted, and the order in which threads finish decides nothing.
//!
//! Invariants: only files in a state that stood still while they were read are found. Whatever could not be listed, read or
//! named is a [`Problem`], and what a problem covers is not absent. The marker is read before the walk and after it: a disk
//! that is unmounted in between makes an error, not an empty vault.
//!
//! What the found files mean is not decided here. A scan writes nothing, so a crash leaves nothing behind.

mod clash;
mod hashing;
mod members;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

pub use members::members;

use super::read::{FUTURE_NS, quiet};
use super::{Filter, Layout, Marker, MarkerError, Names};
use crate::fs::{Fs, IoAt};
use crate::model::{Cached, Entry, FileStat, PathError, VaultId, VaultPath};

/// What a scan depends on besides the disk.
#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    /// Which vault this must be.
    pub vault: VaultId,
    /// What is synced.
    pub filter: &'a Filter,
    /// What the last scan knew.
    pub cache: &'a HashMap<VaultPath, Cached>,
    /// The time now, in nanoseconds since the Unix epoch.
    pub now_ns: i64,
    /// For how long a file must have stood still to count as settled.
    pub settle: Duration,
    /// Files hashed before this moment are hashed again, whatever their times say.
    pub rehash_before: i64,
    /// How many files are hashed at once.
    pub threads: NonZeroUsize,
    /// Of two files that clash: whether this is the one known already.
    pub prefer: &'a dyn Fn(&VaultPath) -> bool,
    /// Told now and then how far the scan is.
    pub progress: &'a dyn Fn(ScanProgress),
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// Files found so far.
    pub files: u64,
    /// Files that must be read.
    pub to_hash: u64,
    /// Their bytes.
    pub to_hash_bytes: u64,
    /// Files read so far.
    pub hashed: u64,
    /// Their bytes.
    pub hashed_bytes: u64,
}

/// A file that was read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it holds.
    pub entry: Entry,
    /// The state it was read in.
    pub stat: FileStat,
    /// Whether it has stood still for the settle window.
    pub settled: bool,
}

/// What is in the vault.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The synced files.
    pub files: BTreeMap<VaultPath, Found>,
    /// What could not be taken in, sorted by path. What these cover is not absent.
    pub problems: Vec<Problem>,
    /// How names are spelled on disk.
    pub names: Names,
    /// What the next scan may know: files whose state a later write cannot share.
    pub cache: HashMap<VaultPath, Cached>,
}

/// Something in the vault that cannot be synced as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct Problem {
    /// Where, relative to the root, as the disk spells it; what is not UTF-8 in it is replaced.
    pub path: String,
    /// What.
    pub kind: ProblemKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The file or folder cannot be read.
    #[error("it cannot be read ({0}): check its permissions and the disk")]
    Unreadable(String),
    /// The name is not UTF-8.
    #[error("its name is not UTF-8: rename it to have it synced")]
    NotUtf8,
    /// The name cannot stand on every platform.
    #[error("{0}: rename it to have it synced")]
    BadName(PathError),
    /// The name differs from another one only in a way that some file systems do not see.
    #[error("{with} has the same name but for letter case or Unicode form: rename one of them")]
    Clash {
        /// The other one, which is synced.
        with: VaultPath,
    },
    /// A symbolic link.
    #[error("it is a symbolic link: links are not followed and not synced")]
    Symlink,
    /// A socket, pipe or device.
    #[error("it is neither a file nor a folder: it is not synced")]
    Special,
    /// It moved under the read.
    #[error("it is being written or moved: it is looked at again in the next scan")]
    Busy,
}

impl Problem {
    /// Whether this is why nothing can be said of `path`.
    #[must_use]
    pub fn covers(&self, path: &VaultPath) -> bool {
        // A text that makes no path is the name of nothing that was ever synced.
        let Ok(own) = VaultPath::new(&self.path) else { return false };
        match &self.kind {
            // The other one was read; where both spell one path, that path is known.
            ProblemKind::Clash { with } => own == *path && with != path,
            _ => own == *path || path.folders().any(|folder| folder == own.as_str()),
        }
    }
}

/// A vault of which nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root or the marker is missing, or not this vault's.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// The root cannot be listed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

/// Looks at everything in the vault.
///
/// # Errors
/// Where nothing can be said at all; anything less is a [`Problem`] in the result.
pub fn scan(fs: &dyn Fs, layout: &Layout, options: &ScanOptions) -> Result<Scan, ScanError> {
    Marker::read_of(fs, layout, options.vault)?;
    let walked = walk::walk(fs, layout, options)?;
    let mut scan = Scan { problems: walked.problems, ..Scan::default() };
    let claims = clash::settle(walked.files, options.prefer, &mut scan.problems);
    for (path, on_disk) in &walked.folders {
        scan.names.note(path, on_disk);
    }
    for claim in &claims {
        scan.names.note(&claim.path, &claim.on_disk);
    }
    hashing::take_in(fs, layout, options, claims, &mut scan);
    scan.problems.sort_by(|a, b| a.path.cmp(&b.path));
    Marker::read_of(fs, layout, options.vault)?;
    Ok(scan)
}

/// Whether the file has stood still for the settle window. A time in the future proves nothing by itself: there the file must
/// be as the last scan saw it.
fn settled(path: &VaultPath, stat: &FileStat, options: &ScanOptions) -> bool {
    let ahead = stat.mtime_ns.max(stat.ctime_ns) > options.now_ns.saturating_add(FUTURE_NS);
    quiet(stat, options.now_ns, options.settle)
        && (!ahead || options.cache.get(path).is_some_and(|cached| cached.stat == *stat))
}
