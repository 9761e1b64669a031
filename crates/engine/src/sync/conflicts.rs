//! Losing versions on this disk: `sync/conflicts/<id>/`, a record and the files.
//!
//! The apply that displaces a losing version moves it there, and it stays until the conflict is
//! resolved. The next commit lists it and uploads its bytes; until then it is *unkept*. The unkept
//! ones are read off the disk each time, so a crash between the two forgets nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::merging::waits_for_a_word;
use super::recovery::part_of;
use super::session::Context;
use super::{Engine, SyncError};
use crate::fs::{self, At, found};
use crate::log::Snapshot;
use crate::model::{Conflict, ConflictId, Content, DeviceId, Entry, Item, Keep, Kept, VaultPath};
use crate::vault::{Marker, trash};

/// Decided conflicts of a state.
pub(crate) type Decided = BTreeMap<ConflictId, Keep>;

/// Longest record, in bytes.
const MAX_RECORD: u64 = 64 << 20;

/// A losing version whose bytes are on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalConflict {
    /// Version that lost.
    pub conflict: Conflict,
}

/// An open conflict: one that the vault lists, or one of this disk that no commit lists yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedConflict {
    /// The conflict.
    #[serde(flatten)]
    pub conflict: Conflict,
    /// True if the losing version is on this disk.
    pub here: bool,
    /// Cause for which this device has not merged it with the version that stands, if it has tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmerged: Option<String>,
    /// The group of which the losing version holds one file without the others: it cannot be put
    /// back, since it would not match them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<String>,
}

impl ListedConflict {
    /// True if a person who asks for a merge may get one, as far as this device knows.
    #[must_use]
    pub fn may_be_merged(&self) -> bool {
        self.part_of.is_none() && self.unmerged.as_deref().is_none_or(waits_for_a_word)
    }
}

/// Text of a conflict's record.
pub(crate) fn to_record(conflict: &Conflict) -> Result<String, SyncError> {
    let text = serde_json::to_string_pretty(conflict);
    text.map_err(|error| SyncError::Damaged { path: "conflict.json".into(), why: error.to_string() })
}

impl Engine {
    /// Losing versions on this disk, by conflict.
    ///
    /// # Errors
    /// Errors of the disk; records that do not parse.
    pub fn local_conflicts(&self) -> Result<BTreeMap<ConflictId, LocalConflict>, SyncError> {
        self.context.local_conflicts()
    }

    /// This device's id and name.
    ///
    /// # Errors
    /// If there is no vault.
    pub fn this_device(&self) -> Result<(DeviceId, &str), SyncError> {
        let marker = Marker::read(self.context.fs(), &self.context.layout)?;
        Ok((marker.device, &self.context.settings.device_name))
    }

    /// All open conflicts, by id: those that the last agreed commit lists, and those that only this
    /// disk keeps. Asks the remote for nothing that the cache can answer.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn conflicts(&mut self) -> Result<Vec<ListedConflict>, SyncError> {
        let snapshot = self.agreed_snapshot().await?;
        self.context.list_conflicts(&snapshot)
    }
}

impl Context {
    /// Conflicts that `snapshot` lists, and those that only this disk keeps.
    pub(crate) fn list_conflicts(&self, snapshot: &Snapshot) -> Result<Vec<ListedConflict>, SyncError> {
        let local = self.local_conflicts()?;
        let listed = |id: &ConflictId, conflict: &Conflict| ListedConflict {
            conflict: conflict.told(),
            here: local.contains_key(id),
            unmerged: self.why_unmerged(conflict, snapshot),
            part_of: part_of(conflict, snapshot).map(|(_, group)| group),
        };
        let known = snapshot.conflicts.iter();
        let mut all: BTreeMap<ConflictId, ListedConflict> =
            known.map(|(id, conflict)| (*id, listed(id, conflict))).collect();
        for (id, kept) in &local {
            if !snapshot.resolved.contains_key(id) {
                all.entry(*id).or_insert_with(|| listed(id, &kept.conflict));
            }
        }
        Ok(all.into_values().collect())
    }

    /// See [`Engine::local_conflicts`].
    pub(crate) fn local_conflicts(&self) -> Result<BTreeMap<ConflictId, LocalConflict>, SyncError> {
        let folder = self.layout.conflicts();
        let names = found(self.fs().read_dir(&folder)).at("list", &folder)?.unwrap_or_default();
        let mut conflicts = BTreeMap::new();
        // Another program put names there that are no ids.
        for id in names.iter().filter_map(|(name, _)| name.to_str()?.parse::<ConflictId>().ok()) {
            let path = self.layout.conflict_record(id);
            // Without a record, an apply was cut short here; that is finished before anything else.
            let Some(bytes) = found(fs::read(self.fs(), &path, MAX_RECORD)).at("read", &path)? else {
                continue;
            };
            let damaged = |why: String| SyncError::Damaged { path: path.clone(), why };
            let conflict: Conflict =
                serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
            if conflict.id != id || Conflict::id_of(&conflict.item, &conflict.files) != id {
                return Err(damaged("it is not the record of this conflict".to_owned()));
            }
            conflicts.insert(id, LocalConflict { conflict });
        }
        Ok(conflicts)
    }

