//! Transactions of other programs, and commands under whose hands nothing is sent.
//!
//! A transaction needs no remote and no cycle: it is written here and now, beside a cycle that may be sending for minutes. The apply
//! lock keeps the two apart where both put files in place.

use std::io;
use std::path::{Path, PathBuf};

use super::{Engine, SyncError};
use crate::clock::random;
use crate::model::{Digest, Groups, Item, VaultPath};
use crate::plan::Unfit;
use crate::vault::{Answer, ApplyId, FileLock, IoAt, TransactError, Transaction, current, transact, trash};

/// Why groups wait while a command runs.
pub(super) const HELD: &str =
    "`cogzy-vault hold` runs a command that may write it, or has until a moment ago";

const GLANCES: usize = 3;
const GLANCE: std::time::Duration = std::time::Duration::from_millis(3);
/// Records of transactions that are kept at least; of more, those go that are older than the trash is kept.
const RECORDS: usize = 1000;
/// Copies that a crash has left are cleared away after this long.
const ABANDONED_MS: u64 = 24 * 3600 * 1000;

impl Engine {
    /// Clears away what transactions have left: answers that nobody asks for any more, copies of those that a crash cut short.
    pub(super) fn tidy_transactions(&self) -> Result<(), SyncError> {
        let now = self.ports.clock.now_ms();
        let keep = u64::try_from(self.settings.trash.as_millis()).unwrap_or(u64::MAX);
        let old = |path: &Path, age: u64| {
            let stat = self.fs().lstat(path).ok();
            let touched = stat.and_then(|stat| u64::try_from(stat.mtime_ms()).ok());
            touched.is_some_and(|touched| now.saturating_sub(touched) > age)
        };
        let records = self.names_in(&self.layout.transactions())?;
        if records.len() > RECORDS {
            for path in records.into_iter().filter(|path| old(path, keep)) {
                self.fs().remove_file(&path).map_err(|source| IoAt { operation: "remove", path, source })?;
            }
        }
        for path in self.names_in(&self.layout.incoming())? {
            let ours =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.'));
            let id: Option<ApplyId> = ours.and_then(|name| name.parse().ok());
            if id.is_some_and(|id| now.saturating_sub(id.ms()) > ABANDONED_MS) {
                trash::remove_tree(self.fs(), &path)?;
            }
        }
        Ok(())
    }

    fn names_in(&self, folder: &Path) -> Result<Vec<PathBuf>, SyncError> {
        match self.fs().read_dir(folder) {
            Ok(names) => Ok(names.into_iter().map(|(name, _)| folder.join(name)).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(IoAt { operation: "list", path: folder.to_owned(), source }.into()),
        }
    }

    /// Writes a transaction of another program into the vault. Blocks.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn transact(&self, request: &Transaction) -> Result<Answer, TransactError> {
        let now_ms = self.ports.clock.now_ms();
        let id = ApplyId::new(now_ms, random(self.ports.entropy.as_ref()));
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let answer = transact(self.fs(), &self.layout, &self.settings.filter, request, &id, now_ms)?;
        tracing::info!(
            transaction = request.id,
            source = request.source,
            files = answer.files.len(),
            "written"
        );
        Ok(answer)
    }

    /// What stands at a path now. Blocks.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn digest_at(&self, path: &VaultPath) -> Result<Option<Digest>, TransactError> {
        current(self.fs(), &self.layout, path)
    }

    /// The right to put groups in place; none while a command runs under `hold`.
    pub(super) fn unless_held(&self) -> Result<Option<Option<FileLock>>, SyncError> {
        if !self.fs().is_shared() {
            return Ok(Some(None));
        }
        // Another look at the vault takes it for a moment, too; a command has it for longer.
        for _ in 0..GLANCES {
            if let Some(lock) = FileLock::try_take(&self.layout.hold_lock())? {
                return Ok((!self.held_lately()?).then_some(Some(lock)));
            }
            // Nobody tells when a `flock` is given back; nine milliseconds at most, so the thread may stand still.
            std::thread::sleep(GLANCE);
        }
        Ok(None)
    }

    /// Whether a command that wrote groups has ended within the settle window: what it wrote first has settled before what it wrote
    /// last, and must not go without it.
    fn held_lately(&self) -> Result<bool, SyncError> {
        let path = self.layout.hold_lock();
        let stat = self.fs().lstat(&path).map_err(|source| IoAt { operation: "look at", path, source })?;
        let ago = self.ports.clock.now_ns().saturating_sub(stat.mtime_ns);
        let settle = i64::try_from(self.settings.settle.as_nanos()).unwrap_or(i64::MAX);
        // A time in the future says nothing.
        Ok(stat.size > 0 && (0..settle).contains(&ago))
    }
}

/// Has all groups wait for the command that runs.
pub(super) fn held_by_command(groups: &Groups, unfit: &mut Unfit) {
    for group in groups.definitions() {
        unfit.here.insert(Item::Group(group.name.clone()), HELD.to_owned());
    }
}
