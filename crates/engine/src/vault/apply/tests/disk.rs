//! A disk that crashes, lacks calls, ignores letter case, or lets another program in between two
//! calls.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::fs::{Fs, ReadFile, RootedFs, WriteFile};
use crate::model::{FileKind, FileStat};

/// A kind of disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    pub exchange: bool,
    pub links: bool,
    pub case: bool,
    /// Holds every name. Otherwise it refuses signs in it, and cuts dots off its end.
    pub names: bool,
}

pub const LINUX: Kind = Kind { exchange: true, links: true, case: true, names: true };
pub const NETWORK: Kind = Kind { exchange: false, links: true, case: true, names: true };
pub const STICK: Kind = Kind { exchange: false, links: false, case: false, names: false };
pub const MAC: Kind = Kind { exchange: true, links: true, case: false, names: true };

pub struct Disk<'a> {
    pub kind: Kind,
    root: PathBuf,
    disk: RootedFs,
    count: AtomicUsize,
    /// Kinds of effects that there were, the one before which the disk crashed among them.
    kinds: Mutex<BTreeSet<&'static str>>,
    ended_before: OnceLock<&'static str>,
    /// Effect before which something happens.
    at: usize,
    /// Called there and before each later effect, with the number of effects since.
    event: Option<&'a (dyn Fn(usize) + Sync)>,
    /// Effects between the event and the crash.
    dies_after: usize,
    dead: AtomicBool,
}

impl std::fmt::Debug for Disk<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disk")
    }
}

/// These tests do not look at durability, and syncing takes most of their time.
struct Unsynced(Box<dyn WriteFile>);

impl Write for Unsynced {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WriteFile for Unsynced {
    fn finish(&mut self, _: u32, _: Option<i64>) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> Disk<'a> {
    pub fn sound(kind: Kind, root: &Path) -> Self {
        Self::crashing(kind, root, usize::MAX)
    }

    pub fn crashing(kind: Kind, root: &Path, at: usize) -> Self {
        Self {
            kind,
            root: root.into(),
            disk: RootedFs::open(root, root.join("sync")),
            count: AtomicUsize::new(0),
            kinds: Mutex::default(),
            ended_before: OnceLock::new(),
            at,
            event: None,
            dies_after: 0,
            dead: AtomicBool::new(false),
        }
    }

    pub fn disturbed(kind: Kind, root: &Path, at: usize, event: &'a (dyn Fn(usize) + Sync)) -> Self {
        Self { event: Some(event), dies_after: usize::MAX, ..Self::crashing(kind, root, at) }
    }

    /// The same, with a crash so many effects after the event.
    pub fn dying(self, dies_after: usize) -> Self {
        Self { dies_after, ..self }
    }

    /// True if the effect came at which something was to happen.
    pub fn reached(&self) -> bool {
        self.count.load(Ordering::Relaxed) > self.at
    }

    /// Kinds of effects that were asked for, the one before which it crashed among them.
    pub fn effects(&self) -> BTreeSet<&'static str> {
        self.kinds.lock().unwrap().clone()
    }

    /// The kind of effect before which it crashed.
    pub fn ended_before(&self) -> Option<&'static str> {
        self.ended_before.get().copied()
    }

    fn look(&self) -> io::Result<()> {
        if self.dead.load(Ordering::Relaxed) { Err(io::Error::other("crashed")) } else { Ok(()) }
    }

    fn effect(&self, kind: &'static str) -> io::Result<()> {
        self.look()?;
        self.kinds.lock().unwrap().insert(kind);
        if let Some(after) = self.count.fetch_add(1, Ordering::Relaxed).checked_sub(self.at) {
            if let Some(event) = self.event {
                event(after);
            }
            if after >= self.dies_after {
                self.dead.store(true, Ordering::Relaxed);
                self.ended_before.get_or_init(|| kind);
            }
        }
        self.look()
    }

    /// The name under which a disk that ignores case holds a path.
    fn real(&self, path: &Path) -> PathBuf {
        let Ok(relative) = path.strip_prefix(&self.root) else { return path.into() };
        if !self.kind.names && path.to_string_lossy().ends_with('.') {
            let name = path.file_name().unwrap().to_string_lossy();
            return self.real(&path.with_file_name(name.trim_end_matches('.')));
        }
        if self.kind.case || path.symlink_metadata().is_ok() {
            return path.into();
        }
        let mut real = self.root.clone();
        for name in relative {
            let wanted = name.to_string_lossy().to_lowercase();
            let names = std::fs::read_dir(&real).into_iter().flatten().flatten();
            let same =
                names.map(|entry| entry.file_name()).find(|at| at.to_string_lossy().to_lowercase() == wanted);
            real.push(same.as_deref().unwrap_or(name));
        }
        real
    }

    /// The name that a rename gives: its own, not the one it had.
    fn named(&self, path: &Path) -> PathBuf {
        let real = self.real(path);
        if real.symlink_metadata().is_ok() || !self.kind.names {
            return real;
        }
        real.with_file_name(path.file_name().unwrap())
    }

    /// Fails for a name that the disk does not hold.
    fn holds_name(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bad = name.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) || name.ends_with(' ');
        if bad && !self.kind.names { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }
}

impl Fs for Disk<'_> {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.look()?;
        self.disk.lstat(&self.real(path))
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.look()?;
        self.disk.read_dir(&self.real(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.look()?;
        self.disk.open(&self.real(path))
    }
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.disk.open_lock(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.effect("create")?;
        self.holds_name(path)?;
        Ok(Box::new(Unsynced(self.disk.create(&self.named(path))?)))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.effect("create dir all")?;
        self.holds_name(path)?;
        self.disk.create_dir_all(&self.real(path))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        // A file that is renamed over the old one between the last look and this call is lost
        // without an exchange: no call would notice.
        if self.event.is_none() || self.kind.exchange {
            self.effect("rename")?;
        }
        let (from, mut target) = (self.real(from), self.named(to));
        if from == target {
            target.set_file_name(to.file_name().unwrap());
        }
        self.disk.rename(&from, &target)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.kind.exchange || !self.kind.links {
            self.effect("rename new")?;
            return self.disk.rename_new(&self.real(from), &self.named(to));
        }
        // In two steps, like a network file system.
        self.effect("rename new")?;
        self.disk.hard_link(&self.real(from), &self.named(to))?;
        self.effect("rename new")?;
        let ino = |path: &Path| self.disk.lstat(path).map(|stat| stat.ino);
        if ino(&self.real(from))? == ino(&self.real(to))? {
            self.disk.remove_file(&self.real(from))
        } else {
            Ok(())
        }
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if !self.kind.exchange {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.effect("exchange")?;
        self.disk.exchange(&self.real(one), &self.real(other))
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if !self.kind.links {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.effect("hard link")?;
        self.disk.hard_link(&self.real(from), &self.named(to))
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.effect("remove file")?;
        self.disk.remove_file(&self.real(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.effect("remove dir")?;
        self.disk.remove_dir(&self.real(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.effect("sync dir")?;
        // Only a folder can be synced as one.
        self.disk.read_dir(&self.real(path)).map(drop)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
}
