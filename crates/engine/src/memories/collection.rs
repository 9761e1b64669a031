//! The files in which a corpus of memories stands.

use crate::fs::{At, Fs, IoAt, found};
use crate::model::{FileKind, Group, GroupError, Groups, Role, VaultId, VaultPath, in_folder, starts, stem};
use crate::state::{RecordError, Reference};
use crate::vault::Layout;
use crate::vault::validate::Kind;

/// Folders below one another in which indexes are looked for.
const DEPTH: usize = 8;
/// Characters that make a pattern of a path.
const WILD: [char; 6] = ['*', '?', '[', ']', '{', '}'];

/// A corpus with the files whose rows follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The corpus. It may not exist yet.
    pub corpus: VaultPath,
    /// Member of the corpus that holds its memories, if it has it.
    pub key: String,
    /// The array of the vectors. It may not exist yet.
    pub array: Option<VaultPath>,
    /// Indexes, which may be of these vectors.
    pub indexes: Vec<VaultPath>,
}

/// Cause why there is no such corpus.
#[derive(Debug, thiserror::Error)]
pub enum NoCollection {
    /// No group has this name.
    #[error("there is no group {name:?}: this vault has {}", .known.join(", "))]
    NoGroup {
        /// The name.
        name: String,
        /// Names that there are.
        known: Vec<String>,
    },
    /// The group does not say in which file its memories stand.
    #[error(
        "group {name:?} names {corpora} files with memories, and one is needed: write its files as a whole"
    )]
    NoCorpus {
        /// Name of the group.
        name: String,
        /// Corpora that it names without a pattern.
        corpora: usize,
    },
    /// The groups that this device knows cannot be used.
    #[error(transparent)]
    Groups(#[from] GroupError),
    /// The record with the groups cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

impl Collection {
    /// The files of the group of this name. The corpus and the array are those that the group names
    /// without a pattern.
    ///
    /// # Errors
    /// See [`NoCollection`].
    pub fn of_group(fs: &dyn Fs, layout: &Layout, groups: &Groups, name: &str) -> Result<Self, NoCollection> {
        let Some(group) = groups.definitions().iter().find(|group| group.name == name) else {
            let known = groups.definitions().iter().map(|group| group.name.clone()).collect();
            return Err(NoCollection::NoGroup { name: name.to_owned(), known });
        };
        let (mut corpora, mut arrays) = (Vec::new(), Vec::new());
        for path in literal(group) {
            match Kind::of(&path, Role::Primary) {
                Some(Kind::Corpus(key)) => corpora.push((path, key)),
                Some(Kind::Matrix) => arrays.push(path),
                _ => {}
            }
        }
        let count = corpora.len();
        let Ok([(corpus, key)]) = <[_; 1]>::try_from(corpora) else {
            return Err(NoCollection::NoCorpus { name: name.to_owned(), corpora: count });
        };
        let array = arrays.into_iter().find(|path| stem(path) == stem(&corpus));
        let mut indexes = Vec::new();
        for start in starts(group.derived.iter()) {
            let folder = start.rsplit_once('/').map_or("", |(folder, _)| folder);
            find_indexes(fs, layout, folder, DEPTH, &mut indexes)?;
        }
        indexes.retain(|path| groups.find(path).is_some_and(|(of, _)| of.name == name));
        indexes.sort_unstable();
        indexes.dedup();
        Ok(Self { corpus, key, array, indexes })
    }

    /// The files of the group of this name, as this device knows the groups of the vault; before it
    /// knows any, those of the app: `corpus/<name>.json`, `vectors/<name>.npy`, and whatever lies
    /// in `indexes/`.
    ///
    /// # Errors
    /// See [`NoCollection`].
    pub fn named(fs: &dyn Fs, layout: &Layout, vault: VaultId, name: &str) -> Result<Self, NoCollection> {
        let known = Reference::load(fs, &layout.reference(), vault)?.and_then(|reference| reference.groups);
        match known {
            Some(groups) => Self::of_group(fs, layout, &Groups::new(groups)?, name),
            None => Self::of_app(fs, layout, name),
        }
    }

    fn of_app(fs: &dyn Fs, layout: &Layout, name: &str) -> Result<Self, NoCollection> {
        let none = || NoCollection::NoGroup { name: name.to_owned(), known: Vec::new() };
        let path = |text: String| VaultPath::new(&text).map_err(|_| none());
        let (corpus, array) = (path(format!("corpus/{name}.json"))?, path(format!("vectors/{name}.npy"))?);
        let mut indexes = Vec::new();
        find_indexes(fs, layout, "indexes", DEPTH, &mut indexes)?;
        Ok(Self { corpus, key: name.to_owned(), array: Some(array), indexes })
    }

    /// Files of rows: the array, then the indexes.
    pub fn rows(&self) -> impl Iterator<Item = &VaultPath> {
        self.array.iter().chain(&self.indexes)
    }
}

/// Paths that a group names without a pattern.
fn literal(group: &Group) -> impl Iterator<Item = VaultPath> {
    let plain = group.primary.iter().filter(|pattern| !pattern.contains(WILD));
    plain.filter_map(|pattern| VaultPath::new(pattern).ok())
}

/// Adds the indexes in a folder and below it; no link is followed.
fn find_indexes(
    fs: &dyn Fs,
    layout: &Layout,
    folder: &str,
    depth: usize,
    indexes: &mut Vec<VaultPath>,
) -> Result<(), IoAt> {
    let place = layout.root().join(folder);
    let names = match fs.read_dir(&place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(()),
        names => found(names).at("list", &place)?.unwrap_or_default(),
    };
    for (name, kind) in names {
        let Some(name) = name.to_str() else { continue };
        let Ok(path) = VaultPath::new(&in_folder(folder, name)) else { continue };
        match kind {
            FileKind::Folder if depth > 1 => {
                find_indexes(fs, layout, path.as_str(), depth - 1, indexes)?;
            }
            FileKind::File if Kind::of(&path, Role::Derived) == Some(Kind::Index) => indexes.push(path),
            _ => {}
        }
    }
    Ok(())
}
