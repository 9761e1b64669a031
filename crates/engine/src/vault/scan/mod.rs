//! Scan of the vault.
//!
//! [`walk`] lists the folders, [`clash`] ensures that no two files have the same path, [`hashing`]
//! reads the files that the cache does not know, [`members()`] checks a few files again, and
//! [`scan_places`] looks at those places only that a watcher has named. The result is sorted and
//! does not depend on the order in which threads finish. [`look_again`] looks once more at files
//! that were not found.
//!
//! Invariants:
//! - A file is found only if it was stable while it was read.
//! - Whatever could not be listed, read or named is a [`Problem`]. A path covered by a problem does
//!   not count as absent.
//! - The marker is read before and after the walk. A disk that is unmounted in between causes an
//!   error, not an empty vault.
//!
//! A scan only reports files; it decides nothing about them. It writes nothing, so a crash leaves
//! nothing behind.

mod clash;
mod hashing;
mod members;
mod missing;
mod places;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

pub use members::members;
pub use missing::look_again;
pub use places::scan_places;

use hashing::Claims;
use walk::Claim;

use super::database::databases_of;
use super::read::{FUTURE_NS, quiet};
use super::{Filter, Layout, Marker, MarkerError, Mounts, Names, Snapshots};
use crate::fs::{Fs, IoAt};
use crate::model::sqlite::main_of;
use crate::model::{Cached, Entry, FileStat, KnownDigests, PathError, SharedMap, VaultId, VaultPath};

/// Inputs of a scan besides the disk.
#[derive(Clone, Copy)]
pub struct ScanOptions<'a> {
    /// Expected vault.
    pub vault: VaultId,
    /// Selection of synced paths.
    pub filter: &'a Filter,
    /// Digests known from the last scan.
    pub cache: &'a dyn KnownDigests,
    /// Current time in nanoseconds since the Unix epoch.
    pub now_ns: i64,
    /// Time for which a file must be unchanged to count as settled.
    pub settle: Duration,
    /// Files hashed before this time are hashed again, even if they look unchanged.
    pub rehash_before: i64,
    /// Number of hashing threads.
    pub threads: NonZeroUsize,
    /// True for a path that is already known. It wins over a path that clashes with it. None where
    /// nobody can tell yet: then a clash ends the scan.
    pub prefer: Option<&'a dyn Fn(&VaultPath) -> bool>,
    /// Takes the snapshots of databases in use. Without it they count as busy.
    pub snapshots: Option<&'a Snapshots>,
    /// Called from time to time with the progress.
    pub progress: &'a dyn Fn(ScanProgress),
}

/// Progress of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanProgress {
    /// Number of files found so far.
    pub files: u64,
    /// Number of files that must be read.
    pub to_hash: u64,
    /// Number of bytes in these files.
    pub to_hash_bytes: u64,
    /// Number of files read so far.
    pub hashed: u64,
    /// Number of bytes in these files.
    pub hashed_bytes: u64,
}

/// File that was read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Entry of the file.
    pub entry: Entry,
    /// State in which it was read.
    pub stat: FileStat,
    /// True if it was unchanged for the settle window.
    pub settled: bool,
}

/// Result of a scan.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// Synced files.
    pub files: SharedMap<VaultPath, Found>,
    /// Problems, sorted by path. The paths that they cover do not count as absent.
    pub problems: Vec<Problem>,
    /// Spellings of names on disk.
    pub names: Names,
    /// Folders on which a disk is mounted that the vault does not know yet.
    pub new_mounts: Vec<VaultPath>,
    /// Databases that were read as snapshots: a part of each stands beside its file.
    pub in_parts: BTreeSet<VaultPath>,
    /// True where the next scan may look at some places only: nothing here may be a part of a
    /// database, and no disk is mounted.
    pub plain: bool,
    /// What the cache for the next scan does not know yet: files whose state no later write can
    /// repeat. None for a file that it has to forget.
    pub news: BTreeMap<VaultPath, Option<Cached>>,
}

/// Path in the vault that cannot be synced as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind}")]
pub struct Problem {
    /// Path relative to the root, as spelled on disk. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Kind of problem.
    pub kind: ProblemKind,
}

