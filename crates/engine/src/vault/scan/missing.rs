//! Second look at files that a scan did not find, each by its name.
//!
//! A listing tells less than a look: a program that saves moves the old file away before the new one
//! is there, a disk may leave out a name that is replaced while it lists, and a link may have come
//! in the place of a folder. So only a file of whose name the disk says that nothing stands there is
//! gone; any other is a [`Problem`], and waits.
//!
//! A disk that ignores letter case finds a renamed file under its old name, too. That one is gone:
//! the listing has the other name.
//!
//! The cost follows the number of these files: one look at each, and a listing of a folder where
//! something stands. Only reads; a crash leaves nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use super::{Problem, ProblemKind};
use crate::fs::{Fs, Linked, found};
use crate::model::{FileKind, FileStat, VaultPath, in_folder};
use crate::vault::{Layout, Names};

/// Looks again at files that a scan with these `names` did not find. Returns the problems that keep
/// some of them from being gone.
pub fn look_again(
    fs: &dyn Fs,
    layout: &Layout,
    names: &Names,
    missing: impl IntoIterator<Item = VaultPath>,
) -> Vec<Problem> {
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in missing {
        let on_disk = names.on_disk(&path).unwrap_or_else(|| path.to_string());
        let (folder, name) = on_disk.rsplit_once('/').unwrap_or(("", &on_disk));
        folders.entry(folder.to_owned()).or_default().push(name.to_owned());
    }
    let mut look = Look { fs, layout, listed: BTreeMap::new(), problems: BTreeMap::new() };
    for (folder, names) in &folders {
        look.at_folder(folder, names);
    }
    look.problems.into_iter().map(|(path, kind)| Problem { path, kind }).collect()
}

struct Look<'a> {
    fs: &'a dyn Fs,
    layout: &'a Layout,
    /// Names in folders, as those of paths, by the keys of names that some disks take for one.
    listed: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    problems: BTreeMap<String, ProblemKind>,
}

impl Look<'_> {
    fn at_folder(&mut self, folder: &str, names: &[String]) {
        let every: Vec<&OsStr> = names.iter().map(OsStr::new).collect();
        let stats = match self.fs.lstat_each(&self.layout.root().join(folder), &every) {
            Ok(stats) => stats,
            // It is unknown for a folder that is neither there nor gone.
            Err(error) if error.kind() != io::ErrorKind::NotFound && !folder.is_empty() => {
                return self.note(folder, error);
            }
            Err(error) => {
                every.iter().map(|_| Err(io::Error::new(error.kind(), error.to_string()))).collect()
            }
        };
        for (name, stat) in names.iter().zip(stats) {
            let on_disk = in_folder(folder, name);
            match stat.and_then(|stat| self.is_gone(&on_disk, &stat)) {
                Ok(Some(kind)) => drop(self.problems.insert(on_disk, kind)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.look_for_form(folder, name),
                Err(error) => self.note(&on_disk, error),
            }
        }
    }

    /// The problem of a name at which something stands. None where that is a folder, or has another
    /// name: then the file is gone.
    fn is_gone(&mut self, on_disk: &str, stat: &FileStat) -> io::Result<Option<ProblemKind>> {
        let kind = match stat.kind {
            FileKind::Folder => return Ok(None),
            FileKind::File => ProblemKind::Busy,
            FileKind::Symlink => ProblemKind::Symlink,
            FileKind::Special => ProblemKind::Special,
        };
        Ok(if self.has_other_name(on_disk)? { None } else { Some(kind) })
    }

    /// True if a name of this path is there only because the disk takes another one for it.
    fn has_other_name(&mut self, on_disk: &str) -> io::Result<bool> {
        let mut folder = String::new();
        for name in on_disk.split('/') {
            let (name_of_path, key) = key(name);
            let alike = self.list(&folder)?.get(&key).map(Vec::as_slice).unwrap_or_default();
            if !alike.contains(&name_of_path) {
                // Where neither is there, it has just gone, or come.
                return Ok(!alike.is_empty());
            }
            folder = in_folder(&folder, name);
        }
        Ok(false)
    }

    /// Looks for a name in another Unicode form, which does not open the file on every disk.
    fn look_for_form(&mut self, folder: &str, name: &str) {
        let (name_of_path, key) = key(name);
        if name.is_ascii() {
            return;
        }
        match self.list(folder).map(|listed| listed.get(&key).is_some_and(|on| on.contains(&name_of_path))) {
            Ok(false) => {}
            Ok(true) => drop(self.problems.insert(in_folder(folder, name), ProblemKind::Busy)),
            Err(error) => self.note(folder, error),
        }
    }

    /// Lists a folder, once.
    fn list(&mut self, folder: &str) -> io::Result<&BTreeMap<String, Vec<String>>> {
        if !self.listed.contains_key(folder) {
            let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let listed = match found(self.fs.read_dir(&self.layout.root().join(folder))) {
                // Nothing is below a file.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory && !Linked::is(&error) => None,
                listed => listed?,
            };
            for (name, _) in listed.unwrap_or_default() {
                let (name, key) = key(&name.to_string_lossy());
                names.entry(key).or_default().push(name);
            }
            self.listed.insert(folder.to_owned(), names);
        }
        self.listed.get(folder).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Notes why nobody can tell what stands at a place: by the link above it, if there is one.
    fn note(&mut self, on_disk: &str, error: io::Error) {
        let link = if Linked::is(&error) { self.link_above(on_disk) } else { None };
        let (place, kind) = match link {
            Some(link) => (link, ProblemKind::Symlink),
            None if Linked::is(&error) => (on_disk, ProblemKind::Busy),
            None => (on_disk, ProblemKind::Unreadable(error.to_string())),
        };
        self.problems.insert(place.to_owned(), kind);
    }

    /// The first link on the way to a place.
    fn link_above<'p>(&self, on_disk: &'p str) -> Option<&'p str> {
        let ends = on_disk.match_indices('/').map(|(at, _)| at).chain([on_disk.len()]);
        let is_link = |place: &&str| {
            let stat = self.fs.lstat(&self.layout.root().join(place));
            stat.is_ok_and(|stat| stat.kind == FileKind::Symlink)
        };
        ends.filter_map(|at| on_disk.get(..at)).find(is_link)
    }
}

/// A name as that of a path, and its key.
fn key(name: &str) -> (String, String) {
    match VaultPath::new(name) {
        Ok(path) => (path.to_string(), path.fold_key()),
        Err(_) => (name.to_owned(), name.to_owned()),
    }
}
