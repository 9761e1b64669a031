//! A disk that holds names as FAT does, under a vault: it refuses signs in them, and cuts dots off
//! their end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::{Escaping, Fs, ReadFile, RootedFs, WriteFile};
use cogzy_engine::model::{FileKind, FileStat};
use cogzy_engine::vault::{Layout, Spellings, abilities};

#[derive(Debug)]
struct Stick(RootedFs);

/// Such a disk, or another one, as the program opens it: what it holds is tried, and noted in the
/// vault.
pub fn opened(layout: &Layout, stick: bool) -> Arc<dyn Fs> {
    let disk = RootedFs::open(layout.root(), layout.sync());
    let disk: Arc<dyn Fs> = if stick { Arc::new(Stick(disk)) } else { Arc::new(disk) };
    let mut spellings = Spellings::load(disk.as_ref(), layout).unwrap();
    spellings
        .learn(
            disk.as_ref(),
            layout,
            &abilities(disk.as_ref(), layout, &|| SystemClock::new().now_ns()).unwrap(),
        )
        .unwrap();
    let fs = Escaping::new(disk, layout.root());
    spellings.apply(&fs);
    Arc::new(fs)
}

/// The name under which a file is found.
fn cut(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_str().unwrap();
    if name.ends_with('.') { path.with_file_name(name.trim_end_matches('.')) } else { path.to_owned() }
}

/// The name under which a file is put.
fn held(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_str().unwrap();
    let refused = name.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) || name.ends_with(' ');
    if refused { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(cut(path)) }
}

impl Fs for Stick {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.0.open(&cut(path))
    }
    fn open_lock(&self, path: &Path) -> io::Result<File> {
        self.0.open_lock(path)
    }
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.0.lstat(&cut(path))
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.0.read_dir(&cut(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.0.create(&held(path)?)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(&held(path)?)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(&cut(from), &held(to)?)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename_new(&cut(from), &held(to)?)
    }
    fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn hard_link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(&cut(path))
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(&cut(path))
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(&cut(path))
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.0.free_space(&cut(path))
    }
}
