//! A folder as a remote (`file://`): a mounted disk, a NAS, or the default remote of a new vault.
//!
//! An object is a file of the same path. A PUT writes a temporary file beside its target, fsyncs
//! it, renames it and fsyncs the folders above. So a reader finds the whole object or none, also
//! after a crash, and an acknowledged object stays. A crash leaves at most a temporary file. It is
//! never listed or read. A prune removes it after a day: until then another device may be writing
//! it.
//!
//! The root holds a marker. Without it every call fails with `Unplugged`: the mount point of an
//! unplugged disk is an empty folder too. It must neither be taken for an empty bucket nor be
//! written to.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;

use super::url::folder_url;
use super::{Capabilities, Object, Page, Probe, Remote, RemoteError, RemoteErrorKind, Span};
use crate::clock::{Entropy, random};
use crate::fs::{Fs, RealFs, own_new};

mod leftovers;
mod list;

/// Name of the file that marks a remote's root.
const MARKER: &str = ".cogzy-remote";
/// Prefix of the names of temporary files.
const TEMPORARY: &str = ".cogzy-tmp-";
/// Listings at the same time. One of a mount that hangs may never end.
const LISTINGS: usize = 4;
/// Longest wait for one of these to end.
const LISTING_PATIENCE: Duration = Duration::from_secs(60);

/// Remote stored in a folder.
#[derive(Debug, Clone)]
pub struct FolderRemote {
    root: PathBuf,
    entropy: Arc<dyn Entropy>,
    /// Turn of a listing. A disk that is asleep keeps the thread of each one that is given up, and
    /// there are only so many.
    listing: Arc<Semaphore>,
}

