//! Transactions of other programs, and commands during which no group is sent or replaced.
//!
//! Decided here: when groups may be put in place, and how long records stay. A transaction needs no
//! remote and no cycle: it is written at once, beside a cycle that may be sending for minutes. The
//! apply lock keeps the two apart while they put files in place. [`crate::vault::transact()`] tells
//! what a crash leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::session::Context;
use super::{Engine, SyncError};
use crate::clock::random;
use crate::fs::{At, found, remove_tree, takes_no_file};
use crate::memories::{
    self, Changes, Collection, MemoriesError, Request, Shelf, StagedRow, StagedRows, read_staged,
};
use crate::merge::{Edit, Expectation, Found, Id};
use crate::model::{Digest, FileKind, Groups, Item, VaultPath};
use crate::plan::Unfit;
use crate::vault::{
    Answer, ApplyId, FileLock, Marker, TransactError, Transaction, answered, check_id, current, transact,
};

/// Cause why groups wait while a command runs.
pub(crate) const HELD: &str =
    "`cogzy-vault hold -- COMMAND` runs a command that may write it, or has until a moment ago";

/// Tries of taking the lock. Another look at the vault holds it for a moment; a command holds it
/// longer than these.
const GLANCES: usize = 3;
const GLANCE: Duration = Duration::from_millis(3);
/// Number of transaction records that are always kept, the newest.
const RECORDS: usize = 1000;
/// Age at which others go. A program that asks again for its answer does it sooner, and no jump of
/// the clock makes a fresh one look that old.
const ANSWERED_MS: u64 = 2 * 24 * 3600 * 1000;
/// Age at which the copies of a transaction that a crash cut short are removed. No jump of the
/// clock makes a fresh copy look that old.
const ABANDONED_MS: u64 = 7 * 24 * 3600 * 1000;

/// What is expected of memories and changed in them, by group.
pub type ChangesByGroup = BTreeMap<String, (Vec<Expectation>, Vec<Edit>)>;

/// A transaction of memories that is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    transaction: Transaction,
    changes: ChangesByGroup,
}

/// Result of such a transaction.
pub(super) type Written = Result<Answer, Arc<MemoriesError>>;

/// The right to put groups in place.
#[derive(Debug)]
pub(crate) enum GroupsRight {
    /// No command runs. The lock keeps one from beginning; a simulated disk has none.
    Free(#[expect(dead_code, reason = "held until it is dropped")] Option<FileLock>),
    /// A command runs under `hold`, or did within the settle window.
    Held,
}

impl GroupsRight {
    pub(crate) const fn is_held(&self) -> bool {
        matches!(self, Self::Held)
    }
}

impl Engine {
    /// Writes a transaction of another program into the vault. Blocks.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn transact(&self, request: &Transaction) -> Result<Answer, TransactError> {
        self.context.clear_replaced();
        let Context { layout, settings, .. } = &self.context;
        let (id, now_ms) = self.new_apply();
        let answer = transact(self.context.fs(), layout, &settings.filter, request, &id, now_ms)?;
        tracing::info!(
            transaction = request.id,
            source = request.source,
            files = answer.files.len(),
            "written"
        );
        Ok(answer)
    }

    /// Changes memories in the groups of these names, in a transaction that may change other files,
    /// too. Blocks. Those that are asked for while one is being put in place are put in place as
    /// one after it. `staged` are vectors that stand below `sync/incoming/`; their files are taken
    /// away once the transaction is carried out.
    ///
    /// # Errors
    /// See [`MemoriesError`].
    pub fn write_memories(
        &self,
        transaction: Transaction,
        mut changes: ChangesByGroup,
        staged: &StagedRows,
    ) -> Result<Answer, MemoriesError> {
        if let Some(answer) = self.with_staged(&transaction.id, &mut changes, staged)? {
            return Ok(answer);
        }
        let answer = self.gather(transaction, changes)?;
        let (fs, incoming) = (self.context.fs(), self.context.layout.incoming());
        for StagedRow { file, .. } in staged.values() {
            let path = file.below(&incoming);
            found(fs.remove_file(&path)).at("remove", &path).map_err(TransactError::from)?;
        }
        Ok(answer)
    }

