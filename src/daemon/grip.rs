//! The daemon's hold on its vault, and a check that the vault at its path still is that one.
//!
//! While it keeps the vault it holds the root, the lock, the cache database and the log open. In a
//! pause it lets go of all of them, so that the disk can be unmounted. A request that comes
//! meanwhile takes hold again for as long as it lasts. One that only looks or writes a line opens
//! what it needs by itself, and works only on the very folder that was opened first.
//!
//! No other process takes the lock unnoticed in a pause: each asks at the daemon's socket first,
//! and the end of the pause needs the lock again. A crash releases everything; the next start takes
//! it anew.

use std::sync::Arc;

use crate::telemetry::Rotated;
use cogzy_engine::fs::{Fs, RealFs, Replaced, RootedFs};
use cogzy_engine::model::FileKind;
use cogzy_engine::state::{Database, Paused};
use cogzy_engine::sync::SyncError;
use cogzy_engine::vault::{FileLock, Layout, Marker, MarkerError};

/// The daemon's hold on its vault.
#[derive(Debug)]
pub struct Grip {
    /// The disk, whose root is held.
    pub disk: Arc<RootedFs>,
    /// Places of the vault's files.
    pub layout: Layout,
    /// The cache database.
    pub database: Arc<Database>,
    /// The log, if it is a file.
    pub log: Option<Rotated>,
    /// The lock. None while it is let go.
    pub lock: Option<FileLock>,
}

/// Folder that stands at the vault's path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// The vault that was opened, under the lock that was taken.
    Ours,
    /// No vault: a disk is away, or an empty folder stands at its mount point. It is waited for.
    Away,
    /// Another vault than the one that was opened, or one that is not under our lock.
    Replaced(String),
}

impl Grip {
    /// Compares the folder at the vault's path with the one that is held open.
    pub(super) fn ground(&self) -> Ground {
        let root = self.layout.root();
        match self.disk.lstat(root) {
            Ok(_) => self.under_our_lock(),
            Err(error) if Replaced::is(&error) && self.is_vault() => {
                Ground::Replaced(MarkerError::Replaced(root.to_owned()).to_string())
            }
            Err(_) => Ground::Away,
        }
    }

    fn under_our_lock(&self) -> Ground {
        let path = self.layout.lock();
        match self.lock.as_ref().map(|lock| lock.is_at(self.disk.as_ref(), &path)) {
            Some(Ok(false)) => Ground::Replaced(format!(
                "{} is no longer the file that this daemon has locked: another one could start beside it",
                path.display()
            )),
            // If the folder cannot be looked at, the next cycle gives the cause.
            _ => Ground::Ours,
        }
    }

    /// True if a marker stands at the path, whichever folder that leads to.
    fn is_vault(&self) -> bool {
        RealFs.lstat(&self.layout.marker()).is_ok_and(|stat| stat.kind == FileKind::File)
    }

    /// True while the vault is kept.
    pub(super) const fn is_held(&self) -> bool {
        self.lock.is_some()
    }

    /// Takes hold of the vault again.
    ///
    /// # Errors
    /// A vault that is missing or another one, or that another process has locked. Nothing is held
    /// then.
    pub(super) fn take(&mut self) -> Result<(), SyncError> {
        self.try_take().inspect_err(|_| self.let_go())
    }

    fn try_take(&mut self) -> Result<(), SyncError> {
        let root = self.layout.root();
        Marker::read_joined(self.disk.as_ref(), &self.layout)?;
        // Between the two calls the vault may have gone again; then the lock cannot be opened.
        let _says_the_lock = self.disk.hold();
        let lock = FileLock::try_take(self.disk.as_ref(), &self.layout.lock())?;
        self.lock = Some(lock.ok_or_else(|| SyncError::Locked(root.to_owned()))?);
        self.database.hold()?;
        if let Some(Err(error)) = self.log.as_ref().map(Rotated::hold) {
            tracing::warn!(%error, "the log cannot be written");
        }
        Ok(())
    }

    /// Lets go of everything in the vault.
    pub(super) fn let_go(&mut self) {
        self.lock = None;
        self.database.let_go();
        if let Some(log) = &self.log {
            log.let_go();
        }
        self.disk.let_go();
    }

    /// Ends the pause of the vault that stands at the path now, for the daemon that will keep it.
    ///
    /// # Errors
    /// An error if there is none.
    pub(super) fn end_pause_of_successor(&self) -> Result<(), SyncError> {
        let disk = RootedFs::open(self.layout.root(), self.layout.sync());
        Marker::read_joined(&disk, &self.layout)?;
        Ok(Paused::clear(&disk, &self.layout.paused())?)
    }
}
