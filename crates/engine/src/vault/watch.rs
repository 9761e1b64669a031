//! Watcher: hints that something in the vault was touched.
//!
//! The watcher only saves waiting for the next full scan. Events get lost (queues overflow, network
//! file systems send none, limits are reached), so nothing is concluded from a missing event or
//! from an event's content. Only folders that may hold synced files are watched, so our own writes
//! below `sync/` cause no events.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use notify::event::EventKind;
use notify::{Config, ErrorKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::{Filter, Layout, Mounts, Verdict};
use crate::fs::{At, Fs, IoAt, found, is_network};
use crate::model::{FileKind, VaultPath};

/// Event of the watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// Something that may be synced was touched: this path, where it was one.
    Touched(Option<VaultPath>),
    /// Events were lost. Any path may have been touched.
    Overflow,
    /// The watcher does not work, or misses some folders. The scan still finds everything.
    Failed(String),
}

/// Reason why the vault cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system's limit is reached.
    #[error("{} cannot be watched: the system's limit of watched folders is reached; raise it with `sudo sysctl fs.inotify.max_user_watches=524288` (and put that line into /etc/sysctl.d/ to keep it)", .0.display())]
    Limit(PathBuf),
    /// It is watched, but the system hears only of what this machine writes there.
    #[error("{} is not on a disk of this machine, and what others write there causes no event", .0.display())]
    Network(PathBuf),
    /// Another error.
    #[error("{} cannot be watched: {why}", .path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// Message of the system.
        why: String,
    },
    /// The root cannot be listed.
    #[error(transparent)]
    Io(#[from] IoAt),
}

/// Watches a vault until it is dropped.
pub struct Watch {
    watcher: RecommendedWatcher,
    layout: Layout,
    filter: Filter,
    /// The root's device and inode numbers, once it is watched.
    root: Option<(u64, u64)>,
    /// Watched folders with their device and inode numbers. A folder that is created anew under the
    /// same name needs a new watch.
    watched: BTreeMap<PathBuf, (FolderId, Reach)>,
    /// Folders that cannot be watched, each with the reason.
    blind: BTreeMap<PathBuf, WatchError>,
}

/// A folder's device and inode numbers.
type FolderId = (u64, u64);

/// How much of a folder one watch covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All that lies below it.
    Below,
    /// Its own names only: something below it cannot be watched.
    Alone,
}

impl Watch {
    /// Starts to watch. `on_event` runs on the watcher's own thread and must return at once.
    ///
    /// # Errors
    /// If the root or a folder in it cannot be watched.
    pub fn start(
        fs: &dyn Fs,
        layout: &Layout,
        filter: &Filter,
        on_event: impl Fn(WatchEvent) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let (root, judge) = (layout.root().to_owned(), filter.clone());
        let handler = move |event: notify::Result<notify::Event>| {
            meaning(&root, &judge, event).into_iter().for_each(&on_event);
        };
        let config = Config::default().with_follow_symlinks(false);
        let watcher =
            RecommendedWatcher::new(handler, config).map_err(|error| fault(layout.root(), error))?;
        let mut watch = Self {
            watcher,
            layout: layout.clone(),
            filter: filter.clone(),
            root: None,
            watched: BTreeMap::new(),
            blind: BTreeMap::new(),
        };
        watch.refresh(fs)?;
        Ok(watch)
    }

    /// Watches new folders, the root if it is new, and tries again what could not be watched. To be
    /// called after each scan. True if anything is watched anew: files written there since the scan
    /// caused no event, so another scan is due.
    ///
    /// # Errors
    /// If the root cannot be listed or watched. A folder that cannot be watched is among the
    /// [`Watch::blind`] ones.
    pub fn refresh(&mut self, fs: &dyn Fs) -> Result<bool, WatchError> {
        let root = self.layout.root().to_owned();
        let mut any = self.watch_root(fs, &root)?;
        let mut visited = BTreeSet::new();
        self.blind.clear();
        for (folder, id) in self.folders(fs, &root)? {
            any |= self.visit(fs, folder, id, &mut visited);
        }
        self.watched.retain(|path, _| visited.contains(path));
        self.note_network(fs);
        Ok(any)
    }

    /// Notes which of the vault's disks are written by other machines, too.
    fn note_network(&mut self, fs: &dyn Fs) {
        // Of mounts that nobody has recorded yet, the scan that records them tells.
        let mounts = Mounts::load(fs, &self.layout).unwrap_or_else(|_| Mounts::none());
        // What cannot be asked is no disk that is there.
        for disk in mounts.disks(&self.layout).into_iter().filter(|disk| is_network(disk).unwrap_or(false)) {
            self.blind.entry(disk.clone()).or_insert(WatchError::Network(disk));
        }
    }