    /// Adds vectors that stand below `sync/incoming/` to the changes of their memories. The answer,
    /// if the transaction was carried out before: then these files are gone.
    fn with_staged(
        &self,
        id: &str,
        changes: &mut ChangesByGroup,
        staged: &StagedRows,
    ) -> Result<Option<Answer>, MemoriesError> {
        if staged.is_empty() {
            return Ok(None);
        }
        let (fs, layout) = (self.context.fs(), &self.context.layout);
        Marker::read_joined(fs, layout).map_err(TransactError::from)?;
        check_id(id)?;
        if let Some(answer) = answered(fs, layout, id)? {
            return Ok(Some(answer));
        }
        let mut vectors = match read_staged(fs, layout, staged) {
            Ok(vectors) => vectors,
            // The same transaction may have been carried out just now.
            Err(error) => return Ok(Some(answered(fs, layout, id)?.ok_or(error)?)),
        };
        for (group, (_, edits)) in changes {
            for Edit { id, put } in edits {
                let vector = vectors.remove(&(group.clone(), id.clone()));
                if let (Some(put), Some(vector)) = (put, vector) {
                    put.vector = Some(vector);
                }
            }
        }
        Ok(None)
    }

    fn gather(&self, transaction: Transaction, changes: ChangesByGroup) -> Result<Answer, MemoriesError> {
        let asked = Asked { transaction, changes };
        let alike = |taken: &[Asked], next: &Asked| {
            let all = || taken.iter().chain([next]);
            let is_new = taken.iter().all(|one| one.transaction.id != next.transaction.id);
            is_new && !all().any(|one| one.transaction.concerns_files())
        };
        let result = self.gathered.submit(asked, alike, |asked| self.write_together(asked));
        let lost = || Err(TransactError::Busy("it was cut short".to_owned()).into());
        result.map_or_else(lost, |result| {
            result.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(MemoriesError::Shared))
        })
    }

    /// Carries out transactions of memories one after the other, and puts them in place as one.
    fn write_together(&self, asked: Vec<Asked>) -> Vec<Written> {
        let mut collections = BTreeMap::new();
        let requests = asked.into_iter().map(|Asked { transaction, changes }| {
            let changes = changes.into_iter().map(|(name, (expected, edits))| {
                let found = || self.collection(&name).map_err(Arc::new);
                let collection = collections.entry(name.clone()).or_insert_with(found).clone()?;
                Ok(Changes { collection, expected, edits })
            });
            Ok(Request { changes: changes.collect::<Result<_, Arc<_>>>()?, transaction })
        });
        let mut results: Vec<Result<Request, _>> = requests.collect();
        self.context.clear_replaced();
        let taken: Vec<Request> =
            results.iter().filter_map(|request| request.as_ref().ok()).cloned().collect();
        let (id, now_ms) = self.new_apply();
        let Context { layout, settings, .. } = &self.context;
        let place = memories::Place { fs: self.context.fs(), layout, filter: &settings.filter };
        let mut answers = memories::write_together(place, &taken, &id, now_ms).into_iter();
        for (Request { transaction, .. }, answer) in taken.iter().zip(answers.as_slice()) {
            if let Ok(answer) = answer {
                let (id, source, files) = (&transaction.id, &transaction.source, answer.files.len());
                tracing::info!(transaction = id, source, files, together = taken.len(), "memories written");
            }
        }
        let none = || Arc::new(TransactError::Busy("it was not answered".to_owned()).into());
        let answer = |request: Result<Request, _>| request.and_then(|_| answers.next().ok_or_else(none)?);
        results.drain(..).map(answer).collect()
    }

    /// Finds memories of a group by id. Blocks.
    ///
    /// # Errors
    /// See [`MemoriesError`].
    pub fn memories(
        &self,
        group: &str,
        ids: &BTreeSet<Id>,
        vectors: bool,
    ) -> Result<Vec<Found>, MemoriesError> {
        let (fs, layout) = (self.context.fs(), &self.context.layout);
        let collection = self.collection(group)?;
        let lock =
            FileLock::of_one_generation(fs, layout).map_err(TransactError::from)?.ok_or_else(|| {
                TransactError::Busy("files are being put in place, or that was cut short".to_owned())
            })?;
        let shelf = Shelf::open(fs, layout, collection, vectors)?;
        // Others may put new files in the place of those that are open.
        drop(lock);
        shelf.find(ids)
    }

    /// Name of a new apply, and the time in milliseconds since the Unix epoch.
    fn new_apply(&self) -> (ApplyId, i64) {
        let ports = &self.context.ports;
        let now_ms = ports.clock.now_ms();
        let id = ApplyId::new(now_ms, random(ports.entropy.as_ref()));
        (id, i64::try_from(now_ms).unwrap_or(i64::MAX))
    }

    pub(super) fn collection(&self, group: &str) -> Result<Collection, MemoriesError> {
        let (fs, layout) = (self.context.fs(), &self.context.layout);
        let marker = Marker::read_joined(fs, layout).map_err(TransactError::from)?;
        Ok(Collection::named(fs, layout, marker.vault, group)?)
    }

    /// Digest of the file at a path now. Blocks.
    ///
    /// # Errors
    /// See [`TransactError`].
    pub fn digest_at(&self, path: &VaultPath) -> Result<Option<Digest>, TransactError> {
        current(self.context.fs(), &self.context.layout, path)
    }
}