/// Kind of a problem.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The file or folder cannot be read.
    #[error("it cannot be read ({0}): check its permissions and the disk")]
    Unreadable(String),
    /// The name is not UTF-8.
    #[error("its name is not UTF-8: rename it to have it synced")]
    NotUtf8,
    /// The name is not allowed on every platform.
    #[error("{0}: rename it to have it synced")]
    BadName(PathError),
    /// The name differs from another one only in a way that some file systems ignore.
    #[error("{with} has the same name but for letter case or Unicode form: rename one of them")]
    Clash {
        /// The other path, which is synced.
        with: VaultPath,
    },
    /// A symbolic link.
    #[error("it is a symbolic link: links are not followed and not synced")]
    Symlink,
    /// A socket, pipe or device.
    #[error("it is neither a file nor a folder: it is not synced")]
    Special,
    /// The disk that is mounted here is away.
    #[error(
        "the disk that is mounted here is away: nothing below is deleted or written; mount it again (for an ordinary folder from now on, put its files here, then remove sync/mounts.json)"
    )]
    DiskAway,
    /// Another disk stands here than the one that was synced.
    #[error(
        "another disk is mounted here than the one that was synced: nothing below is deleted or written; mount that one (to take this disk for it, put its files here, then remove sync/mounts.json)"
    )]
    OtherDisk,
    /// The pages of a database do not fit together.
    #[error("the database is damaged ({0}): nothing of it is sent; repair it, or restore an earlier state")]
    Database(String),
    /// It changed during the read.
    #[error("it is being written or moved: it is looked at again in the next scan")]
    Busy,
}

impl Problem {
    /// True if this problem makes the state of `path` unknown.
    #[must_use]
    pub fn covers(&self, path: &VaultPath) -> bool {
        // A text that is not a valid path was never synced.
        let Ok(own) = VaultPath::new(&self.path) else { return false };
        match &self.kind {
            // The other file was read. If both have the same path, that path is known.
            ProblemKind::Clash { with } => own == *path && with != path,
            _ => own == *path || path.folders().any(|folder| folder == own.as_str()),
        }
    }
}

/// Error that leaves the whole vault unknown.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root or the marker is missing, or belongs to another vault.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// The root cannot be listed.
    #[error(transparent)]
    Io(#[from] IoAt),
    /// Two names clash, and nobody could tell which of them counts.
    #[error("two names in the vault clash, and which of them counts is not known yet")]
    Clash,
}

/// Scans the vault.
///
/// # Errors
/// If nothing is known about the vault. Anything less is a [`Problem`] in the result.
pub fn scan(fs: &dyn Fs, layout: &Layout, options: &ScanOptions) -> Result<Scan, ScanError> {
    Marker::read_of(fs, layout, options.vault)?;
    let mounts = Mounts::load(fs, layout)?;
    let walked = walk::walk(fs, layout, &mounts, options)?;
    let plain = walked.companions.is_empty() && mounts.folders().next().is_none();
    let mut scan =
        Scan { problems: walked.problems, new_mounts: walked.new_mounts, plain, ..Scan::default() };
    let databases = databases_of(fs, layout, &walked.companions);
    let of_database = |claim: &Claim| main_of(claim.on_disk()).is_some_and(|main| databases.contains(main));
    let files = walked.files.into_iter().filter(|claim| !of_database(claim)).collect();
    let claims = clash::settle(files, options.prefer, &mut scan.problems).ok_or(ScanError::Clash)?;
    for (path, on_disk) in &walked.folders {
        scan.names.note(path, on_disk);
    }
    for claim in &claims {
        scan.names.note(&claim.path, claim.on_disk());
    }
    hashing::take_in(fs, layout, options, Claims { claims, databases }, &mut scan);
    scan.problems.sort_by(|a, b| a.path.cmp(&b.path));
    Marker::read_of(fs, layout, options.vault)?;
    Ok(scan)
}

/// True if the file was unchanged for the settle window. A time in the future proves nothing, so
/// then the file must also be as in the last scan, of which `known` is.
fn settled(stat: &FileStat, known: Option<&Cached>, options: &ScanOptions) -> bool {
    let ahead = stat.mtime_ns.max(stat.ctime_ns) > options.now_ns.saturating_add(FUTURE_NS);
    quiet(stat, options.now_ns, options.settle)
        && (!ahead || known.is_some_and(|cached| cached.stat == *stat))
}
