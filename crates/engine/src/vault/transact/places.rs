//! Where a transaction's files wait, on each disk that the vault stands on.

use std::path::PathBuf;

use super::{Making, TransactError};
use crate::fs::{At, Fs, IoAt, found};
use crate::model::VaultPath;
use crate::vault::mounts::incoming;
use crate::vault::pins::Pins;
use crate::vault::{ApplyId, Layout, Mounts};

/// Folders that a transaction copies its files to, on the vault's own disk and on those mounted
/// inside it.
pub(super) struct Places<'a> {
    pub id: &'a ApplyId,
    mounts: Mounts,
    /// Disks that stay until the transaction is done.
    pins: Pins,
    /// That of the vault's own disk first.
    pub all: Vec<Place>,
}

/// The places on one disk: until the lock is taken, and then.
pub(super) struct Place {
    pub aside: PathBuf,
    pub stage: PathBuf,
}

impl<'a> Places<'a> {
    pub fn new(fs: &dyn Fs, layout: &Layout, id: &'a ApplyId) -> Result<Self, IoAt> {
        let mounts = Mounts::load(fs, layout)?;
        let place = |incoming: PathBuf, stage| Place { aside: incoming.join(format!(".{id}")), stage };
        let on_mount = |home: PathBuf| place(incoming(&home), layout.stage_on(&home, id));
        let own = place(layout.incoming(), layout.staging_of(id));
        let all = std::iter::once(own).chain(mounts.homes(layout).into_iter().map(on_mount)).collect();
        let homes: Vec<_> = mounts.folders().map(|folder| mounts.home_on(folder)).collect();
        let pins = mounts.pin(fs, layout, homes.iter().map(String::as_str));
        Ok(Self { id, mounts, pins, all })
    }

    /// The folder that a path's new content is copied to.
    pub fn aside_of(&self, layout: &Layout, path: &VaultPath) -> PathBuf {
        let home = self.mounts.home(path.as_str());
        let elsewhere = home.map(|home| incoming(&layout.root().join(home)).join(format!(".{}", self.id)));
        elsewhere.unwrap_or_else(|| layout.incoming().join(format!(".{}", self.id)))
    }

    /// Refuses what would be written where a disk is away.
    pub fn check(&self, making: &Making<'_>) -> Result<(), TransactError> {
        for path in making.changed() {
            if self.mounts.home(path.as_str()).is_some_and(|home| self.pins.lack(&home)) {
                let why = "the disk that it stands on is not mounted".to_owned();
                return Err(TransactError::Refused { what: path.to_string(), why });
            }
        }
        Ok(())
    }

    /// Makes what was copied the stage of the apply.
    pub fn stage(&self, fs: &dyn Fs) -> Result<(), IoAt> {
        for Place { aside, stage } in &self.all {
            if found(fs.lstat(aside)).at("look at", aside)?.is_none() {
                continue;
            }
            let folder = stage.parent().unwrap_or(stage);
            fs.create_dir_all(folder).at("create", folder)?;
            fs.rename(aside, stage).at("move", aside)?;
            fs.sync_dir(folder).at("sync", folder)?;
        }
        Ok(())
    }
}