    /// Losing versions that no commit lists yet.
    pub(crate) fn unkept(&self, remote: &Snapshot) -> Result<Vec<LocalConflict>, SyncError> {
        let listed = |id: &ConflictId| remote.conflicts.contains_key(id) || remote.resolved.contains_key(id);
        let all = self.local_conflicts()?.into_iter();
        Ok(all.filter(|(id, _)| !listed(id)).map(|(_, local)| local).collect())
    }

    /// Looks again at displaced files: a program that still had one open may have written to it
    /// since. A changed file becomes a conflict copy. Returns the number of those; none while
    /// another program looks. `decided` are the conflicts that are decided.
    pub(crate) fn recheck_trash(&self, decided: &Decided) -> Result<usize, SyncError> {
        let rechecked = trash::in_turn(self.fs(), &self.layout, || self.recheck_trash_alone(decided))?;
        Ok(rechecked.unwrap_or_default())
    }

    /// Removes files that programs have replaced by transactions, once they have settled. It waits
    /// for no cycle to come to its end: an upload can take a day, and so can a pause.
    pub(crate) fn clear_replaced(&self) {
        if !self.is_here() {
            return;
        }
        let (now, settle, threads) = (self.ports.clock.now_ns(), self.settings.settle, self.settings.threads);
        match trash::clear_replaced(self.fs(), &self.layout, now, settle, threads) {
            Ok(0) => {}
            Ok(gone) => tracing::debug!(gone, "files that transactions have replaced are gone"),
            Err(error) => tracing::warn!(%error, "replaced files could not be looked at again"),
        }
    }

    /// False where the vault is away, or another one stands in its place.
    fn is_here(&self) -> bool {
        Marker::read_joined(self.fs(), &self.layout).is_ok()
    }

    /// The same as [`Context::recheck_trash`], while no cycle runs that would report an error.
    pub(crate) fn recheck_trash_meanwhile(&self, decided: &Decided) {
        if !self.is_here() {
            // The look at the vault says so.
            return;
        }
        match self.recheck_trash(decided) {
            Ok(0) => {}
            Ok(kept) => tracing::info!(kept, "displaced files were written to; they are kept as conflicts"),
            Err(error) => tracing::warn!(%error, "displaced files could not be looked at again"),
        }
    }

    fn recheck_trash_alone(&self, decided: &Decided) -> Result<usize, SyncError> {
        let now = self.ports.clock.now_ns();
        let mut kept = 0;
        let (settle, threads) = (self.settings.settle, self.settings.threads);
        for rechecked in trash::recheck(self.fs(), &self.layout, now, settle, threads)? {
            let mut stays = !rechecked.meant;
            for changed in &rechecked.changed {
                match &changed.path {
                    Some(path) => {
                        self.keep_displaced(path, changed, decided)?;
                        kept += 1;
                    }
                    None => {
                        stays = true;
                        tracing::warn!(file = %changed.place.display(), "a displaced file changed and stays where it is");
                    }
                }
            }
            trash::acknowledge(self.fs(), &self.layout, &rechecked.id)?;
            if !stays {
                // An app that saves a large matrix every minute would fill the disk with its old
                // ones.
                trash::remove(self.fs(), &self.layout, &rechecked.id)?;
            }
        }
        Ok(kept)
    }

    fn keep_displaced(
        &self,
        path: &VaultPath,
        changed: &trash::Changed,
        decided: &Decided,
    ) -> Result<(), SyncError> {
        let Content { digest, size } = changed.content;
        let stat = self.fs().lstat(&changed.place).at("look at", &changed.place)?;
        let entry = Entry { digest, size, mtime_ms: stat.mtime_ms(), mode: stat.mode, rows: None };
        // A conflict of one file, also in a group: the other members' bytes of that moment are
        // unknown.
        let item = Item::File(path.clone());
        let files = vec![Kept { path: path.clone(), entry: Some(entry) }];
        let conflict = Conflict::new(item, files, None).undecided(decided);
        let (record, file) =
            (self.layout.conflict_record(conflict.id), self.layout.conflict_file(conflict.id, path));
        for folder in [record.parent(), file.parent()].into_iter().flatten() {
            fs::create_dir_durable(self.fs(), folder, &self.layout.sync()).at("create", folder)?;
        }
        fs::replace(self.fs(), &record, to_record(&conflict)?.as_bytes(), 0o600).at("write", &record)?;
        match fs::move_new(self.fs(), &changed.place, &file) {
            // An earlier run was cut short right here.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            done => done.at("move", &changed.place)?,
        }
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        Ok(self.fs().sync_dir(folder).at("sync", folder)?)
    }
}
