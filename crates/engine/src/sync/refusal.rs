//! Requests that cannot be carried out. A refusal changes nothing.

use std::path::PathBuf;

use super::Advice;
use crate::log::Snapshot;
use crate::model::{ConflictId, Item, Keep, VaultPath};

/// Cause for refusing a request of the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such conflict is open.
    #[error("no conflict {0} is open")]
    NoConflict(ConflictId),
    /// Another device or program decided it first.
    #[error("conflict {id} was decided already: {keep:?} was kept")]
    Decided {
        /// Conflict that was decided.
        id: ConflictId,
        /// Decision that was made.
        keep: Keep,
    },
    /// The version to keep cannot be told from the other one.
    #[error("conflict {}: {why}", .id.short())]
    NoSuchVersion {
        /// Conflict to decide.
        id: ConflictId,
        /// Cause.
        why: String,
    },
    /// The two versions cannot become one.
    #[error("conflict {} cannot be merged, so nothing was changed: {why}", .id.short())]
    NotMerged {
        /// Conflict to decide.
        id: ConflictId,
        /// Cause.
        why: String,
    },
    /// The version that was set aside is one file of a group, without the others.
    #[error("conflict {} holds {path} without the other files of group {group}: put back alone it would not match them, so nothing was changed", .id.short())]
    PartOf {
        /// Conflict to decide.
        id: ConflictId,
        /// The file.
        path: VaultPath,
        /// Name of the group.
        group: String,
    },
    /// An item waits here for something else.
    #[error("{item} is not at rest, so nothing was changed: {why}")]
    NotAtRest {
        /// The item.
        item: Item,
        /// Cause.
        why: String,
    },
    /// No name is free for the second copy.
    #[error("{0} cannot be kept beside the other version: every name there belongs to a group")]
    NoPlaceBeside(VaultPath),
    /// No such generation.
    #[error("there is no generation {wanted}: the history goes from {first} to {last}")]
    NoGeneration {
        /// Requested generation.
        wanted: String,
        /// Oldest generation.
        first: u64,
        /// Newest generation.
        last: u64,
    },
    /// Nothing was committed at that time yet.
    #[error("nothing had been committed by that time: the first generation is younger")]
    NothingYet,
    /// Nothing was ever committed.
    #[error("the backup holds no generation yet")]
    Empty,
    /// The path is in neither state.
    #[error("{path}: neither generation {generation} nor the newest one has it")]
    NoPath {
        /// Requested path.
        path: VaultPath,
        /// Requested generation.
        generation: u64,
    },
    /// The path is not in the state that is asked for.
    #[error("{path}: generation {generation} does not have it")]
    NoPathThen {
        /// Requested path.
        path: VaultPath,
        /// Requested generation.
        generation: u64,
    },
    /// Later changes build on the generation that is to be taken back.
    #[error("generation {generation} cannot be taken back by itself, later changes touch the same files: {}", list(.paths))]
    BuiltUpon {
        /// Generation to take back.
        generation: u64,
        /// Paths of later changes.
        paths: Vec<VaultPath>,
    },
    /// The generation to take back set no file and deleted none.
    #[error("generation {0} changed no file, so there is nothing to take back")]
    ChangedNothing(u64),
    /// Other devices have made generations that this device has not brought yet.
    #[error(
        "other devices have made generations up to {newest} since generation {known}, the newest that this device knew: nothing was taken back"
    )]
    NotNewest {
        /// Generation that was agreed here last.
        known: String,
        /// Newest generation.
        newest: u64,
    },
    /// A file stands where a folder is needed, or a folder where a file is needed.
    #[error("{path} has no place: {other} stands there now")]
    InTheWay {
        /// Path to set.
        path: VaultPath,
        /// Path that stands in its way.
        other: VaultPath,
    },
    /// The files of a group would not fit together.
    #[error("the files of group {group} would not fit together, so nothing was changed: {faults}")]
    Unfit {
        /// Name of the group.
        group: String,
        /// Faults of its files, with the counts.
        faults: String,
    },
    /// A brake: the change looks like an accident.
    #[error("this looks like an accident, so nothing was changed: {}", .0.join("; "))]
    Braked(Vec<String>),
    /// The history names a content whose bytes are lost.
    #[error("{path}: its bytes of that time are no longer in the bucket")]
    Gone {
        /// Path of the content.
        path: VaultPath,
    },
    /// Retention has let the contents of that time go.
    #[error(
        "generation {generation} is no longer kept, so nothing was changed: the backup keeps the generations from {first} on, and {path} of that time is gone"
    )]
    Expired {
        /// Path of a content that is gone.
        path: VaultPath,
        /// Generation that is not kept.
        generation: u64,
        /// The first generation that is.
        first: u64,
    },
    /// A file would be overwritten.
    #[error("{} exists already: nothing is overwritten", .0.display())]
    Exists(PathBuf),
    /// A target holds something.
    #[error("{} is not empty: what is written there could be taken for what its programs wrote", .0.display())]
    NotEmpty(PathBuf),
    /// The target is no folder, and none can be made there.
    #[error("{} cannot be written to: {why}", .folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
        /// Cause.
        why: String,
    },
    /// The target lies in the vault.
    #[error("{} lies inside the vault: what is written there would be synced", .0.display())]
    InsideVault(PathBuf),
    /// Files are in use.
    #[error("nothing was changed, for some files cannot be replaced now: {}", .0.join("; "))]
    Busy(Vec<String>),
    /// The vault already has generations, so plain objects cannot become the first.
    #[error(
        "the backup is at generation {0}: plain objects can only become the first generation of a new one"
    )]
    NotNew(u64),
    /// More is lost than a person has agreed to give up, or the backup has changed meanwhile.
    #[error("the backup has changed since it was asked what to give up: nothing was given up")]
    MoreLost,
    /// A pack that is missing was named a moment ago.
    #[error("{0} is missing, but was named less than an hour ago and may still arrive: nothing was given up")]
    MayCome(String),
    /// Devices could not read the commit.
    #[error("{} cannot read that something was given up, so nothing was changed: it takes cogzy-vault {since} there", .devices.join(", "))]
    Behind {
        /// Their names.
        devices: Vec<String>,
        /// The first version that can.
        since: &'static str,
    },
    /// There is nothing to take over.
    #[error("{0} holds no plain objects that could be taken over")]
    NothingPlain(String),
    /// One of the objects to be taken over cannot be.
    #[error("{key} cannot be taken over: {why}")]
    BadObject {
        /// Key of the object.
        key: String,
        /// Cause.
        why: String,
    },
}

