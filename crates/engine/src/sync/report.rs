//! Report of a cycle: for `sync --json`, the log and the status.
//!
//! Nothing is written; a crash leaves nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::log::Aside;
use crate::merge::Clash;
use crate::model::{Commit, Conflict, ConflictId, Holdings, Item, VaultPath};
use crate::plan::Hold;
use crate::remote::Transfer;
use crate::vault::Applied;

/// Result of one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// Generation that is agreed now.
    pub generation: u64,
    /// Files sent.
    pub pushed: usize,
    /// Files fetched.
    pub pulled: usize,
    /// Files deleted here because they were deleted there.
    pub deleted_local: usize,
    /// Files deleted there because they were deleted here.
    pub deleted_remote: usize,
    /// Conflicts kept in this cycle.
    pub conflicts: Vec<ConflictId>,
    /// Groups whose two versions were merged in this cycle, memory by memory.
    pub merged: Vec<Item>,
    /// Clashes in these merges, each with the conflict that keeps what lost.
    pub clashes: Vec<(ConflictId, Clash)>,
    /// Groups that a program saved as it knew them before the last pull.
    pub reverted: Vec<Item>,
    /// Changes that wait for `approve`.
    pub holds: Vec<Hold>,
    /// Paths and items that could not be dealt with, each with its cause.
    pub problems: Vec<Trouble>,
    /// Objects in the bucket that were set aside, or are not believed. The cycle went on without
    /// them.
    pub aside: Vec<Aside>,
    /// Traffic with the remote.
    pub transfer: Transfer,
    /// State of the vault at the end, if it was scanned.
    pub standing: Option<Standing>,
    /// Facts of the vault's groups, if it was scanned.
    pub holdings: Option<Holdings>,
    /// Index of the problems.
    #[serde(skip)]
    pub noted: Noted,
}

/// Index of a report's problems, brought up to date where one is looked for. It says nothing that
/// they do not: all are equal.
#[derive(Debug, Clone, Eq, Default)]
pub struct Noted {
    known: BTreeSet<Trouble>,
    /// Number of the problems in it: the first ones of the report.
    first: usize,
}

impl PartialEq for Noted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// State of a vault at the end of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Standing {
    /// Local files, and their bytes.
    pub here: Amount,
    /// Files that wait to be sent.
    pub waiting: Amount,
    /// Files that are still to be fetched.
    pub coming: Amount,
    /// Open conflicts.
    pub conflicts: usize,
}

/// Something that was left out, and the cause.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Trouble {
    /// Path, or `group:` and a group's name.
    pub path: String,
    /// The same, for the engine's own use.
    #[serde(skip)]
    pub about: About,
    /// Cause.
    pub message: String,
    /// Condition under which it gets through.
    pub weight: Weight,
}

/// Subject of a trouble.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum About {
    /// A name on disk that is no path of a vault, or a folder of our own.
    #[default]
    Other,
    /// A path that could not be judged.
    Path(VaultPath),
    /// An item.
    Item(Item),
}

impl Trouble {
    /// Trouble with a whole item.
    #[must_use]
    pub fn of(item: &Item, message: impl Into<String>, weight: Weight) -> Self {
        let path = match item {
            Item::File(path) => path.to_string(),
            Item::Group(_) => item.to_string(),
        };
        Self { path, about: About::Item(item.clone()), message: message.into(), weight }
    }
}

/// Condition under which something that was left out gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// None: it was busy or had not settled, and the next cycle looks again.
    Passing,
    /// The user has to act: it cannot be read, or its name cannot stand everywhere.
    Lasting,
    /// Never: it is no file of the vault, but a link or a pipe.
    Skipped,
    /// The user has to put the files back: a link or a pipe stands where synced files were.
    Blocked,
    /// A disk has to be mounted, or a person has to say what becomes of the files on it.
    Unmounted,
    /// The files of a group do not fit together. The group is held back until they do: the program
    /// that writes them may not be done.
    Invalid,
    /// The same, for longer than the group may be invalid: an error.
    Overdue,
    /// It is synced all the same: a group whose definition wants it although its files do not fit
    /// together, or a file that could not be given all attributes of the one before it.
    Warned,
    /// It is synced without its derived members, which were not computed again: they stay here.
    Stale,
}

impl Weight {
    /// True if something that belongs to the vault is not synced because of it.
    #[must_use]
    pub const fn left_out(self) -> bool {
        !matches!(self, Self::Skipped | Self::Warned | Self::Stale)
    }
}

