//! Checks a few files again, by name and metadata only. Nothing is read.

use std::collections::BTreeMap;
use std::io;

use crate::fs::{At, Fs, IoAt, found};
use crate::model::{FileKind, FileStat, VaultPath, in_folder};
use crate::vault::Layout;

/// Finds the files for which `wanted` holds, with their current metadata. If a path has several
/// spellings, each is listed. Only folders for which `enters` holds are visited.
///
/// # Errors
/// If a folder cannot be listed, because its contents are unknown then.
pub fn members(
    fs: &dyn Fs,
    layout: &Layout,
    wanted: &dyn Fn(&VaultPath) -> bool,
    enters: &dyn Fn(&VaultPath) -> bool,
) -> Result<BTreeMap<VaultPath, Vec<FileStat>>, IoAt> {
    let mut members: BTreeMap<VaultPath, Vec<FileStat>> = BTreeMap::new();
    let mut open = vec![String::new()];
    while let Some(folder) = open.pop() {
        let place = layout.root().join(&folder);
        let listed = match fs.read_dir(&place) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            listed => listed.at("list", &place)?,
        };
        for (name, kind) in listed {
            let on_disk = name.to_str().map(|name| in_folder(&folder, name));
            let Some((path, on_disk)) =
                on_disk.and_then(|on_disk| Some((VaultPath::new(&on_disk).ok()?, on_disk)))
            else {
                // Such a name is never synced.
                continue;
            };
            match kind {
                FileKind::Folder if enters(&path) => open.push(on_disk),
                FileKind::File if wanted(&path) => {
                    let place = layout.root().join(&on_disk);
                    let stat = found(fs.lstat(&place)).at("look at", &place)?;
                    members.entry(path).or_default().extend(stat);
                }
                _ => {}
            }
        }
    }
    Ok(members)
}
