//! A disk that is mounted at a folder of the vault, and that goes away and comes back.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cogzy_engine::fs::{MOUNT_FOLDER, MountId, Pinned};
use cogzy_engine::model::FileKind;

use super::op::UserOp;
use super::places::Places;
use super::slots::{create_folders, rename};
use super::state::State;
use super::user::absolute;
use super::{Disk, Site};
use crate::oracle::Check;

/// The folder that a disk is mounted at, on the devices that have one.
pub const MOUNT_POINT: &str = "traces";

/// Holds of a process on the disk that is mounted inside the vault. They end with it.
#[derive(Debug, Clone, Default)]
pub(super) struct DiskPins(Arc<AtomicUsize>);

/// One of them.
struct Hold(DiskPins);

impl DiskPins {
    pub(super) fn pin(&self, mount: MountId) -> Pinned {
        if mount.id == 0 {
            return Pinned::new(());
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        Pinned::new(Hold(self.clone()))
    }

    /// True while the disk cannot be unmounted.
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// State of that folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounted {
    /// The disk.
    Own,
    /// No mount: an empty folder.
    Nothing,
    /// An empty disk.
    Other,
}

/// True for what belongs to the engine: below `sync/`, or on a mounted disk.
pub fn is_ours(path: &str) -> bool {
    path.starts_with("sync/") || path.split('/').any(|name| name == MOUNT_FOLDER)
}

/// True for a place of the engine's own that is called `name`.
pub fn is_in(path: &str, name: &str) -> bool {
    is_ours(path) && path.split('/').any(|part| part == name)
}

impl Places {
    /// The mount that a path lies on.
    pub fn mount(&self, path: &Path) -> MountId {
        let id = match self.mounted {
            Some(Mounted::Own) if path.starts_with(absolute(MOUNT_POINT)) => 1,
            Some(Mounted::Other) if path.starts_with(absolute(MOUNT_POINT)) => 2,
            _ => 0,
        };
        MountId { dev: 1, id }
    }

    /// A name is not moved from one mount to another.
    pub fn on_one_mount(&self, one: &Path, other: &Path) -> io::Result<()> {
        let same = self.mount(one) == self.mount(other);
        if same { Ok(()) } else { Err(io::ErrorKind::CrossesDevices.into()) }
    }

    /// True where an app does not find what an act is about: its disk is away, or a name would have
    /// to be moved from one disk to another, or a mount point itself.
    pub fn hinders(&self, op: &UserOp, held: Option<&str>) -> bool {
        let Some(mounted) = self.mounted else { return false };
        let inside = |path: &str| path == MOUNT_POINT || path.starts_with(&format!("{MOUNT_POINT}/"));
        match op {
            UserOp::RenameFolder(from, to) => {
                inside(from) != inside(to) || mounted != Mounted::Own && inside(from)
            }
            UserOp::Link(path) | UserOp::LinkFolder(path) if path == MOUNT_POINT => true,
            UserOp::Unlink(path) if path == MOUNT_POINT => true,
            _ if mounted == Mounted::Own => false,
            UserOp::WriteHeld(_) => held.is_some_and(inside),
            UserOp::Together(files) => files.iter().any(|(path, _)| inside(path)),
            UserOp::DeleteTogether(paths) => paths.iter().any(|path| inside(path)),
            UserOp::Mount(_) | UserOp::Root(_) => false,
            UserOp::Replace(path, _)
            | UserOp::Rewrite(path, _)
            | UserOp::Append(path, _)
            | UserOp::Disguise(path, _)
            | UserOp::Delete(path)
            | UserOp::Lock(path)
            | UserOp::Unlock(path)
            | UserOp::Recase(path)
            | UserOp::Link(path)
            | UserOp::Unlink(path)
            | UserOp::DeleteFolder(path)
            | UserOp::LinkFolder(path)
            | UserOp::Hold(path) => inside(path),
        }
    }
}

impl Disk {
    /// True for an act that the system refuses while the engine holds the disk.
    pub(super) fn is_busy_for(&self, op: &UserOp) -> bool {
        let busy = matches!(op, UserOp::Mount(_)) && self.pins.any();
        if busy {
            self.trace.mark("mount: busy");
        }
        busy
    }
}

impl Site {
    /// From now on a disk of its own is mounted at a folder of the vault.
    pub fn mount_a_disk(&mut self) {
        create_folders(&mut self.state, &absolute(MOUNT_POINT), true, 0).unwrap();
        self.state.places.mounted = Some(Mounted::Own);
    }

    /// The disk goes away, or another one takes its place, or it comes back.
    pub fn mount(&mut self, there: Mounted, disk: &Disk, now: i64) {
        let (place, aside) = (absolute(MOUNT_POINT), PathBuf::from("/aside disk"));
        let before = self.state.places.mounted;
        // The engine knows a disk once the vault's record names it, and not while only the disk is
        // marked: after a crash right then it rightly takes another one in.
        let known = self.file("sync/mounts.json").is_some();
        if before.is_none() || before == Some(there) || (before == Some(Mounted::Own) && !known) {
            return;
        }
        disk.trace.mark(match there {
            Mounted::Own => "mount: back",
            Mounted::Nothing => "mount: away",
            Mounted::Other => "mount: another disk",
        });
        self.state.sync_all();
        if before == Some(Mounted::Own) {
            rename(&mut self.state, &place, &aside, true, now).unwrap();
            create_folders(&mut self.state, &place, true, now).unwrap();
            self.state.places.moved.push((MOUNT_POINT.to_owned(), aside));
        } else if there == Mounted::Own {
            let slot = self.state.slot(&place).unwrap();
            self.state.change(vec![(slot, None)], true, now);
            self.put_folder_back(MOUNT_POINT, now);
        }
        self.state.places.mounted = Some(there);
    }

    /// Nothing was written where the disk is away.
    pub fn check_mount(&self) -> Check {
        let stands_in = matches!(self.state.places.mounted, Some(Mounted::Nothing | Mounted::Other));
        let Some(ino) = self.state.find(&absolute(MOUNT_POINT)).ok().filter(|_| stands_in) else {
            return Ok(());
        };
        if self.state.node(ino).kind != FileKind::Folder {
            return Err(format!("{MOUNT_POINT} is no folder any more"));
        }
        match self.state.list(ino).next() {
            None => Ok(()),
            Some((name, _)) => Err(format!("{name:?} was written to {MOUNT_POINT} while its disk was away")),
        }
    }
}

impl State {
    /// True for a folder that a disk is mounted at.
    pub fn is_mount_point(&self, path: &Path) -> bool {
        matches!(self.places.mounted, Some(Mounted::Own | Mounted::Other)) && path == absolute(MOUNT_POINT)
    }
}
