//! The state of a disk: inodes, names, and the part of both that a power cut would leave.
//!
//! Names change by *operations*, each a few slots (folder, name) that change together: a rename is
//! one, and so is an exchange. An operation is volatile until a folder that it touches is synced. A
//! power cut keeps some of those that are volatile, never one without an earlier one about the same
//! slot. Bytes are volatile until their file is synced: a power cut leaves the last synced bytes,
//! the newest ones, or a part of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::fs::{escape, has_signs};
use cogzy_engine::model::FileKind;
use cogzy_testkit::rng::Rng;
use unicode_normalization::UnicodeNormalization;

use super::Content;
use super::places::Places;
use crate::key::{Key, Order};

pub type Ino = u64;
pub const ROOT: Ino = 1;

/// A name in a folder.
pub type Slot = (Ino, OsString);
/// Slots that change together, and their new targets.
type Operation = Vec<(Slot, Option<Ino>)>;

/// Things that a name can stand for.
#[derive(Debug, Clone)]
pub struct Node {
    pub kind: FileKind,
    pub bytes: Arc<Content>,
    /// The bytes that were synced last; none while no sync has happened.
    pub synced: Option<Arc<Content>>,
    pub target: PathBuf,
    pub mtime_ns: i64,
    pub ctime_ns: i64,
    pub mode: u32,
}

/// A kind of disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Knows exchanging renames.
    pub exchange: bool,
    /// Gives a file a second name.
    pub links: bool,
    /// Tells letter case apart.
    pub case: bool,
    /// Spells names in decomposed Unicode, whichever program gives them.
    pub nfd: bool,
    /// Holds every name. Otherwise it refuses signs as FAT does, and its users write them in the
    /// escape.
    pub signs: bool,
    /// Syncing anything syncs all names, and a power cut forgets only the newest ones, as on ext4.
    /// Otherwise each folder is on its own, which is all that POSIX promises.
    pub ordered: bool,
    /// The resolution of its times.
    pub tick_ns: i64,
}

#[derive(Debug, Clone)]
pub struct State {
    pub kind: Kind,
    pub places: Places,
    nodes: Vec<Node>,
    names: BTreeMap<Slot, Ino>,
    durable: BTreeMap<Slot, Ino>,
    volatile: Vec<Operation>,
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl State {
    pub fn new(kind: Kind) -> Self {
        let mut state = Self {
            kind,
            places: Places::default(),
            nodes: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            volatile: Vec::new(),
        };
        state.add(FileKind::Folder, 0);
        state
    }

    /// A new inode that no name leads to yet.
    pub fn add(&mut self, kind: FileKind, now_ns: i64) -> Ino {
        let (ino, now) = (ROOT + self.nodes.len() as Ino, self.stamp(now_ns));
        let mode = if kind == FileKind::Folder { 0o755 } else { 0o600 };
        let (bytes, target) = (Arc::default(), PathBuf::new());
        self.nodes.push(Node { kind, bytes, synced: None, target, mtime_ns: now, ctime_ns: now, mode });
        ino
    }

    /// A time as this disk keeps it.
    pub const fn stamp(&self, now_ns: i64) -> i64 {
        now_ns - now_ns.rem_euclid(self.kind.tick_ns)
    }

    pub fn node(&self, ino: Ino) -> &Node {
        &self.nodes[place(ino)]
    }

    pub fn node_mut(&mut self, ino: Ino) -> &mut Node {
        &mut self.nodes[place(ino)]
    }

    /// Gives the memory back of what has no name and will not have one again. No file may be open.
    pub fn forget_unnamed(&mut self) {
        let volatile = self.volatile.iter().flatten().filter_map(|(_, ino)| *ino);
        let named: BTreeSet<Ino> =
            self.names.values().chain(self.durable.values()).copied().chain(volatile).collect();
        for (ino, node) in (ROOT..).zip(&mut self.nodes) {
            if !named.contains(&ino) {
                (node.bytes, node.synced) = (Arc::default(), None);
            }
        }
    }

    /// The slot that `path` names, whether something is there or not; on a disk that ignores case,
    /// as it is spelled there.
    pub fn slot(&self, path: &Path) -> io::Result<Slot> {
        self.slot_within(path, 0)
    }

    fn slot_within(&self, path: &Path, links: usize) -> io::Result<Slot> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let folder = self.folder(path.parent().unwrap_or(Path::new("/")), links)?;
        Ok((folder, self.spelled(folder, name)))
    }