impl Context {
    /// Clears away leftovers of transactions: old answers, and the copies of those that a crash cut
    /// short. `now` is the time by which ages are measured.
    pub(crate) fn tidy_transactions(&self, now: u64) -> Result<(), SyncError> {
        let records = self.names_in(&self.layout.transactions())?;
        if records.len() > RECORDS {
            let touched = |path: PathBuf| {
                let stat = self.fs().lstat(&path).ok()?;
                Some((u64::try_from(stat.mtime_ms()).ok()?, path))
            };
            // The record of a transaction says what goes as one until all of it is sent.
            let bound = self.names_in(&self.layout.together())?;
            for path in outlived(records.into_iter().filter_map(touched).collect(), &bound, now) {
                self.fs().remove_file(&path).at("remove", &path)?;
            }
        }
        for path in self.names_in(&self.layout.incoming())? {
            let ours =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_prefix('.'));
            let id: Option<ApplyId> = ours.and_then(|name| name.parse().ok());
            let Some(stat) = found(self.fs().lstat(&path)).at("look at", &path)? else { continue };
            // What a program has put there has the time of its last change: a copy may keep an old
            // `mtime`. A program that has not named it by then is dead.
            let put_ms = u64::try_from(stat.ctime_ns / 1_000_000).unwrap_or(u64::MAX);
            if now.saturating_sub(id.map_or(put_ms, |id| id.ms())) <= ABANDONED_MS {
                continue;
            }
            match stat.kind {
                FileKind::Folder => remove_tree(self.fs(), &path)?,
                _ => self.fs().remove_file(&path).at("remove", &path)?,
            }
        }
        Ok(())
    }

    fn names_in(&self, folder: &Path) -> Result<Vec<PathBuf>, SyncError> {
        let names = found(self.fs().read_dir(folder)).at("list", folder)?.unwrap_or_default();
        Ok(names.into_iter().map(|(name, _)| folder.join(name)).collect())
    }

    /// Asks for the right to put groups in place.
    pub(crate) fn groups_right(&self) -> Result<GroupsRight, SyncError> {
        if !self.fs().is_shared() {
            return Ok(GroupsRight::Free(None));
        }
        for _ in 0..GLANCES {
            let lock = match FileLock::try_take(self.fs(), &self.layout.hold_lock()) {
                // Where the file cannot be made, no command has made it either.
                Err(error) if takes_no_file(&error.source) => return Ok(GroupsRight::Free(None)),
                taken => taken?,
            };
            if let Some(lock) = lock {
                let held = self.held_lately()?;
                return Ok(if held { GroupsRight::Held } else { GroupsRight::Free(Some(lock)) });
            }
            // No event tells when a `flock` is released; nine milliseconds at most, so the thread
            // may block.
            std::thread::sleep(GLANCE);
        }
        Ok(GroupsRight::Held)
    }

    /// True if a command that wrote groups has ended within the settle window: its first files have
    /// settled before its last ones, and must not go without those.
    fn held_lately(&self) -> Result<bool, SyncError> {
        let path = self.layout.hold_lock();
        let stat = self.fs().lstat(&path).at("look at", &path)?;
        let ago = self.ports.clock.now_ns().saturating_sub(stat.mtime_ns);
        let settle = i64::try_from(self.settings.settle.as_nanos()).unwrap_or(i64::MAX);
        // A time in the future tells nothing.
        Ok(stat.size > 0 && (0..settle).contains(&ago))
    }
}