impl Report {
    /// True if anything was written on either side.
    #[must_use]
    pub const fn moved(&self) -> bool {
        self.pushed + self.pulled + self.deleted_local + self.deleted_remote + self.conflicts.len() > 0
    }

    /// True if another cycle after the settle window may get further.
    #[must_use]
    pub fn again(&self) -> bool {
        self.problems.iter().any(|trouble| trouble.weight == Weight::Passing)
    }

    /// This report, with the counts of an `earlier` cycle of the same run.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        self.pushed += earlier.pushed;
        self.pulled += earlier.pulled;
        self.deleted_local += earlier.deleted_local;
        self.deleted_remote += earlier.deleted_remote;
        self.conflicts.extend(&earlier.conflicts);
        self.merged.extend(earlier.merged.iter().cloned());
        self.clashes.extend(earlier.clashes.iter().cloned());
        self.transfer = self.transfer + earlier.transfer;
        self
    }

    /// Counts the changes that a commit of this device has brought to the remote.
    pub(crate) fn sent(&mut self, commit: &Commit) {
        let deleted = commit.changes.iter().filter(|change| change.entry.is_none()).count();
        self.pushed += commit.changes.len() - deleted;
        self.deleted_remote += deleted;
        self.conflicts.extend(commit.kept.iter().map(|conflict| conflict.id));
    }

    /// Notes that programs wrote to files after these had been replaced: their bytes are kept, and
    /// the next cycle sends them.
    pub(crate) fn displaced_later(&mut self, files: usize) {
        let message =
            format!("{files} files were written to after they had been replaced; that is kept and sent next");
        self.once(of_ours("sync/conflicts", message));
    }

    /// Notes that the trash holds files that are due to go, and that a program may still be writing
    /// to them.
    pub(crate) fn trash_waits(&mut self) {
        self.once(of_ours("sync/trash", "what was just replaced is removed when it has settled"));
    }

    /// Counts a conflict that was merged, of which only the conflicts in `kept` are left.
    pub(crate) fn merged(&mut self, conflict: &Conflict, kept: Vec<ConflictId>) {
        self.conflicts.retain(|id| *id != conflict.id);
        self.conflicts.extend(kept);
        self.merged.push(conflict.item.clone());
    }

    /// Counts the changes that an apply has made here.
    pub(crate) const fn brought(&mut self, applied: &Applied) {
        self.pulled += applied.placed;
        self.deleted_local += applied.removed;
    }

    /// Notes that `item` was left out for now.
    pub(crate) fn wait(&mut self, item: &Item, why: impl Into<String>) {
        self.once(Trouble::of(item, why, Weight::Passing));
    }

    /// Notes a trouble once.
    pub(crate) fn once(&mut self, trouble: Trouble) {
        let Self { problems, noted: Noted { known, first }, .. } = self;
        known.extend(problems.iter().skip(*first).cloned());
        if known.insert(trouble.clone()) {
            problems.push(trouble);
        }
        *first = problems.len();
    }

    /// Forgets the problems that are not to be kept.
    pub(crate) fn keep_problems(&mut self, keep: impl FnMut(&Trouble) -> bool) {
        self.problems.retain(keep);
        self.noted = Noted::default();
    }
}

fn of_ours(folder: &str, message: impl Into<String>) -> Trouble {
    let (path, message) = (folder.to_owned(), message.into());
    Trouble { path, about: About::Other, message, weight: Weight::Passing }
}

/// Files and their bytes, as counted for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Amount {
    /// Files.
    pub files: usize,
    /// Bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_with_a_file_names_its_path_and_one_with_a_group_says_so() {
        let path = |item: &Item| Trouble::of(item, "busy", Weight::Passing).path;
        assert_eq!(path(&Item::File(VaultPath::new("file:d/a").unwrap())), "file:d/a");
        assert_eq!(path(&Item::Group("nodes".to_owned())), "group:nodes");
    }

    #[test]
    fn a_trouble_is_noted_once_whatever_comes_and_goes_beside_it() {
        let trouble = |name: &str| Trouble::of(&Item::Group(name.to_owned()), "busy", Weight::Passing);
        let mut report = Report { problems: vec![trouble("a")], ..Report::default() };
        report.once(trouble("a"));
        report.once(trouble("b"));
        report.problems.push(trouble("c"));
        report.once(trouble("c"));
        assert_eq!(report.problems, ["a", "b", "c"].map(trouble));
        report.keep_problems(|kept| *kept != trouble("b"));
        report.once(trouble("b"));
        report.once(trouble("c"));
        assert_eq!(report.problems, ["a", "c", "b"].map(trouble));
    }
}
