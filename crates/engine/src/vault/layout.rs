//! Where things are inside a vault.
//!
//! Names only: nothing here looks at a disk. Everything below `sync/` is ours, stays on this device and is never synced.

use std::path::{Path, PathBuf};

use super::ApplyId;
use crate::model::{ConflictId, VaultPath};

/// The marker's name in the root.
pub(super) const MARKER: &str = ".cogzy-vault";
/// Our folder in the root.
pub(super) const SYNC: &str = "sync";
/// The folders that the app expects. `init` makes them, and they stay where they are when they become empty.
pub const APP_FOLDERS: [&str; 4] = ["corpus", "vectors", "indexes", "traces"];

/// The paths of one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the vault at `root`: an absolute path whose last name is no symbolic link (resolve it first).
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The vault's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `.cogzy-vault`: says that this is a vault, and which.
    #[must_use]
    pub fn marker(&self) -> PathBuf {
        self.root.join(MARKER)
    }

    /// `config.json`: the app's own, with its API keys. Never leaves the device.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// `sync/`.
    #[must_use]
    pub fn sync(&self) -> PathBuf {
        self.root.join(SYNC)
    }

    /// `sync/manifest.json`: what was agreed last, for people and programs to read.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.sync().join("manifest.json")
    }

    /// `sync/last_sync.json`: names the commit that was agreed last.
    #[must_use]
    pub fn last_sync(&self) -> PathBuf {
        self.sync().join("last_sync.json")
    }

    /// `sync/reference.json`: what the brakes compare with.
    #[must_use]
    pub fn reference(&self) -> PathBuf {
        self.sync().join("reference.json")
    }

    /// `sync/pending`: the bytes of a commit whose outcome is not known yet.
    #[must_use]
    pub fn pending(&self) -> PathBuf {
        self.sync().join("pending")
    }

    /// `sync/applying`: the journal. While it exists, visible files may be of two generations.
    #[must_use]
    pub fn applying(&self) -> PathBuf {
        self.sync().join("applying")
    }

    /// `sync/apply.lock`: held while visible files are renamed.
    #[must_use]
    pub fn apply_lock(&self) -> PathBuf {
        self.sync().join("apply.lock")
    }

    /// `sync/hold.lock`: held shared while a command runs whose files belong together.
    #[must_use]
    pub fn hold_lock(&self) -> PathBuf {
        self.sync().join("hold.lock")
    }

    /// `sync/incoming/`: where other programs put the files of a transaction.
    #[must_use]
    pub fn incoming(&self) -> PathBuf {
        self.sync().join("incoming")
    }

    /// `sync/transactions/`: what became of each.
    #[must_use]
    pub fn transactions(&self) -> PathBuf {
        self.sync().join("transactions")
    }

    /// `sync/together/`: those of them that may not have been sent whole.
    #[must_use]
    pub fn together(&self) -> PathBuf {
        self.sync().join("together")
    }

    /// `sync/lock`: held by the one program that syncs this vault.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.sync().join("lock")
    }

    /// `logs/cogzy-vault.log`: the daemon's log, where it has no journal to write to.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("logs/cogzy-vault.log")
    }

    /// `sync/cache.db`: the cache database.
    #[must_use]
    pub fn cache_db(&self) -> PathBuf {
        self.sync().join("cache.db")
    }

    /// `sync/paused`: somebody wants no cycles for a while.
    #[must_use]
    pub fn paused(&self) -> PathBuf {
        self.sync().join("paused")
    }

    /// `sync/event_ids`: up to which number events may have been told.
    #[must_use]
    pub fn event_ids(&self) -> PathBuf {
        self.sync().join("event_ids")
    }

    /// `sync/staging/`: files that are about to become visible.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.sync().join("staging")
    }

    /// The staging folder of one apply.
    #[must_use]
    pub fn staging_of(&self, id: &ApplyId) -> PathBuf {
        self.staging().join(id.as_str())
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

    /// The trash folder of one apply.
    #[must_use]
    pub fn trash_of(&self, id: &ApplyId) -> PathBuf {
        self.trash().join(id.as_str())
    }

    /// Where the trash of one apply holds its files, each below its path in the vault.
    #[must_use]
    pub fn trash_files(&self, id: &ApplyId) -> PathBuf {
        self.trash_of(id).join("files")
    }

    /// `sync/conflicts/`: versions that lost, by conflict.
    #[must_use]
    pub fn conflicts(&self) -> PathBuf {
        self.sync().join("conflicts")
    }

    /// What is known of one conflict.
    #[must_use]
    pub fn conflict_record(&self, id: ConflictId) -> PathBuf {
        self.conflicts().join(id.to_string()).join("conflict.json")
    }

    /// Where the losing version of `path` is kept. Apart from the record, because a vault may have a file of that name.
    #[must_use]
    pub fn conflict_file(&self, id: ConflictId, path: &VaultPath) -> PathBuf {
        path.below(&self.conflicts().join(id.to_string()).join("files"))
    }
}