impl FolderRemote {
    /// Opens the remote in `root`, an absolute path that [`FolderRemote::create`] prepared.
    ///
    /// # Errors
    /// `Unplugged` if the folder or its marker is missing.
    pub async fn open(root: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, RemoteError> {
        let remote = Self::at(root, entropy);
        remote.blocking("open", "", Self::check_root).await?;
        Ok(remote)
    }

    /// Takes the remote in `root` as it is: as long as the folder or its marker is missing, each
    /// call fails with `NoSuchBucket`.
    #[must_use]
    pub fn at(root: &Path, entropy: Arc<dyn Entropy>) -> Self {
        Self { root: root.to_owned(), entropy, listing: Arc::new(Semaphore::new(LISTINGS)) }
    }

    /// Path of the file that is there while the remote in `root` is.
    #[must_use]
    pub fn marker(root: &Path) -> PathBuf {
        root.join(MARKER)
    }

    /// Creates `root`, the folders above it and its marker, as far as they are missing, and opens
    /// it.
    ///
    /// # Errors
    /// Errors of the file system.
    pub async fn create(root: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, RemoteError> {
        let remote = Self::at(root, entropy);
        remote
            .blocking("open", "", |remote| {
                RealFs.create_dir_all(&remote.root)?;
                let path = remote.root.join(MARKER);
                let marker = File::options().append(true).create(true).open(&path)?;
                own_new(&marker, &path)?;
                marker.sync_all()?;
                remote.root.ancestors().try_for_each(sync_folder_of_ours)
            })
            .await?;
        Ok(remote)
    }

    /// Diagnoses this folder.
    pub async fn probe(&self) -> Probe {
        let listed = self.list("commits/", None).await.map(drop);
        let endpoint = self.root.display().to_string();
        Probe { endpoint, listed, server_ms: None, versioned: Some(false), locked_days: Some(0) }
    }

    /// Runs file operations on a thread that may block, after a check of the root.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let remote = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            if operation != "open" {
                remote.check_root().map_err(|error| (error, true))?;
            }
            work(&remote).map_err(|error| (error, false))
        })
        .await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err((error, root))) => Err(self.explain(operation, key, &error, root || operation == "open")),
            Err(stopped) => Err(RemoteError::new(RemoteErrorKind::UnknownOutcome, operation, key)
                .because(stopped.to_string())),
        }
    }

    fn check_root(&self) -> io::Result<()> {
        fs::symlink_metadata(self.root.join(MARKER)).map(drop)
    }

    fn explain(&self, operation: &'static str, key: &str, error: &io::Error, root: bool) -> RemoteError {
        use io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound | Io::NotADirectory if root => RemoteErrorKind::Unplugged,
            Io::NotFound => RemoteErrorKind::NotFound,
            Io::StorageFull | Io::QuotaExceeded => RemoteErrorKind::QuotaExceeded,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => RemoteErrorKind::Forbidden,
            Io::UnexpectedEof => RemoteErrorKind::Malformed,
            Io::InvalidInput
            | Io::InvalidFilename
            | Io::NotADirectory
            | Io::IsADirectory
            | Io::AlreadyExists => RemoteErrorKind::Other,
            _ => RemoteErrorKind::Server,
        };
        let folder = self.root.display();
        let detail = if kind == RemoteErrorKind::Unplugged {
            format!("{folder} has no {MARKER}: is its disk plugged in and mounted?")
        } else {
            format!("in {folder}: {error}")
        };
        RemoteError::new(kind, operation, key).because(detail)
    }

    fn path(&self, key: &str) -> io::Result<PathBuf> {
        let legal = |name: &str| {
            !matches!(name, "" | "." | "..")
                && name != MARKER
                && !name.starts_with(TEMPORARY)
                && !name.contains(|c: char| c.is_control() || matches!(c, '\\' | ':'))
        };
        if !key.split('/').all(legal) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the key is no plain path below the root",
            ));
        }
        let mut path = self.root.clone();
        path.extend(key.split('/'));
        Ok(path)
    }

    fn write(&self, key: &str, body: &[u8]) -> io::Result<()> {
        let path = self.path(key)?;
        let folder = path.parent().unwrap_or(&self.root);
        RealFs.create_dir_all(folder)?;
        let name = u64::from_le_bytes(random(self.entropy.as_ref()));
        let temporary = folder.join(format!("{TEMPORARY}{name:016x}"));
        let written = write_new(&temporary, body).and_then(|()| fs::rename(&temporary, &path));
        if written.is_err() {
            // Report the first error. A file left behind is as harmless as after a crash.
            fs::remove_file(&temporary).ok();
        }
        written?;
        // Sync all folders up to the root: another writer may have created them without syncing
        // yet.
        folder.ancestors().take_while(|above| above.starts_with(&self.root)).try_for_each(sync_folder)
    }

    fn take_away(&self, key: &str) -> io::Result<()> {
        let path = self.path(key)?;
        if object_at(&path)?.is_none() {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Sync the deletion, so that the freed space stays free after a crash.
        path.parent().map_or(Ok(()), sync_folder)
    }

    /// Time of the file system, which may be another machine's.
    fn time(&self) -> io::Result<i64> {
        let name = u64::from_le_bytes(random(self.entropy.as_ref()));
        let temporary = self.root.join(format!("{TEMPORARY}{name:016x}"));
        let told = write_new(&temporary, b"").and_then(|()| object_at(&temporary));
        fs::remove_file(&temporary).ok();
        told?.map(|(_, time)| time).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Reads an object. The inner error is the length of one that is too large.
    fn read(&self, key: &str, span: Span) -> io::Result<Result<Bytes, u64>> {
        let path = self.path(key)?;
        let size = object_at(&path)?.ok_or(io::ErrorKind::NotFound)?.0;
        let range = match span {
            Span::UpTo(limit) if size > limit => return Ok(Err(size)),
            Span::UpTo(_) => 0..size,
            Span::Part(range) => range,
        };
        if range.end > size || range.start > range.end {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the object has {size} bytes")));
        }
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let wanted = range.end - range.start;
        let mut bytes = Vec::new();
        file.take(wanted).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == wanted {
            Ok(Ok(bytes.into()))
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was"))
        }
    }
}

#[async_trait]
impl Remote for FolderRemote {
    fn url(&self) -> String {
        folder_url(&self.root)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { metered: false }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        let own = key.to_owned();
        self.blocking("put", key, move |remote| remote.write(&own, &body)).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        let limit = match &span {
            Span::Part(range) if range.is_empty() => return Err(super::no_such_range(key, range, None)),
            Span::Part(range) => range.end - range.start,
            Span::UpTo(limit) => *limit,
        };
        let own = key.to_owned();
        let read = self.blocking("get", key, move |remote| remote.read(&own, span)).await?;
        read.map_err(|size| super::too_large(key, limit, Some(size)))
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        let own = key.to_owned();
        self.blocking("head", key, move |remote| {
            let found = object_at(&remote.path(&own)?)?;
            Ok(found.map(|(size, modified_ms)| Object { key: own, size, modified_ms }))
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        let (own, after) = (prefix.to_owned(), after.map(str::to_owned));
        // It ends with the thread, also where nobody waits for that any more.
        let turn = tokio::time::timeout(LISTING_PATIENCE, Arc::clone(&self.listing).acquire_owned()).await;
        let turn = turn.map_err(|_| {
            RemoteError::new(RemoteErrorKind::UnknownOutcome, "list", prefix)
                .because(format!("{LISTINGS} earlier listings of this folder have not ended yet"))
        })?;
        let list = move |remote: &Self| {
            let _turn = turn;
            list::page(&remote.root, &own, after.as_deref())
        };
        self.blocking("list", prefix, list).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        let own = key.to_owned();
        self.blocking("delete", key, move |remote| remote.take_away(&own)).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.blocking("time", "", Self::time).await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        self.blocking("delete", "", |remote| leftovers::clear(&remote.root, remote.time()?)).await
    }
}

/// Size and time of the object at `path`. `None` unless it is a regular file; links do not count.
fn object_at(path: &Path) -> io::Result<Option<(u64, i64)>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        result => result?,
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let since = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(Some((metadata.len(), i64::try_from(since.as_millis()).unwrap_or(i64::MAX))))
}

fn write_new(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).open(path)?;
    own_new(&file, path)?;
    file.write_all(body)?;
    file.sync_all()
}

/// Some network and FUSE file systems have no fsync for folders.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result,
    }
}

/// Syncs a folder, and ignores one that is unreadable: another user's folder was not created here.
fn sync_folder_of_ours(folder: &Path) -> io::Result<()> {
    match sync_folder(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests;