    /// The folders of which events are missing, each with the reason. A scan finds what is written
    /// there.
    #[must_use]
    pub const fn blind(&self) -> &BTreeMap<PathBuf, WatchError> {
        &self.blind
    }

    /// The folders in `folder` that may hold synced files.
    fn folders(&self, fs: &dyn Fs, folder: &Path) -> Result<Vec<(PathBuf, FolderId)>, IoAt> {
        let mut folders = Vec::new();
        for (name, kind) in fs.read_dir(folder).at("list", folder)? {
            let path = folder.join(name);
            let relative = path.strip_prefix(self.layout.root()).ok().and_then(Path::to_str);
            let wanted = relative.and_then(|name| VaultPath::new(name).ok());
            if kind != FileKind::Folder || wanted.is_none_or(|path| self.filter.prunes(&path)) {
                continue;
            }
            if let Some(stat) = found(fs.lstat(&path)).at("look at", &path)? {
                folders.push((path, (stat.dev, stat.ino)));
            }
        }
        Ok(folders)
    }

    /// Watches a folder with all below it or, where something there cannot be watched, each of its
    /// folders by itself. True if anything is watched anew.
    fn visit(&mut self, fs: &dyn Fs, folder: PathBuf, id: FolderId, visited: &mut BTreeSet<PathBuf>) -> bool {
        visited.insert(folder.clone());
        let known = self.watched.get(&folder).filter(|(known, _)| *known == id).map(|(_, reach)| *reach);
        if known == Some(Reach::Below) {
            return false;
        }
        if self.add(&folder, RecursiveMode::Recursive).is_ok() {
            self.watched.insert(folder, (id, Reach::Below));
            return true;
        }
        let mut any = false;
        if known.is_none() {
            match self.add(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), (id, Reach::Alone));
                    any = true;
                }
                Err(error) => {
                    self.watched.remove(&folder);
                    self.blind.insert(folder.clone(), error);
                }
            }
        }
        // What cannot be listed is told by the scan, and by the watch itself.
        for (inner, id) in self.folders(fs, &folder).unwrap_or_default() {
            any |= self.visit(fs, inner, id, visited);
        }
        any
    }

    /// Watches the root if it is another folder than before: then nothing in it is watched yet
    /// either.
    fn watch_root(&mut self, fs: &dyn Fs, root: &Path) -> Result<bool, WatchError> {
        let stat = fs.lstat(root).at("look at", root)?;
        let id = Some((stat.dev, stat.ino));
        if self.root == id {
            return Ok(false);
        }
        self.watched.clear();
        self.add(root, RecursiveMode::NonRecursive)?;
        self.root = id;
        Ok(true)
    }

    fn add(&mut self, path: &Path, mode: RecursiveMode) -> Result<(), WatchError> {
        self.watcher.watch(path, mode).map_err(|error| fault(path, error))
    }
}

fn fault(path: &Path, error: notify::Error) -> WatchError {
    let full = match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::StorageFull,
        _ => false,
    };
    if full {
        WatchError::Limit(path.to_owned())
    } else {
        WatchError::Other { path: path.to_owned(), why: error.to_string() }
    }
}

/// Translates an event of the system. Nothing if it does not matter for the vault.
fn meaning(root: &Path, filter: &Filter, event: notify::Result<notify::Event>) -> Vec<WatchEvent> {
    let event = match event {
        Ok(event) => event,
        Err(error) => return vec![WatchEvent::Failed(fault(root, error).to_string())],
    };
    if event.need_rescan() {
        return vec![WatchEvent::Overflow];
    }
    // Our own reads must not wake us.
    if matches!(event.kind, EventKind::Access(_)) {
        return Vec::new();
    }
    // The scan reports a name that makes no path.
    let known = |path: &PathBuf| {
        path.strip_prefix(root).ok().and_then(Path::to_str).and_then(|path| VaultPath::new(path).ok())
    };
    let matters = |path: &VaultPath| filter.verdict(path) == Verdict::Synced && !filter.prunes(path);
    let touched = event.paths.iter().map(known).filter(|path| path.as_ref().is_none_or(matters));
    touched.map(WatchEvent::Touched).collect()
}

#[cfg(test)]
mod tests;
