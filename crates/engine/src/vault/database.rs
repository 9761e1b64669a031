//! Databases in the vault: which files are one, what stands beside them, and snapshots of those
//! that are in use.
//!
//! A SQLite database and its WAL or rollback journal are one file of the vault, under the
//! database's name; shared memory is never synced. While nothing that counts stands beside it, the
//! file holds its whole state, and is read as any file. Else a snapshot is read in its place, one
//! transaction's view, taken by the disk's [`Databases`](crate::fs::Databases). A snapshot never
//! settles and need not: nobody writes to it.
//!
//! Snapshots live in a folder of their own below `sync/staging/`, until their [`Snapshots`] are
//! dropped. A crash leaves the folder; the next start removes it as it does every stage.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Layout;
use super::read::hash_file;
use crate::fs::{DatabaseFault, Fs, found, remove_tree};
use crate::model::sqlite::{self, COMPANIONS};
use crate::model::{Content, Digest, FileKind, FileStat, VaultPath};

/// Bytes at the beginning of a file that tell what it is: as many as a WAL has before its pages.
const HEAD: u64 = 32;

/// The file beside `place` with this ending.
fn beside(place: &Path, ending: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The first bytes of a file. None if there is no file.
fn head(fs: &dyn Fs, place: &Path) -> io::Result<Option<Vec<u8>>> {
    match found(fs.lstat(place))? {
        Some(stat) if stat.kind == FileKind::File => {}
        _ => return Ok(None),
    }
    found(head_of_file(fs, place))
}

fn head_of_file(fs: &dyn Fs, place: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs.open(place)?.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

/// True for a database: by its head, or, while its first transaction is under way, by what stands
/// beside the empty file. Never true on a disk that has no databases.
pub(crate) fn is_database(fs: &dyn Fs, place: &Path) -> io::Result<bool> {
    if fs.databases().is_none() {
        return Ok(false);
    }
    let Some(own) = head(fs, place)? else { return Ok(false) };
    if !own.is_empty() {
        return Ok(sqlite::is_database(&own));
    }
    for ending in COMPANIONS {
        if head(fs, &beside(place, ending))?.is_some_and(|head| sqlite::is_companion(&head)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True for a whole database in a file of ours, which is there and has nothing beside it.
pub(super) fn is_whole_database(fs: &dyn Fs, place: &Path) -> io::Result<bool> {
    Ok(fs.databases().is_some() && sqlite::is_database(&head_of_file(fs, place)?))
}

/// The databases among the files that these names on disk may belong to.
pub(super) fn databases_of(fs: &dyn Fs, layout: &Layout, names: &[String]) -> BTreeSet<String> {
    let mains: BTreeSet<&str> = names.iter().filter_map(|name| sqlite::main_of(name)).collect();
    // A file that cannot be read is told of when it is hashed.
    let is_one = |main: &&str| is_database(fs, &layout.root().join(main)).unwrap_or_default();
    mains.into_iter().filter(is_one).map(str::to_owned).collect()
}

/// The state of a database of which a part stands beside it: `stat` mixed with the states of its
/// WAL and journal, of length 0. None if the file holds it all.
pub(super) fn in_parts(fs: &dyn Fs, place: &Path, stat: &FileStat) -> io::Result<Option<FileStat>> {
    let part = |ending: &str| {
        let place = beside(place, ending);
        let stat = found(fs.lstat(&place))?.filter(|stat| stat.size > 0);
        let head = head(fs, &place)?.unwrap_or_default();
        Ok::<_, io::Error>(stat.map(|stat| (stat, head)))
    };
    let wal = part("-wal")?.filter(|(stat, _)| sqlite::holds_wal(stat.size));
    let journal = part("-journal")?.filter(|(_, head)| sqlite::holds_journal(head));
    if wal.is_none() && journal.is_none() {
        return Ok(None);
    }
    let (mut hasher, mut last) = (blake3::Hasher::new(), stat.mtime_ns);
    let numbers = [stat.dev, stat.ino, stat.size, stat.mtime_ns.cast_unsigned()];
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    for part in [wal, journal] {
        hasher.update(&[u8::from(part.is_some())]);
        let Some((stat, head)) = part else { continue };
        last = last.max(stat.mtime_ns);
        // Whoever opens a database as root gives these files to its owner, which moves their ctime.
        for number in [stat.ino, stat.size, stat.mtime_ns.cast_unsigned()] {
            hasher.update(&number.to_le_bytes());
        }
        // A WAL that begins anew says so.
        hasher.update(&head);
    }
    let mixed = hasher.finalize();
    let (ino, _) = mixed.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
    Ok(Some(FileStat { ino: u64::from_le_bytes(*ino), size: 0, mtime_ns: last, ..*stat }))
}

/// The companion beside a place where no database stands that would be taken for a part of one
/// which is put there.
pub(super) fn stale_companion(fs: &dyn Fs, place: &Path) -> io::Result<Option<PathBuf>> {
    for ending in ["-wal", "-journal"] {
        let companion = beside(place, ending);
        if head(fs, &companion)?.is_some_and(|head| sqlite::is_companion(&head)) {
            return Ok(Some(companion));
        }
    }
    Ok(None)
}

/// Removes what stands beside the place of a database that is gone, unless it holds something.
pub(super) fn remove_companions(fs: &dyn Fs, place: &Path) -> io::Result<()> {
    if stale_companion(fs, place)?.is_some() {
        return Ok(());
    }
    for ending in COMPANIONS {
        let companion = beside(place, ending);
        let of_database = match found(fs.lstat(&companion))? {
            Some(stat) if stat.kind != FileKind::File => false,
            Some(stat) => ending == "-shm" || stat.size == 0,
            None => false,
        };
        if of_database {
            found(fs.remove_file(&companion))?;
        }
    }
    Ok(())
}

/// Takes the snapshot of a database into a new file.
///
/// # Errors
/// See [`DatabaseFault`]; the file is removed.
pub(super) fn snapshot_to(fs: &dyn Fs, place: &Path, to: &Path) -> Result<Content, DatabaseFault> {
    let databases = fs.databases().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
    drop(fs.create(to)?);
    let taken = databases.snapshot(place, to).and_then(|()| {
        let stat = fs.lstat(to)?;
        hash_file(fs, to, &stat)?.ok_or(DatabaseFault::Busy)
    });
    if taken.is_err() {
        // The stage is removed as a whole later.
        let _also_failed = fs.remove_file(to);
    }
    taken
}

/// Snapshots of databases, until this is dropped.
#[derive(Debug)]
pub struct Snapshots {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    next: AtomicU32,
    taken: Mutex<BTreeMap<VaultPath, PathBuf>>,
}

impl Snapshots {
    /// None yet.
    #[must_use]
    pub fn new(fs: Arc<dyn Fs>, layout: &Layout) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = layout.staging().join(format!("snapshots-{}-{number}", std::process::id()));
        Self { fs, folder, next: AtomicU32::new(0), taken: Mutex::default() }
    }

    /// Takes one of the database at `place`, and notes it under its path.
    ///
    /// # Errors
    /// See [`DatabaseFault`].
    pub fn take(&self, path: &VaultPath, place: &Path) -> Result<Content, DatabaseFault> {
        self.fs.create_dir_all(&self.folder)?;
        let to = self.folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let content = snapshot_to(self.fs.as_ref(), place, &to)?;
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), to);
        Ok(content)
    }

    /// Place of the snapshot that was taken of a database.
    #[must_use]
    pub fn of(&self, path: &VaultPath) -> Option<PathBuf> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        if self.next.load(Ordering::Relaxed) > 0 {
            // The next start removes what cannot be removed now.
            let _left = remove_tree(self.fs.as_ref(), &self.folder);
        }
    }
}

/// Digest of a file's bytes as they are, where [`hash_file`] gives that of a database's content.
pub(super) fn hash_as_it_is(fs: &dyn Fs, place: &Path) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut fs.open(place)?, &mut hasher)?;
    Ok(hasher.finalize().into())
}
