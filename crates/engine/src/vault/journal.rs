//! `sync/applying`: the journal of an apply.
//!
//! The journal is written and durable before the first rename, and dropped after the new base is
//! durable. While it exists, visible files may be of two generations, and it tells which. It names
//! contents, not states: renames change the times of a file, so after a crash only digests tell old
//! from new.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{ApplyId, Layout};
use crate::fs::{self, At, Fs, IoAt, MOUNT_FOLDER, found};
use crate::model::{CommitKey, ConflictId, Content, Item, VaultPath};
use crate::planted::{Bug, planted};

/// Format that this program writes, and the only one it reads: the program that wrote a journal
/// finishes it.
const FORMAT: u32 = 1;

/// Longest journal, in bytes: room for millions of files.
const MAX_BYTES: u64 = 4 << 30;
/// Bytes of a journal that are written at once.
const BUFFER: usize = 64 << 10;

/// One apply, as the journal tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub format: u32,
    pub id: ApplyId,
    /// Purpose of the apply.
    #[serde(rename = "commit")]
    pub purpose: Purpose,
    /// True to finish even units that were not begun when a crash came.
    #[serde(default)]
    pub finish: bool,
    #[serde(deserialize_with = "exactly")]
    pub items: Vec<Entry>,
}

/// Purpose for which files are put in place. In the journal it is a text: the commit's key,
/// `transaction:` and a name, or nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Purpose {
    /// The files are those of this commit, and become agreed.
    Generation(CommitKey),
    /// Another program wrote the files in a transaction; its record has this name.
    Transaction(String),
    /// The files were damaged. The agreed state stays as it is.
    Repair,
}

/// Prefix of the journal's text for a transaction.
const TRANSACTION: &str = "transaction:";

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Generation(commit) => commit.to_string(),
            Purpose::Transaction(record) => format!("{TRANSACTION}{record}"),
            Purpose::Repair => Self::new(),
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match (text.strip_prefix(TRANSACTION), CommitKey::parse(&text)) {
            _ if text.is_empty() => Ok(Self::Repair),
            (Some(record), _) => Ok(Self::Transaction(record.to_owned())),
            (None, Some(commit)) => Ok(Self::Generation(commit)),
            (None, None) => Err(format!("{text:?} is neither a commit nor a transaction")),
        }
    }
}

/// One item of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub item: Item,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keeping>,
    #[serde(deserialize_with = "exactly")]
    pub steps: Vec<Step>,
}

/// A list with no more room than it needs. One that grows by itself begins with room for four, and
/// most items are one file.
fn exactly<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(from)?;
    list.shrink_to_fit();
    Ok(list)
}

/// Step for one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub path: VaultPath,
    /// Spelling on disk, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_disk: Option<String>,
    /// Our folder on the disk that the file stands on, where that is not the vault's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    pub old: Option<Content>,
    pub new: Option<Staged>,
}

/// A content, and the slot of the stage that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staged {
    /// Slot of the stage.
    pub slot: u32,
    /// Content of the slot.
    pub content: Content,
}

/// Conflict that the displaced file becomes a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeping {
    /// Id of the conflict.
    pub id: ConflictId,
    /// Text for its `conflict.json`.
    pub record: String,
}

/// A journal that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It does not parse, or names paths that no plan has.
    #[error("{} is damaged ({why}): nothing is changed in the vault until it is moved away; the files it speaks of are in sync/staging and sync/trash", .path.display())]
    Damaged {
        /// Path of the journal.
        path: PathBuf,
        /// Cause.
        why: String,
    },
    /// Another version of the program wrote it.
    #[error("{} has format {format}, expected {FORMAT}: start the version of cogzy-vault that wrote it once, so that it finishes", .path.display())]
    OtherFormat {
        /// Path of the journal.
        path: PathBuf,
        /// Format of the journal.
        format: u32,
    },
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoAt),
}

impl Step {
    /// Path below the root, as the disk spells it.
    pub fn relative(&self) -> &str {
        self.on_disk.as_deref().unwrap_or(self.path.as_str())
    }
}

impl Journal {
    pub fn new(id: ApplyId, purpose: Purpose, finish: bool, items: Vec<Entry>) -> Self {
        Self { format: FORMAT, id, purpose, finish, items }
    }

    /// Our folders on other disks that the apply has to do with.
    pub fn homes(&self) -> BTreeSet<&str> {
        let steps = self.items.iter().flat_map(|entry| &entry.steps);
        steps.filter_map(|step| step.home.as_deref()).collect()
    }

    /// Stages of the apply: in `sync/`, and on other disks.
    pub fn stages(&self, layout: &Layout) -> BTreeSet<PathBuf> {
        stages(layout, &self.id, self.homes().into_iter())
    }