    /// The folder at `path`; links on the way are followed, as the system does.
    fn folder(&self, path: &Path, links: usize) -> io::Result<Ino> {
        let mut at = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let ino = self.names.get(&(at, self.spelled(at, name))).copied().ok_or_else(absent)?;
            at = match self.node(ino).kind {
                FileKind::Folder => ino,
                FileKind::Symlink if links < 8 => self.folder(&self.node(ino).target, links + 1)?,
                _ => return Err(io::ErrorKind::NotADirectory.into()),
            };
        }
        Ok(at)
    }

    /// A name as the disk keeps it.
    pub fn kept(&self, name: &OsStr) -> OsString {
        let escaped = name.to_str().filter(|name| !self.kind.signs && has_signs(name)).map(escape);
        let name = escaped.as_deref().map_or(name, OsStr::new);
        if self.kind.nfd && !name.as_encoded_bytes().is_ascii() {
            name.to_string_lossy().nfd().collect::<String>().into()
        } else {
            name.to_owned()
        }
    }

    pub fn spelled(&self, folder: Ino, name: &OsStr) -> OsString {
        let name = self.kept(name);
        let exact = (folder, name);
        if self.kind.case || self.names.contains_key(&exact) {
            return exact.1;
        }
        let name = &exact.1;
        let wanted = name.to_string_lossy().to_lowercase();
        let mut same = self.list(folder).filter(|(at, _)| at.to_string_lossy().to_lowercase() == wanted);
        same.next().map_or(exact.1, |(at, _)| at.clone())
    }

    /// The inode at `path`.
    pub fn find(&self, path: &Path) -> io::Result<Ino> {
        if path == Path::new("/") {
            return Ok(ROOT);
        }
        let slot = self.slot(path)?;
        self.names.get(&slot).copied().ok_or_else(absent)
    }

    pub fn at(&self, slot: &Slot) -> Option<Ino> {
        self.names.get(slot).copied()
    }

    /// The names in a folder.
    pub fn list(&self, folder: Ino) -> impl Iterator<Item = (&OsString, Ino)> {
        let from = (folder, OsString::new());
        let until = (folder + 1, OsString::new());
        self.names.range(from..until).map(|((_, name), ino)| (name, *ino))
    }

    /// Changes names. A user's own changes are durable at once, so that what a power cut takes is
    /// the engine's.
    pub fn change(&mut self, operation: Operation, durable: bool, now_ns: i64) {
        let now = self.stamp(now_ns);
        for (slot, to) in &operation {
            let before = match to {
                Some(ino) => self.names.insert(slot.clone(), *ino),
                None => self.names.remove(slot),
            };
            for ino in [Some(slot.0), *to, before].into_iter().flatten() {
                let node = self.node_mut(ino);
                node.ctime_ns = now;
                if ino == slot.0 {
                    node.mtime_ns = now;
                }
            }
        }
        self.volatile.push(operation);
        if durable {
            let newest = self.volatile.len() - 1;
            self.settle(&BTreeSet::from([newest]));
        }
    }

    /// `fsync` of a folder.
    pub fn sync_folder(&mut self, folder: Ino) {
        let touches = |operation: &Operation| operation.iter().any(|((at, _), _)| *at == folder);
        let wanted =
            (0..self.volatile.len()).filter(|at| self.kind.ordered || touches(&self.volatile[*at])).collect();
        self.settle(&wanted);
    }

    /// `fsync` of a file.
    pub fn sync_file(&mut self, ino: Ino) {
        let node = self.node_mut(ino);
        node.synced = Some(Arc::clone(&node.bytes));
        if self.kind.ordered {
            self.settle(&(0..self.volatile.len()).collect());
        }
    }

    /// `syncfs`.
    pub fn flush(&mut self) {
        for node in &mut self.nodes {
            node.synced = Some(Arc::clone(&node.bytes));
        }
        self.sync_all();
    }

    /// Makes a name and those of the folders above it durable.
    pub fn sync_path(&mut self, path: &Path) {
        let slots: Vec<Slot> = path.ancestors().filter_map(|at| self.slot(at).ok()).collect();
        let wanted = (0..self.volatile.len()).filter(|at| touches_any(&self.volatile[*at], &slots)).collect();
        self.settle(&wanted);
    }

    pub fn sync_all(&mut self) {
        self.settle(&(0..self.volatile.len()).collect());
    }

    /// True if a name leads to `ino`.
    pub fn is_named(&self, ino: Ino) -> bool {
        self.names.values().any(|named| *named == ino)
    }

    /// Makes operations durable, and those that they build on.
    fn settle(&mut self, wanted: &BTreeSet<usize>) {
        let mut due = wanted.clone();
        for at in (0..self.volatile.len()).rev().filter(|_| !wanted.is_empty()) {
            if due.contains(&at) {
                let slots: Vec<Slot> = self.volatile[at].iter().map(|(slot, _)| slot.clone()).collect();
                due.extend((0..at).filter(|before| touches_any(&self.volatile[*before], &slots)));
            }
        }
        let mut rest = Vec::new();
        for (at, operation) in std::mem::take(&mut self.volatile).into_iter().enumerate() {
            if due.contains(&at) {
                for (slot, to) in operation {
                    match to {
                        Some(ino) => self.durable.insert(slot, ino),
                        None => self.durable.remove(&slot),
                    };
                }
            } else {
                rest.push(operation);
            }
        }
        self.volatile = rest;
    }

    /// Describes the contents of the disk and those after a power cut, each inode by the order in
    /// which it is come upon.
    pub fn describe(&self, key: &mut Key) {
        let mut order = Order::default();
        key.plain(format_args!("{:?}", self.places.stands));
        for names in [&self.names, &self.durable] {
            self.describe_below(names, ROOT, &mut order, key);
            key.plain("|");
        }
        for ((folder, name), to) in self.volatile.iter().flatten() {
            key.number(order.of(place(*folder)).0);
            key.say(&name.to_string_lossy());
            key.number(to.map_or(0, |to| order.of(place(to)).0));
        }
    }

    fn describe_below(&self, names: &BTreeMap<Slot, Ino>, folder: Ino, order: &mut Order, key: &mut Key) {
        for ((_, name), ino) in names.range((folder, OsString::new())..(folder + 1, OsString::new())) {
            let (number, first) = order.of(place(*ino));
            key.say(&name.to_string_lossy());
            key.number(number);
            let node = self.node(*ino);
            if first {
                key.plain(format_args!("{:?}", node.kind));
                key.number(usize::try_from(node.mode).unwrap());
                key.say(&node.target.to_string_lossy());
                key.content(&node.bytes);
                match &node.synced {
                    Some(synced) => key.content(synced),
                    None => key.plain("unsynced"),
                }
            }
            if node.kind == FileKind::Folder {
                self.describe_below(names, *ino, order, key);
            }
        }
        key.plain("/");
    }

    /// Cuts the power: of everything that was not synced, chance decides what survives.
    pub fn cut_power(&mut self, rng: &mut Rng) {
        let count = self.volatile.len();
        let kept: BTreeSet<usize> = if self.kind.ordered {
            (0..rng.below(count + 1)).collect()
        } else {
            let mut kept = BTreeSet::new();
            for at in 0..count {
                let slots: Vec<Slot> = self.volatile[at].iter().map(|(slot, _)| slot.clone()).collect();
                let lost = (0..at)
                    .any(|before| !kept.contains(&before) && touches_any(&self.volatile[before], &slots));
                if !lost && rng.chance(60) {
                    kept.insert(at);
                }
            }
            kept
        };
        self.settle(&kept);
        self.volatile.clear();
        self.names = self.durable.clone();
        for node in self.nodes.iter_mut().filter(|node| node.kind == FileKind::File) {
            let synced = node.synced.clone().unwrap_or_default();
            if synced != node.bytes {
                node.bytes = match rng.below(3) {
                    0 => synced,
                    1 => Arc::clone(&node.bytes),
                    _ => Arc::new(node.bytes[..rng.below(node.bytes.len() + 1)].to_vec().into()),
                };
            }
            node.synced = Some(Arc::clone(&node.bytes));
        }
    }
}

/// The place of an inode among all of them.
fn place(ino: Ino) -> usize {
    usize::try_from(ino - ROOT).unwrap()
}

fn touches_any(operation: &Operation, slots: &[Slot]) -> bool {
    operation.iter().any(|(slot, _)| slots.contains(slot))
}