fn list(paths: &[VaultPath]) -> String {
    const MOST: usize = 5;
    let shown: Vec<&str> = paths.iter().take(MOST).map(VaultPath::as_str).collect();
    let more = paths.len().saturating_sub(MOST);
    let end = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{end}", shown.join(", "))
}

impl Refusal {
    /// The cause for which a content of an earlier state is not there any more.
    pub(crate) fn gone(path: &VaultPath, from: Option<&Snapshot>, head: &Snapshot) -> Self {
        let (path, first) = (path.clone(), head.horizon);
        match from.map(Snapshot::seq).filter(|generation| *generation < first) {
            Some(generation) => Self::Expired { path, generation, first },
            None => Self::Gone { path },
        }
    }

    /// Advice to the caller.
    #[must_use]
    pub const fn advice(&self) -> Advice {
        match self {
            Self::Braked(_) | Self::Busy(_) | Self::Empty | Self::NotAtRest { .. } => Advice::Stopped,
            Self::Gone { .. } => Advice::Corrupt,
            _ => Advice::Usage,
        }
    }

    /// The next command, in words.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::NoConflict(_) | Self::Decided { .. } => "cogzy-vault conflicts",
            Self::NoSuchVersion { .. } => {
                "`cogzy-vault conflicts` lists it, and `cogzy-vault conflicts show ID` tells whose the two versions are; `--keep aside` and `--keep stands` name them"
            }
            Self::NotMerged { .. } => {
                "`cogzy-vault conflicts show ID` tells how the two versions differ; keep one of them with `cogzy-vault conflicts resolve ID --keep this` (or other, both)"
            }
            Self::PartOf { .. } => {
                "`cogzy-vault conflicts resolve ID --keep both` puts it beside the group, under a name that tells its origin (an index is not kept: it is computed again); with --keep stands it is given up. Before `--all`, decide this one"
            }
            Self::NotAtRest { .. } => {
                "`cogzy-vault sync` tells what it waits for; then run the same command again"
            }
            Self::NoPlaceBeside(_) => {
                "keep one of the two; the other stays in the history: `cogzy-vault conflicts show ID --to DIR` writes it out"
            }
            Self::NotNewest { .. } => {
                "`cogzy-vault history` lists them: name the one to take back, `cogzy-vault undo N`"
            }
            Self::ChangedNothing(_)
            | Self::Expired { .. }
            | Self::NoGeneration { .. }
            | Self::NothingYet
            | Self::NoPath { .. }
            | Self::NoPathThen { .. } => "cogzy-vault history",
            Self::Empty => {
                "check `remote` with `cogzy-vault config show`; `cogzy-vault sync` fills a new backup"
            }
            Self::BuiltUpon { .. } => {
                "run it with `--force` to take it back all the same: what stands now is then kept as a conflict; or put single files back with `cogzy-vault restore --generation N PATH`"
            }
            Self::InTheWay { .. } => {
                "move what stands there away and sync, or restore the folder that both are in"
            }
            Self::Unfit { .. } => {
                "choose another generation or version, or name single paths outside of that group; `cogzy-vault export DIR --generation N` and `cogzy-vault conflicts show ID --to DIR` write these files out, to be mended"
            }
            Self::Braked(_) => "if you mean it, run the same command with `--yes`",
            Self::Gone { .. } => "run `cogzy-vault verify --deep --repair`, or choose another generation",
            Self::NoFolder { .. } => "choose another folder, where you may write",
            Self::Exists(_) => "choose an empty folder",
            Self::NotEmpty(_) => {
                "choose an empty folder, or a new one; `--force` writes beside what is there, and overwrites nothing"
            }
            Self::InsideVault(_) => "choose a folder outside the vault",
            Self::Busy(_) => {
                "close the programs that write there, make unreadable files readable, then try again"
            }
            Self::NotNew(_) => "choose an unused prefix or user id for `remote`, then import into that",
            Self::MoreLost => "cogzy-vault verify --repair --give-up",
            Self::MayCome(_) => "wait an hour, then run `cogzy-vault verify --repair --give-up` again",
            Self::Behind { .. } => {
                "install that version there and let it commit something; a device that is gone counts for 30 days after its last commit"
            }
            Self::NothingPlain(_) => {
                "name the prefix that holds corpus/ and vectors/: `cogzy-vault import URL`"
            }
            Self::BadObject { .. } => "move the object away, then try again",
        }
    }
}
