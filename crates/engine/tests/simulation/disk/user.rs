//! The user's side of a disk: acts of the app, an editor or a person on the vault. They are durable
//! at once; a power cut takes only changes that the engine has not synced.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cogzy_engine::clock::Clock;
use cogzy_engine::fs::unescape;
use cogzy_engine::model::{Digest, FileKind, FileStat};
use unicode_normalization::UnicodeNormalization;

use super::mounts::is_ours;
use super::op::UserOp;
use super::slots::{create_folders, rename, stat};
use super::state::Ino;
use super::{Disk, Site};
use crate::pipeline;

/// The folder in which every device has its vault.
pub const ROOT: &str = "/vault";

pub fn absolute(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

impl Site {
    pub fn perform(&mut self, op: &UserOp, disk: &Disk) {
        if self.faults.hinders_users() {
            return;
        }
        let now = disk.clock.now_ns();
        let op = &self.respelled(op.clone());
        let held = self.held_open.last().map(|(path, _)| path.as_str());
        if self.state.places.hinders(op, held) {
            return;
        }
        disk.trace.note(format_args!("{} user {op}", disk.name));
        disk.trace.mark(op.mark());
        self.touched.extend(op.places());
        match op {
            UserOp::Replace(path, bytes) => self.replace(path, bytes, now),
            UserOp::Rewrite(path, bytes) => self.edit(path, |_| bytes.clone(), now),
            UserOp::Append(path, bytes) => self.edit(path, |old| [old, bytes].concat(), now),
            UserOp::Delete(path) => self.delete(path, now),
            UserOp::Together(files) => files.iter().for_each(|(path, bytes)| self.replace(path, bytes, now)),
            UserOp::DeleteTogether(paths) => {
                // A user who deletes a group deletes all of it: a folder that was moved away comes
                // back for that.
                paths.iter().for_each(|path| self.unlink_above(path, now));
                // While it arrives, the disk does not have all of it to delete.
                let whole = paths.iter().all(|path| self.file(path).is_some());
                if whole || self.file("sync/applying").is_none() {
                    paths.iter().for_each(|path| self.delete(path, now));
                }
            }
            UserOp::RenameFolder(from, to) => self.rename_folder(from, to, now),
            UserOp::Lock(path) => self.chmod(path, 0, now),
            UserOp::Unlock(path) => self.chmod(path, 0o644, now),
            UserOp::Disguise(path, byte) => self.disguise(path, *byte, now),
            UserOp::Recase(path) => self.recase(path, now),
            UserOp::Link(path) => self.link(path, now),
            UserOp::Unlink(path) => self.unlink(path, now),
            UserOp::DeleteFolder(folder) => {
                self.files_below(folder).iter().for_each(|(path, _)| self.delete(path, now));
            }
            UserOp::LinkFolder(path) => self.link_folder(path, now),
            UserOp::Root(stands) => self.stand(*stands, disk),
            UserOp::Mount(there) => self.mount(*there, disk, now),
            UserOp::Hold(path) => {
                if let Some(ino) = self.file(path) {
                    self.held_open.push((path.clone(), ino));
                }
            }
            UserOp::WriteHeld(bytes) => self.write_held(bytes, now),
        }
    }

    /// The file at `path`, if one is there; one behind a link has another path.
    pub fn file(&self, path: &str) -> Option<Ino> {
        let ino = self.state.find(&absolute(path)).ok()?;
        (self.state.node(ino).kind == FileKind::File && !self.is_behind_a_link(path)).then_some(ino)
    }

    /// The answer of `lstat` for a path of the vault.
    pub fn stat(&self, path: &str) -> Option<FileStat> {
        self.state.find(&absolute(path)).ok().map(|ino| stat(&self.state, ino))
    }

    fn is_link(&self, path: &str) -> bool {
        let found = self.state.find(&absolute(path));
        found.is_ok_and(|ino| self.state.node(ino).kind == FileKind::Symlink)
    }

    pub fn digest(&self, ino: Ino) -> Digest {
        self.state.node(ino).bytes.digest()
    }

    /// True if a link stands above `path`: what is there lies outside the vault, and is no affair
    /// of the vault's users.
    pub(super) fn is_behind_a_link(&self, path: &str) -> bool {
        path.match_indices('/').any(|(at, _)| self.is_link(&path[..at]))
    }

    /// All files below a folder, relative to the root of the vault.
    pub fn files_below(&self, folder: &str) -> Vec<(String, Ino)> {
        let mut files = Vec::new();
        if let Ok(ino) = self.state.find(&absolute(folder)) {
            self.collect(ino, folder.to_owned(), &mut files);
        }
        files
    }

    pub(super) fn collect(&self, folder: Ino, name: String, files: &mut Vec<(String, Ino)>) {
        for (child, ino) in self.state.list(folder) {
            let mut child = child.to_string_lossy().into_owned();
            if !child.is_ascii() {
                child = child.nfc().collect();
                if !self.state.kind.signs {
                    child = unescape(&child).into_owned();
                }
            }
            let path = if name.is_empty() { child.clone() } else { format!("{name}/{child}") };
            match self.state.node(ino).kind {
                FileKind::Folder => self.collect(ino, path, files),
                FileKind::File => files.push((path, ino)),
                FileKind::Symlink | FileKind::Special => {}
            }
        }
    }

    fn replace(&mut self, path: &str, bytes: &[u8], now: i64) {
        self.make_way(path, now);
        // What stood behind a link may be there again, under another letter case.
        let path = &self.spelled(path);
        let target = absolute(path);
        let fresh = target.with_extension("tmp");
        let (Ok(slot), ino) = (self.state.slot(&fresh), self.state.add(FileKind::File, now)) else { return };
        self.state.change(vec![(slot, Some(ino))], true, now);
        self.write(ino, bytes.to_vec(), now);
        let before = self.release(path);
        // Where no file was, the rights of an earlier one are forgotten.
        self.ledger.modes.remove(path);
        rename(&mut self.state, &fresh, &target, true, now).unwrap();
        self.ledger.saved(path, before, Digest::of(bytes));
        if pipeline::is_member(path) {
            self.ledger.half_written = pipeline::left_half_written(self, &self.ledger.versions);
            pipeline::note_missing_index(self, now);
        }
    }

    /// Writes to the file as it is; makes one where there is none.
    fn edit(&mut self, path: &str, change: impl Fn(&[u8]) -> Vec<u8>, now: i64) {
        let Some(ino) = self.file(path) else {
            let bytes = change(&[]);
            self.ledger.versions.add(&bytes, None);
            return self.replace(path, &bytes, now);
        };
        if self.state.node(ino).mode == 0 {
            return;
        }
        let bytes = change(&self.state.node(ino).bytes);
        let before = self.release(path);
        self.ledger.versions.add(&bytes, None);
        self.state.sync_path(&absolute(path));
        self.ledger.saved(path, before, Digest::of(&bytes));
        self.write(ino, bytes, now);
    }

    pub(super) fn write(&mut self, ino: Ino, bytes: Vec<u8>, now: i64) {
        let now = self.state.stamp(now);
        let node = self.state.node_mut(ino);
        node.bytes = Arc::new(bytes.into());
        node.synced = Some(Arc::clone(&node.bytes));
        (node.mtime_ns, node.ctime_ns) = (now, now);
        node.mode |= 0o600;
    }

    fn write_held(&mut self, bytes: &[u8], now: i64) {
        let Some((path, ino)) = self.held_open.pop() else { return };
        if !self.state.is_named(ino) {
            return;
        }
        // Its folder may have been renamed meanwhile, or moved away until a link goes.
        let named = |(at, there): (String, Ino)| (there == ino && !is_ours(&at)).then_some(at);
        let now_at = self.files_of_user().into_iter().find_map(named);
        let visible = now_at.is_some();
        let path = now_at.unwrap_or(path);
        self.state.sync_all();
        let (old, new) = (self.digest(ino), [&self.state.node(ino).bytes[..], bytes].concat());
        self.ledger.released_in_any_case(&path, old);
        // See [`Self::write`].
        self.ledger.modes.remove(&path);
        self.ledger.versions.add(&new, None);
        self.ledger.wrote(&path, Digest::of(&new));
        if !visible {
            // Once the trash has been looked at again, no third look follows.
            self.ledger.trash_is_enough(&path, Digest::of(&new));
        }
        self.write(ino, new, now);
    }

    pub(super) fn delete(&mut self, path: &str, now: i64) {
        if self.file(path).is_some() {
            self.release(path);
            self.ledger.deleted(path);
            let slot = self.state.slot(&absolute(path)).unwrap();
            self.state.change(vec![(slot, None)], true, now);
        }
    }

    fn disguise(&mut self, path: &str, byte: u8, now: i64) {
        let Some(ino) = self.file(path) else { return };
        let node = self.state.node(ino);
        let (mut bytes, mtime) = (node.bytes.to_vec(), node.mtime_ns);
        if let Some(last) = bytes.last_mut().filter(|_| node.mode != 0) {
            *last = if *last == byte { b'-' } else { byte };
            self.edit(path, |_| bytes.clone(), now);
            self.state.node_mut(ino).mtime_ns = mtime;
        }
    }

    fn link(&mut self, path: &str, now: i64) {
        // The file may be in a folder that was moved away, and comes back for this: perhaps under
        // another letter case.
        self.unlink_above(path, now);
        let path = &self.spelled(path);
        self.delete(path, now);
        self.make_way(path, now);
        let (slot, ino) = (self.state.slot(&absolute(path)).unwrap(), self.state.add(FileKind::Symlink, now));
        self.state.node_mut(ino).target = "/outside".into();
        self.state.change(vec![(slot, Some(ino))], true, now);
    }

    fn unlink(&mut self, path: &str, now: i64) {
        if self.is_link(path) {
            let slot = self.state.slot(&absolute(path)).unwrap();
            self.state.change(vec![(slot, None)], true, now);
            self.put_folder_back(path, now);
        }
    }

    /// Takes links away that stand in the place of folders above `path`.
    fn unlink_above(&mut self, path: &str, now: i64) {
        path.match_indices('/').for_each(|(at, _)| self.unlink(&path[..at], now));
    }

    /// All links in the vault.
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        let mut open = vec![String::new()];
        while let Some(folder) = open.pop() {
            let Ok(ino) = self.state.find(&absolute(&folder)) else { continue };
            for (name, child) in self.state.list(ino) {
                let path = format!("{folder}/{}", name.to_string_lossy()).trim_start_matches('/').to_owned();
                match self.state.node(child).kind {
                    FileKind::Folder => open.push(path),
                    FileKind::Symlink => links.push(path),
                    FileKind::File | FileKind::Special => {}
                }
            }
        }
        links
    }

    /// Removes anything that stands where a file or a folder is to be.
    fn make_way(&mut self, path: &str, now: i64) {
        // From above: behind a link that goes, a file may stand where a folder is to be.
        for (at, _) in path.match_indices('/') {
            self.unlink(&path[..at], now);
            self.delete(&path[..at], now);
        }
        self.unlink(path, now);
        self.files_below(path).iter().for_each(|(file, _)| self.delete(file, now));
        let mut folders = self.folders_below(path);
        folders.reverse();
        for folder in folders {
            let slot = self.state.slot(&folder).unwrap();
            self.state.change(vec![(slot, None)], true, now);
        }
        let parent = absolute(path).parent().unwrap().to_owned();
        create_folders(&mut self.state, &parent, true, now).unwrap();
        self.state.sync_path(&parent);
    }

    /// The folder at `path`, if one is there, and all below it, upper ones first.
    fn folders_below(&self, path: &str) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        let mut open = vec![absolute(path)];
        while let Some(at) = open.pop() {
            let Ok(ino) = self.state.find(&at) else { continue };
            if self.state.node(ino).kind == FileKind::Folder {
                open.extend(self.state.list(ino).map(|(name, _)| at.join(name)));
                folders.push(at);
            }
        }
        folders
    }

    fn rename_folder(&mut self, from: &str, to: &str, now: i64) {
        if self.is_behind_a_link(from) || self.is_behind_a_link(to) {
            return;
        }
        let files = self.files_below(from);
        let own = self.state.find(&absolute(from)).ok();
        let there = self.state.find(&absolute(to)).is_ok_and(|there| Some(there) != own);
        let recases = from != to && from.to_lowercase() == to.to_lowercase();
        let is_folder = |ino| self.state.node(ino).kind == FileKind::Folder;
        if there || files.is_empty() || !self.state.find(&absolute(from)).is_ok_and(is_folder) {
            return;
        }
        let parent = absolute(to).parent().unwrap().to_owned();
        if create_folders(&mut self.state, &parent, true, now).is_err() {
            // A file or a link stands where a folder is to be: nobody renames that way.
            return;
        }
        self.state.sync_path(&parent);
        for (path, ino) in files {
            let (digest, moved) = (self.digest(ino), path.replacen(from, to, 1));
            self.release(&path);
            if recases {
                self.ledger.recased(&path, &moved, digest);
            } else {
                self.ledger.deleted(&path);
                // A folder that gets its own name again is as it was.
                self.ledger.saved(&moved, (from == to).then_some(digest), digest);
            }
            self.state.sync_path(&absolute(&path));
        }
        rename(&mut self.state, &absolute(from), &absolute(to), true, now).unwrap();
    }

    fn chmod(&mut self, path: &str, mode: u32, now: i64) {
        let now = self.state.stamp(now);
        if let Some(ino) = self.file(path) {
            self.state.sync_path(&absolute(path));
            let node = self.state.node_mut(ino);
            (node.mode, node.ctime_ns) = (mode, now);
            self.ledger.modes.insert(path.to_owned(), mode);
        }
    }

    /// Notes that the user takes the file at `path`. Returns its content.
    pub(super) fn release(&mut self, path: &str) -> Option<Digest> {
        let digest = self.digest(self.file(path)?);
        self.ledger.modes.remove(path);
        self.ledger.released(path, digest);
        Some(digest)
    }
}

/// Makes the initial files of a vault before there is any syncer: a folder, and a configuration
/// with a secret in it.
impl Site {
    pub fn furnish(&mut self) {
        create_folders(&mut self.state, Path::new(ROOT), true, 0).unwrap();
        let slot = self.state.slot(&absolute("config.json")).unwrap();
        let ino = self.state.add(FileKind::File, 0);
        self.state.change(vec![(slot, Some(ino))], true, 0);
        self.write(ino, b"{\"api_key\":\"SECRET-KEY\"}".to_vec(), 0);
        self.furnish_outside();
    }
}
