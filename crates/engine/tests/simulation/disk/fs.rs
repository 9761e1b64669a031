//! The engine's side of a disk: the file-system port.

use std::io;
use std::path::Path;

use cogzy_engine::clock::Clock;
use cogzy_engine::fs::{Flush, Fs, Like, MountId, Names, Pinned, ReadFile, Replaced, WriteFile, has_signs};
use cogzy_engine::model::{FileKind, FileStat};
use cogzy_engine::planted::{Bug, planted};

use super::handles::{Flushing, Reading, Writing};
use super::places::{Stands, linked};
use super::slots::{exchange_slots, known, rename_slots, stat};
use super::state::{Ino, Slot, State};
use super::told::{Paths, absent_below_files, crashed, place};
use super::{Disk, ROOT, Site};
use crate::fuse::{Effect, Fuse};

/// A disk as one process sees it.
#[derive(Debug, Clone)]
pub struct SimFs {
    pub disk: Disk,
    pub fuse: Fuse,
    /// The root as this process has opened it; none where it was missing.
    root: Option<Ino>,
}

impl SimFs {
    pub fn new(disk: Disk, fuse: Fuse) -> Self {
        let root = disk.site().state.find(Path::new(ROOT)).ok();
        Self { disk, fuse, root }
    }

    /// The folder that all paths below the root are meant in.
    fn root(&self, state: &State) -> io::Result<Ino> {
        let other = state.places.stands == Stands::Other && planted(Bug::TrustTheRoot);
        let opened = if other { state.find(Path::new("/other")).ok() } else { self.root };
        opened.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The slot that a path names. Below the root no link is followed; outside of it links are
    /// followed as by the system.
    pub(super) fn slot(&self, state: &State, path: &Path) -> io::Result<Slot> {
        let slot = match path.strip_prefix(ROOT) {
            Ok(relative) if !planted(Bug::FollowLinks) || state.places.stands != Stands::Vault => {
                let name = relative.file_name().ok_or(io::ErrorKind::InvalidInput)?;
                if !state.kind.signs && name.to_str().is_some_and(has_signs) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                let above = relative.parent().unwrap_or(Path::new(""));
                let folder = state.folder_below(self.root(state)?, above)?;
                (folder, state.spelled(folder, name))
            }
            _ => state.slot(path)?,
        };
        state.places.came_to(slot.0, path);
        Ok(slot)
    }

    /// The inode at a path.
    fn find(&self, state: &State, path: &Path) -> io::Result<Ino> {
        if path == Path::new(ROOT) {
            return self.root_at_its_path(state);
        }
        let slot = self.slot(state, path)?;
        state.at(&slot).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn root_at_its_path(&self, state: &State) -> io::Result<Ino> {
        match state.places.stands {
            Stands::Vault => self.root(state),
            Stands::Nothing => Err(io::ErrorKind::NotFound.into()),
            Stands::Other if planted(Bug::TrustTheRoot) => self.root(state),
            Stands::Other => Err(io::Error::other(Replaced)),
        }
    }

    /// The folder at a path.
    fn folder(&self, state: &State, path: &Path) -> io::Result<Ino> {
        let ino = if path == Path::new(ROOT) { self.root(state)? } else { self.find(state, path)? };
        state.places.came_to(ino, path);
        match state.node(ino).kind {
            FileKind::Folder => Ok(ino),
            FileKind::Symlink => Err(linked()),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn names(&self, state: &State, path: &Path) -> io::Result<Names> {
        let folder = self.folder(state, path)?;
        Ok(state.list(folder).map(|(name, ino)| (name.clone(), state.node(ino).kind)).collect())
    }

    /// Takes part in a call that only looks.
    pub(super) fn look<T>(&self, work: impl FnOnce(&Site) -> io::Result<T>) -> io::Result<T> {
        if self.fuse.is_dead() {
            return Err(crashed());
        }
        let mut site = self.enter();
        self.fail(&mut site)?;
        work(&site)
    }

    /// Takes part in a call that changes something.
    pub(super) fn effect<T>(
        &self,
        what: &str,
        paths: &[&Path],
        grows: bool,
        work: impl FnOnce(&mut State, i64) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.fuse.is_dead() {
            return Err(crashed());
        }
        let names = Paths(paths);
        let place = paths.last().map_or("", |path| place(path));
        // Before the disk is locked, since the observer looks at it.
        self.fuse.look(Effect::Disk(what, place));
        let mut site = self.enter();
        if !self.fuse.spend() {
            self.disk.trace.note(format_args!("{} ✝ before {what} {names}", self.disk.name));
            self.disk.trace.mark(format!("crash before: {what} {place}"));
            return Err(crashed());
        }
        self.disk.trace.mark(format!("effect: {what} {place}"));
        self.disk.clock.tick();
        self.fail(&mut site)?;
        if site.faults.read_only {
            self.disk.trace.mark("disk read-only");
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if grows && site.faults.full {
            self.disk.trace.mark("disk full");
            return Err(io::ErrorKind::StorageFull.into());
        }
        let done = work(&mut site.state, self.disk.clock.now_ns());
        if paths.first().is_some_and(|path| path.ends_with("sync/applying")) {
            site.forget_modes_of_the_deleted();
        }
        match &done {
            Ok(_) => self.disk.trace.note(format_args!("{}   {what} {names}", self.disk.name)),
            Err(error) => {
                self.disk.trace.note(format_args!("{}   {what} {names}: {}", self.disk.name, error.kind()));
            }
        }
        done
    }

    /// Lets the user come first, if this is the moment.
    fn enter(&self) -> std::sync::MutexGuard<'_, Site> {
        let mut site = self.disk.site();
        if let Some((left, _)) = site.interruptions.last_mut() {
            if *left > 0 {
                *left -= 1;
            } else if let Some((_, op)) = site.interruptions.pop() {
                self.disk.trace.mark("edit in the middle of a cycle");
                self.disk.clock.tick();
                site.perform(&op, &self.disk);
                self.disk.clock.tick();
            }
        }
        if let Some((left, op)) = site.swaps.last_mut() {
            // A user whose disk is busy tries again.
            let waits = *left > 0 || self.disk.is_busy_for(op);
            if waits {
                *left = left.saturating_sub(1);
            } else if let Some((_, op)) = site.swaps.pop() {
                site.perform(&op, &self.disk);
            }
        }
        site
    }

    fn fail(&self, site: &mut Site) -> io::Result<()> {
        if site.faults.unmounted {
            self.disk.trace.mark("disk unmounted");
            return Err(io::ErrorKind::NotFound.into());
        }
        let one_in = site.faults.one_in;
        if site.rng.one_in(one_in) {
            let kind =
                if site.rng.chance(70) { io::ErrorKind::Other } else { io::ErrorKind::PermissionDenied };
            self.disk.trace.note(format_args!("{}   the disk fails: {kind}", self.disk.name));
            self.disk.trace.mark("disk error");
            return Err(io::Error::new(kind, "simulated"));
        }
        Ok(())
    }
}

impl Fs for SimFs {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.look(|site| Ok(stat(&site.state, absent_below_files(self.find(&site.state, path))?)))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Names> {
        self.look(|site| self.names(&site.state, path))
    }

    fn mode_of_new(&self, mode: u32) -> u32 {
        mode & !0o022
    }

    fn dress(&self, file: &Path, like: Like) -> io::Result<Vec<&'static str>> {
        let wanted = |state: &State| {
            let ino = self.find(state, file)?;
            let mode = match like {
                Like::File(old) => state.node(self.find(state, old)?).mode,
                Like::Folder(_) => self.mode_of_new(state.node(ino).mode),
            };
            Ok::<_, io::Error>((ino, mode, state.node(ino).mode == mode))
        };
        // A look that changes nothing is no moment of its own.
        let (.., is_right) = wanted(&self.disk.site().state)?;
        if !is_right {
            self.effect("dress", &[file], false, |state, now| {
                let (ino, mode, _) = wanted(state)?;
                let now = state.stamp(now);
                let node = state.node_mut(ino);
                (node.mode, node.ctime_ns) = (mode, now);
                Ok(())
            })?;
        }
        Ok(Vec::new())
    }

    fn may_place(&self, path: &Path) -> io::Result<()> {
        self.may_place_at(path)
    }

    fn mount(&self, path: &Path) -> io::Result<MountId> {
        self.look(|site| {
            self.folder(&site.state, path)?;
            Ok(site.state.places.mount(path))
        })
    }

    fn pin(&self, folder: &Path) -> io::Result<Pinned> {
        Ok(self.disk.pins.pin(self.mount(folder)?))
    }

    fn read_dir_on(&self, path: &Path) -> io::Result<(MountId, Names)> {
        self.look(|site| Ok((site.state.places.mount(path), self.names(&site.state, path)?)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let ino = self.look(|site| {
            let ino = absent_below_files(self.find(&site.state, path))?;
            let node = site.state.node(ino);
            match node.kind {
                FileKind::Symlink => Err(linked()),
                FileKind::File if node.mode & 0o400 == 0 => Err(io::ErrorKind::PermissionDenied.into()),
                FileKind::File => Ok(ino),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            }
        })?;
        Ok(Box::new(Reading { fs: self.clone(), ino, at: 0 }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let ino = self.effect("create", &[path], true, |state, now| {
            let slot = self.slot(state, path)?;
            if state.at(&slot).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let ino = state.add(FileKind::File, now);
            state.change(vec![(slot, Some(ino))], false, now);
            Ok(ino)
        })?;
        Ok(Box::new(Writing { fs: self.clone(), ino, path: path.to_owned() }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if self.look(|site| self.folder(&site.state, path)).is_ok() {
            return Ok(());
        }
        self.effect("make folder", &[path], true, |state, now| {
            let mut above: Vec<&Path> = path.ancestors().take_while(|at| *at != Path::new(ROOT)).collect();
            above.pop_if(|at| *at == Path::new("/"));
            for path in above.into_iter().rev() {
                match self.folder(state, path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        let slot = self.slot(state, path)?;
                        let ino = state.add(FileKind::Folder, now);
                        state.change(vec![(slot, Some(ino))], false, now);
                    }
                    found => drop(found?),
                }
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect("rename", &[from, to], false, |state, now| {
            let slots = (self.slot(state, from)?, self.slot(state, to)?);
            state.places.on_one_mount(from, to)?;
            rename_slots(state, (from, to), slots, false, now)
        })?;
        self.disk.site().note_respelled(from, to);
        Ok(())
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect("rename (new)", &[from, to], false, |state, now| {
            let (slot, target) = (self.slot(state, from)?, self.slot(state, to)?);
            let moved = state.at(&slot).ok_or(io::ErrorKind::NotFound)?;
            state.places.on_one_mount(from, to)?;
            // On a disk that ignores case, a file's own other spelling is not in its way.
            if state.at(&target).is_some_and(|there| state.kind.case || there != moved || slot != target) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if from != to && to.starts_with(from) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            rename_slots(state, (from, to), (slot, target), false, now)
        })
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.look(|site| known(site.state.kind.exchange))?;
        self.effect("exchange", &[one, other], false, |state, now| {
            let slots = (self.slot(state, one)?, self.slot(state, other)?);
            state.places.on_one_mount(one, other)?;
            exchange_slots(state, (one, other), slots, now)
        })?;
        self.disk.site().note_placed(other);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.look(|site| known(site.state.kind.links))?;
        self.effect("link", &[from, to], false, |state, now| {
            state.places.on_one_mount(from, to)?;
            let from = self.slot(state, from)?;
            let target = self.slot(state, to)?;
            let linked = state.at(&from).ok_or(io::ErrorKind::NotFound)?;
            if state.at(&target).is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if state.node(linked).kind == FileKind::Folder {
                return Err(io::ErrorKind::Unsupported.into());
            }
            state.change(vec![(target, Some(linked))], false, now);
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.effect("remove", &[path], false, |state, now| {
            let slot = self.slot(state, path)?;
            let ino = state.at(&slot).ok_or(io::ErrorKind::NotFound)?;
            if state.node(ino).kind == FileKind::Folder {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            state.change(vec![(slot, None)], false, now);
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.effect("remove folder", &[path], false, |state, now| {
            let slot = self.slot(state, path)?;
            let ino = state.at(&slot).ok_or(io::ErrorKind::NotFound)?;
            if state.node(ino).kind != FileKind::Folder {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            if state.is_mount_point(path) {
                return Err(io::ErrorKind::ResourceBusy.into());
            }
            if state.list(ino).next().is_some() {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            state.change(vec![(slot, None)], false, now);
            Ok(())
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.effect("sync folder", &[path], false, |state, _| {
            let folder = self.folder(state, path)?;
            state.sync_folder(folder);
            Ok(())
        })
    }

    fn begin_flush(&self, folder: &Path, files: usize) -> io::Result<Option<Box<dyn Flush>>> {
        Ok(Flushing::begin(self, folder, files))
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        self.look(|site| Ok(if site.faults.full { 0 } else { 1 << 40 }))
    }

    fn is_shared(&self) -> bool {
        false
    }
}
