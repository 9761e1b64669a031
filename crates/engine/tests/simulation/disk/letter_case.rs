//! The letter case of a user's files, on disks that ignore it.

use std::path::Path;

use cogzy_engine::model::FileKind;
use unicode_normalization::UnicodeNormalization;

use super::Site;
use super::mounts::is_ours;
use super::op::UserOp;
use super::slots::rename;
use super::user::{ROOT, absolute};

impl Site {
    /// The same act, for the file that is there under another letter case: a user makes no second
    /// one beside it.
    pub(super) fn respelled(&self, mut op: UserOp) -> UserOp {
        if let UserOp::Replace(path, _)
        | UserOp::Rewrite(path, _)
        | UserOp::Append(path, _)
        | UserOp::Disguise(path, _)
        | UserOp::Delete(path)
        | UserOp::Lock(path)
        | UserOp::Unlock(path)
        | UserOp::Recase(path)
        | UserOp::Link(path)
        | UserOp::Hold(path) = &mut op
        {
            *path = self.spelled(path);
        }
        if let UserOp::RenameFolder(folder, _) | UserOp::DeleteFolder(folder) | UserOp::LinkFolder(folder) =
            &mut op
        {
            *folder = self.spelled_folder(folder);
        }
        op
    }

    /// The path, as the file that is there is spelled.
    pub(super) fn spelled(&self, path: &str) -> String {
        let same = |there: &String| there.to_lowercase() == path.to_lowercase() && !is_ours(there);
        let there: Vec<String> =
            self.files_below("").into_iter().map(|(there, _)| there).filter(same).collect();
        if let Some(first) = there.first() {
            return if there.iter().any(|there| there == path) { path.to_owned() } else { first.clone() };
        }
        match path.rsplit_once('/') {
            Some((folder, name)) => format!("{}/{name}", self.spelled_folder(folder)),
            None => path.to_owned(),
        }
    }

    /// The path of a folder, with each name as it is spelled where a folder is there.
    fn spelled_folder(&self, path: &str) -> String {
        let mut spelled = String::new();
        for name in path.split('/') {
            let above = self.state.find(&absolute(&spelled));
            let listed = above.into_iter().flat_map(|above| self.state.list(above));
            let folders = listed.filter(|(_, ino)| self.state.node(*ino).kind == FileKind::Folder);
            let folders: Vec<String> =
                folders.map(|(there, _)| there.to_string_lossy().into_owned()).collect();
            let same = |there: &&String| there.to_lowercase() == name.to_lowercase();
            let alike = folders.iter().find(same).filter(|_| !folders.iter().any(|there| there == name));
            if !spelled.is_empty() {
                spelled.push('/');
            }
            spelled.push_str(alike.map_or(name, String::as_str));
        }
        spelled
    }

    /// Notes that the engine has renamed a folder in letter case alone, with the files in it.
    pub fn note_respelled(&mut self, from: &Path, to: &Path) {
        let relative = |path: &Path| Some(path.strip_prefix(ROOT).ok()?.to_str()?.to_owned());
        let (Some(from), Some(to)) = (relative(from), relative(to)) else { return };
        if from == to || from.to_lowercase() != to.to_lowercase() || is_ours(&from) {
            return;
        }
        for (path, ino) in self.files_below(&to) {
            let before = format!("{from}{}", &path[to.len()..]);
            self.ledger.recased(&before, &path, self.digest(ino));
        }
    }

    pub(super) fn recase(&mut self, path: &str, now: i64) {
        let Some(ino) = self.file(path) else { return };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let upper = name.to_uppercase();
        let other = if name == upper { name.to_lowercase() } else { upper };
        let (to, digest) = (format!("{folder}/{other}"), self.digest(ino));
        if self.state.find(&absolute(&to)).is_ok_and(|there| there != ino) {
            return self.delete(path, now);
        }
        self.release(path);
        self.ledger.recased(path, &to, digest);
        self.state.sync_path(&absolute(path));
        rename(&mut self.state, &absolute(path), &absolute(&to), true, now).unwrap();
    }

    /// Notes a version that the engine has put at a name which its user had given another letter
    /// case: it stands under the user's.
    pub fn note_placed(&mut self, place: &Path) {
        let Some(path) = place.strip_prefix(ROOT).ok().and_then(Path::to_str) else { return };
        let path: String = path.nfc().collect();
        let shown = self.spelled(&path);
        if let Some(ino) = self.file(&shown).filter(|_| shown != path) {
            let digest = self.digest(ino);
            self.ledger.placed_under(&shown, digest);
        }
    }
}
