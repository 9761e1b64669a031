//! A vault with a plan for it, and the assertions on it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs as disk;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cogzy_testkit::fresh_folder_in_memory;

use crate::fs::{Fs, RealFs};
use crate::model::{ConflictId, Content, Digest, Item, VaultPath};
use crate::vault::{ApplyId, ApplyItem, ApplyPlan, ApplyStep, Keeping, Layout, Purpose, Seen, Staged};

/// One file of a plan: path, old text, new text.
pub type Move = (&'static str, Option<&'static str>, Option<&'static str>);

/// One item of a plan: whether it lost a conflict, and its files. More than one file make a group.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub lost: bool,
    pub moves: &'static [Move],
}

pub struct Vault {
    dir: tempfile::TempDir,
    pub cases: &'static [Case],
    /// True if a recovery puts in place even steps that were not begun.
    pub finish: bool,
}

pub const CONFLICT: ConflictId = ConflictId::from_bytes([7; ConflictId::LEN]);

pub fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

pub fn content(text: &str) -> Content {
    Content { digest: Digest::of(text.as_bytes()), size: text.len() as u64 }
}

pub fn item(case: &Case) -> Item {
    match case.moves {
        [(only, ..)] => Item::File(path(only)),
        [(first, ..), ..] => Item::Group(first.replace(['/', '.'], "-")),
        [] => Item::Group("empty".into()),
    }
}

impl Vault {
    /// Every old file in place, every new one staged.
    pub fn new(cases: &'static [Case]) -> Self {
        // Thousands of vaults are made.
        let vault = Self { dir: fresh_folder_in_memory(), cases, finish: true };
        let stage = vault.layout().staging_of(&Self::id());
        disk::create_dir_all(&stage).unwrap();
        for (slot, (name, old, new)) in vault.moves().enumerate() {
            if let Some(text) = old {
                vault.put(name, text);
            }
            if let Some(text) = new {
                disk::write(stage.join(slot.to_string()), text).unwrap();
            }
        }
        vault
    }

    pub fn id() -> ApplyId {
        ApplyId::new(1000, [1; 4])
    }

    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    pub fn layout(&self) -> Layout {
        Layout::new(self.root())
    }

    pub fn moves(&self) -> impl Iterator<Item = Move> {
        self.cases.iter().flat_map(|case| case.moves.iter().copied())
    }

    /// Writes a file that has stood still for a while.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.root().join(name);
        disk::create_dir_all(path.parent().unwrap()).unwrap();
        disk::write(&path, text).unwrap();
        let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        disk::File::options().write(true).open(path).unwrap().set_modified(past).unwrap();
    }

    pub fn plan(&self) -> ApplyPlan {
        let mut slot = 0;
        let mut step = |&(name, old, new): &Move| {
            let staged = new.map(|text| Staged { slot, content: content(text) });
            slot += 1;
            let seen =
                |text| Seen { content: content(text), stat: RealFs.lstat(&self.root().join(name)).unwrap() };
            ApplyStep { path: path(name), on_disk: None, old: old.map(seen), new: staged }
        };
        let items = self.cases.iter().map(|case| ApplyItem {
            item: item(case),
            keep: case.lost.then(|| Keeping { id: CONFLICT, record: "record".into() }),
            steps: case.moves.iter().map(&mut step).collect(),
        });
        ApplyPlan {
            id: Self::id(),
            purpose: Purpose::Transaction("t".into()),
            finish: self.finish,
            items: items.collect(),
        }
    }

    /// The visible files.
    pub fn visible(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(self.root(), self.root(), &mut |name, text| {
            if !name.starts_with("sync/") {
                files.insert(name, text);
            }
        });
        files
    }

    /// Displaced files: the texts in the trash and in the conflict, sorted.
    pub fn displaced(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for folder in [self.layout().trash_files(&Self::id()), self.layout().conflicts()] {
            if folder.exists() {
                collect(&folder, &folder, &mut |_, text| texts.push(text));
            }
        }
        texts.retain(|text| text != "record");
        texts.sort();
        texts
    }

    /// True if a visible file shares its bytes with a displaced one: a later write would change
    /// both.
    pub fn shares_files(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.visible().keys().any(|name| self.root().join(name).metadata().unwrap().nlink() > 1)
    }

    /// The texts of all files in the vault, wherever they are.
    pub fn all_texts(&self) -> BTreeSet<String> {
        let mut texts = BTreeSet::new();
        collect(self.root(), self.root(), &mut |_, text| {
            texts.insert(text);
        });
        texts
    }

    /// The visible files if every item is new.
    pub fn all_new(&self) -> BTreeMap<String, String> {
        self.texts(|(.., new)| new)
    }

    /// The visible files if every item is old.
    pub fn all_old(&self) -> BTreeMap<String, String> {
        self.texts(|(_, old, _)| old)
    }

    fn texts(&self, of: impl Fn(Move) -> Option<&'static str>) -> BTreeMap<String, String> {
        self.moves().filter_map(|each| Some((each.0.to_owned(), of(each)?.to_owned()))).collect()
    }

    /// Asserts that every old text is somewhere: visible, in the trash or in the conflict.
    pub fn assert_nothing_lost(&self, context: &str) {
        self.assert_nothing_lost_but("", context);
    }

    /// Asserts that every old text is somewhere, except that of an overwritten file.
    pub fn assert_nothing_lost_but(&self, overwritten: &str, context: &str) {
        let texts = self.all_texts();
        for (name, old, _) in self.moves().filter(|each| each.0 != overwritten) {
            assert!(old.is_none_or(|old| texts.contains(old)), "{context}: the old {name} is lost");
        }
    }
}

fn collect(root: &Path, folder: &Path, take: &mut dyn FnMut(String, String)) {
    for entry in disk::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap();
        if kind.is_dir() {
            collect(root, &path, take);
        } else if kind.is_file() {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            take(name, disk::read_to_string(&path).unwrap());
        }
    }
}