/// The records, each with its time, that are no longer needed at `now`: old ones beyond the newest,
/// unless one of the notes in `bound` has their name.
fn outlived(mut records: Vec<(u64, PathBuf)>, bound: &[PathBuf], now: u64) -> Vec<PathBuf> {
    records.sort_unstable_by(|one, other| other.cmp(one));
    let bound: BTreeSet<_> = bound.iter().filter_map(|note| note.file_name()).collect();
    let is_old = |touched: u64| now.saturating_sub(touched) > ANSWERED_MS;
    let is_free = |path: &Path| path.file_stem().is_none_or(|name| !bound.contains(name));
    let beyond = records.into_iter().skip(RECORDS);
    beyond.filter(|(touched, path)| is_old(*touched) && is_free(path)).map(|(_, path)| path).collect()
}

/// Lets all groups wait for the command that runs.
pub(crate) fn held_by_command(groups: &Groups, unfit: &mut Unfit) {
    for group in groups.definitions() {
        unfit.here.insert(Item::Group(group.name.clone()), HELD.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_answers_stay_and_so_does_one_whose_files_are_not_all_sent() {
        const NOW: u64 = 10 * ANSWERED_MS;
        let record = |n: usize| PathBuf::from(format!("transactions/{n}.json"));
        let of_age = |age: u64| move |n| (NOW - age, record(n));
        let old: Vec<_> = (0..RECORDS + 1).map(of_age(2 * ANSWERED_MS)).collect();
        assert_eq!(
            outlived(old[1..].to_vec(), &[], NOW),
            [] as [PathBuf; 0],
            "they are no more than always stay"
        );
        let fresh = (5000..5000 + RECORDS).map(of_age(ANSWERED_MS));
        let fresh: Vec<_> = fresh.chain([5, 3, 4].map(of_age(ANSWERED_MS + 1))).collect();
        assert_eq!(outlived(fresh.clone(), &["together/4".into()], NOW), [record(5), record(3)]);
        let fresh: Vec<_> = fresh.into_iter().take(RECORDS).chain([of_age(ANSWERED_MS)(1)]).collect();
        assert_eq!(outlived(fresh, &[], NOW), [] as [PathBuf; 0], "it may be asked for again");
        let new = [old, vec![(NOW, record(7000))]].concat();
        let gone = outlived(new, &[], NOW);
        assert!(gone.len() == 2 && !gone.contains(&record(7000)), "{gone:?}");
    }
}