    /// Makes the journal durable.
    pub fn write(&self, fs: &dyn Fs, layout: &Layout) -> Result<(), JournalError> {
        if planted(Bug::NoJournal) {
            return Ok(());
        }
        let path = layout.applying();
        let written = fs::replace_with(fs, &path, 0o600, |file| {
            // Of many files, its text is as large as they are in memory.
            let mut text = BufWriter::with_capacity(BUFFER, file);
            serde_json::to_writer(&mut text, self)?;
            text.flush()
        });
        Ok(written.at("write", &path)?)
    }

    /// Reads the journal at `path`. None if there is none.
    pub fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, JournalError> {
        let Some(journal) = parsed::<Self>(fs, path)? else { return Ok(None) };
        match journal.items.iter().find_map(leads_elsewhere) {
            Some(why) => Err(JournalError::Damaged { path: path.to_owned(), why }),
            None => Ok(Some(journal)),
        }
    }
}

/// The few facts of a journal that the end of an apply needs.
#[derive(Debug, Deserialize)]
pub(super) struct Outline {
    pub id: ApplyId,
    #[serde(rename = "commit")]
    pub purpose: Purpose,
    #[serde(rename = "items", deserialize_with = "one_by_one")]
    outlined: Outlined,
}

#[derive(Debug, Default)]
struct Outlined {
    displaces: bool,
    homes: BTreeSet<String>,
    wrong: Option<String>,
}

impl Outline {
    /// Reads the journal at `path`, an item at a time. None if there is none.
    pub fn read(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, JournalError> {
        let outline = parsed::<Self>(fs, path)?;
        match outline.as_ref().and_then(|outline| outline.outlined.wrong.clone()) {
            Some(why) => Err(JournalError::Damaged { path: path.to_owned(), why }),
            None => Ok(outline),
        }
    }

    /// True if a file gave way.
    pub const fn displaces(&self) -> bool {
        self.outlined.displaces
    }

    /// See [`Journal::stages`].
    pub fn stages(&self, layout: &Layout) -> BTreeSet<PathBuf> {
        stages(layout, &self.id, self.outlined.homes.iter().map(String::as_str))
    }
}

/// Takes in the items of a journal, and keeps none.
fn one_by_one<'de, D: Deserializer<'de>>(from: D) -> Result<Outlined, D::Error> {
    struct Items;
    impl<'de> Visitor<'de> for Items {
        type Value = Outlined;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of items")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Outlined, A::Error> {
            let mut outlined = Outlined::default();
            while let Some(entry) = items.next_element::<Entry>()? {
                outlined.wrong = outlined.wrong.or_else(|| leads_elsewhere(&entry));
                outlined.displaces |= entry.steps.iter().any(|step| step.old.is_some());
                outlined.homes.extend(entry.steps.into_iter().filter_map(|step| step.home));
            }
            Ok(outlined)
        }
    }
    from.deserialize_seq(Items)
}

/// Reads a journal as `T`. None if there is none.
fn parsed<T: DeserializeOwned>(fs: &dyn Fs, path: &Path) -> Result<Option<T>, JournalError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged =
        |error: serde_json::Error| JournalError::Damaged { path: path.to_owned(), why: error.to_string() };
    let Some(bytes) = found(fs::read(fs, path, MAX_BYTES)).at("read", path)? else {
        return Ok(None);
    };
    let Version { format } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(JournalError::OtherFormat { path: path.to_owned(), format });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Stages of the apply `id`: in `sync/`, and on other disks.
fn stages<'h>(layout: &Layout, id: &ApplyId, homes: impl Iterator<Item = &'h str>) -> BTreeSet<PathBuf> {
    let elsewhere = homes.map(|home| layout.stage_on(&layout.root().join(home), id));
    elsewhere.chain([layout.staging_of(id)]).collect()
}

/// Cause why no plan can have made an item: one of its steps leads out of its place.
fn leads_elsewhere(entry: &Entry) -> Option<String> {
    let wrong = entry.steps.iter().find(|step| !same_path(step))?;
    Some(format!("{:?} leads elsewhere than {}", wrong.relative(), wrong.path))
}

/// True if a spelling is the path itself except for its Unicode form. It is joined to the root, so
/// nothing else may pass. Our folder on another disk is joined, too: it must be one that the path
/// stands on.
fn same_path(step: &Step) -> bool {
    let spelled =
        step.on_disk.as_deref().is_none_or(|text| VaultPath::new(text).is_ok_and(|path| path == step.path));
    let above = |home: &str| {
        let folder = home.split_once(&format!("/{MOUNT_FOLDER}/")).map(|(folder, _)| folder);
        folder.is_some_and(|folder| {
            step.relative().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    };
    spelled && step.home.as_deref().is_none_or(|home| VaultPath::new(home).is_ok() && above(home))
}

#[cfg(test)]
mod tests;
