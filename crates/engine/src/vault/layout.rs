//! Paths of the files in a vault.
//!
//! This module makes names only and reads no disk. Everything below `sync/` is ours, stays on this
//! device and is never synced.

use std::path::{Path, PathBuf};

use super::ApplyId;
use super::mounts::{staging, trash};
use crate::model::{ConflictId, VaultPath};

/// Name of the marker in the root.
pub(super) const MARKER: &str = ".cogzy-vault";
/// Name of our folder in the root.
pub(super) const SYNC: &str = "sync";
/// Folders that the app expects. `init` creates them, and they stay even if they become empty.
pub const APP_FOLDERS: [&str; 4] = ["corpus", "vectors", "indexes", "traces"];

/// Paths of one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the layout of the vault at `root`, an absolute path. Its last name must not be a
    /// symbolic link (resolve it first).
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Root of the vault.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `.cogzy-vault`: the marker, which says that this is a vault, and which.
    #[must_use]
    pub fn marker(&self) -> PathBuf {
        self.root.join(MARKER)
    }

    /// `config.json`: the app's own file with its API keys. It never leaves the device.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// `sync/`: our folder.
    #[must_use]
    pub fn sync(&self) -> PathBuf {
        self.root.join(SYNC)
    }

    /// `sync/manifest.json`: the last agreed state, for people and programs to read.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.sync().join("manifest.json")
    }

    /// `sync/last_sync.json`: names the last agreed commit.
    #[must_use]
    pub fn last_sync(&self) -> PathBuf {
        self.sync().join("last_sync.json")
    }

    /// `sync/mounts.json`: the disks that are mounted inside the vault.
    #[must_use]
    pub fn mounts(&self) -> PathBuf {
        self.sync().join("mounts.json")
    }

    /// `sync/names.json`: the way in which names are spelled on disks that do not hold all of them.
    #[must_use]
    pub fn names(&self) -> PathBuf {
        self.sync().join("names.json")
    }

    /// `sync/reference.json`: the files that the brakes compare with.
    #[must_use]
    pub fn reference(&self) -> PathBuf {
        self.sync().join("reference.json")
    }

    /// `sync/marked.json`: packs that this device has seen on their way out of the bucket.
    #[must_use]
    pub fn marked(&self) -> PathBuf {
        self.sync().join("marked.json")
    }

    /// `sync/recipes.json`: recipes of contents of which the vault has wrong ones.
    #[must_use]
    pub fn recipes(&self) -> PathBuf {
        self.sync().join("recipes.json")
    }

    /// `sync/pending`: the bytes of a commit of unknown outcome.
    #[must_use]
    pub fn pending(&self) -> PathBuf {
        self.sync().join("pending")
    }

    /// `sync/applying`: the journal. While it exists, visible files may belong to two generations.
    #[must_use]
    pub fn applying(&self) -> PathBuf {
        self.sync().join("applying")
    }

    /// `sync/apply.lock`: held while visible files are renamed.
    #[must_use]
    pub fn apply_lock(&self) -> PathBuf {
        self.sync().join("apply.lock")
    }

    /// `sync/apply.wait`: held while somebody waits for the apply lock. Who reads passes it first.
    #[must_use]
    pub fn apply_wait(&self) -> PathBuf {
        self.sync().join("apply.wait")
    }

    /// `sync/hold.lock`: held shared while the command of a `hold` runs.
    #[must_use]
    pub fn hold_lock(&self) -> PathBuf {
        self.sync().join("hold.lock")
    }

    /// `sync/incoming/`: files that other programs prepare for a transaction.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.sync().join("incoming")
    }

    /// `sync/transactions/`: the result of each transaction.
    #[must_use]
    pub fn transactions(&self) -> PathBuf {
        self.sync().join("transactions")
    }

    /// `sync/together/`: transactions that may not have been sent whole yet.
    #[must_use]
    pub fn together(&self) -> PathBuf {
        self.sync().join("together")
    }

    /// `sync/lock`: held by the one program that syncs this vault.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.sync().join("lock")
    }

    /// `logs/cogzy-vault.log`: the daemon's log, if it has no journal to write to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("logs/cogzy-vault.log")
    }

    /// `sync/cache.db`: the cache database.
    #[must_use]
    pub fn cache_db(&self) -> PathBuf {
        self.sync().join("cache.db")
    }

    /// `sync/paused`: a pause in syncing.
    #[must_use]
    pub fn paused(&self) -> PathBuf {
        self.sync().join("paused")
    }

    /// `sync/event_ids`: the end of the reserved event numbers.
    #[must_use]
    pub fn event_ids(&self) -> PathBuf {
        self.sync().join("event_ids")
    }

    /// `sync/staging/`: files that will become visible.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.sync().join("staging")
    }

    /// Staging folder of one apply.
    #[must_use]
    pub fn staging_of(&self, id: &ApplyId) -> PathBuf {
        self.staging().join(id.as_str())
    }

    /// Staging folder of one apply on another disk, where `home` is ours.
    #[must_use]
    pub fn stage_on(&self, home: &Path, id: &ApplyId) -> PathBuf {
        staging(home).join(id.as_str())
    }

    /// The file of one slot of a staging folder.
    #[must_use]
    pub fn slot_in(stage: &Path, slot: u32) -> PathBuf {
        stage.join(slot.to_string())
    }

    /// `sync/trash/`: files that were displaced, by apply.
    #[must_use]
    pub fn trash(&self) -> PathBuf {
        self.sync().join("trash")
    }

    /// `sync/trash.lock`: held while displaced files are looked at again.
    #[must_use]
    pub fn trash_lock(&self) -> PathBuf {
        self.sync().join("trash.lock")
    }

    /// Trash folder of one apply.
    #[must_use]
    pub fn trash_of(&self, id: &ApplyId) -> PathBuf {
        self.trash().join(id.as_str())
    }

    /// Folder for the displaced files of one apply, each below its path in the vault.
    #[must_use]
    pub fn trash_files(&self, id: &ApplyId) -> PathBuf {
        self.trash_of(id).join("files")
    }

    /// The same folder on another disk, where `home` is ours.
    #[must_use]
    pub fn trash_files_on(&self, home: &Path, id: &ApplyId) -> PathBuf {
        trash(home).join(id.as_str()).join("files")
    }

    /// `sync/conflicts/`: losing versions, by conflict.
    #[must_use]
    pub fn conflicts(&self) -> PathBuf {
        self.sync().join("conflicts")
    }

    /// Record of one conflict.
    #[must_use]
    pub fn conflict_record(&self, id: ConflictId) -> PathBuf {
        self.conflicts().join(id.to_string()).join("conflict.json")
    }

    /// `sync/brought/<group>.json`: what pulls have brought to a group.
    #[must_use]
    pub fn brought(&self, group: &str) -> PathBuf {
        self.sync().join("brought").join(format!("{group}.json"))
    }

    /// The same, of a pull that may not have come to its end.
    #[must_use]
    pub fn bringing(&self, group: &str) -> PathBuf {
        self.sync().join("brought").join(format!("{group}.next"))
    }

    /// Note of the version that the losing one came from.
    #[must_use]
    pub fn conflict_base(&self, id: ConflictId) -> PathBuf {
        self.conflicts().join(id.to_string()).join("base.json")
    }

    /// File with the losing version of `path`. It is apart from the record, because a vault may
    /// have a file of the record's name.
    #[must_use]
    pub fn conflict_file(&self, id: ConflictId, path: &VaultPath) -> PathBuf {
        path.below(&self.conflicts().join(id.to_string()).join("files"))
    }
}
