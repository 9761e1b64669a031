//! Lists the folders.

use super::{Problem, ProblemKind, ScanError, ScanOptions, ScanProgress};
use crate::fs::{At, Fs, MountId, Names};
use crate::model::sqlite::main_of;
use crate::model::{FileKind, VaultPath, in_folder};
use crate::planted::{Bug, planted};
use crate::vault::mounts::read_mark;
use crate::vault::{FileChanged, Layout, Mounts, Verdict};

/// File that claims a path.
#[derive(Debug)]
pub(super) struct Claim {
    pub path: VaultPath,
    /// Path relative to the root, as spelled on disk, where that is another spelling.
    other: Option<Box<str>>,
}

impl Claim {
    /// The claim of a file that is spelled so on the disk, relative to the root.
    pub fn new(path: VaultPath, on_disk: &str) -> Self {
        let other = (path.as_str() != on_disk).then(|| on_disk.into());
        Self { path, other }
    }

    /// Path relative to the root, as spelled on disk.
    pub fn on_disk(&self) -> &str {
        self.other.as_deref().unwrap_or(self.path.as_str())
    }

    /// The folder that it stands in, as the disk spells it; empty for the root.
    pub fn folder(&self) -> &str {
        self.on_disk().rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name in that folder.
    pub fn name(&self) -> &str {
        self.on_disk().rsplit_once('/').map_or(self.on_disk(), |(_, name)| name)
    }
}

/// Result of listing all folders.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub files: Vec<Claim>,
    /// Folders that were entered, each after its parent.
    pub folders: Vec<(VaultPath, String)>,
    /// Folders on which a disk is mounted that the vault does not know yet.
    pub new_mounts: Vec<VaultPath>,
    /// Files, synced or not, that may stand beside a database, as spelled on disk.
    pub companions: Vec<String>,
    pub problems: Vec<Problem>,
}

/// Folder that is still to be listed.
struct Open {
    path: VaultPath,
    on_disk: String,
    /// The mount that the folder above it stands on.
    above: MountId,
}

pub(super) fn walk(
    fs: &dyn Fs,
    layout: &Layout,
    mounts: &Mounts,
    options: &ScanOptions,
) -> Result<Walked, ScanError> {
    let mut walked = Walked::default();
    // An unreadable root is an error, not a problem in the result: nothing is known about the
    // vault.
    let (mount, names) = fs.read_dir_on(layout.root()).at("list", layout.root())?;
    let open = sort(names, "", mount, options, &mut walked);
    enter_all(fs, layout, mounts, open, options, &mut walked);
    walked.miss(mounts, options);
    Ok(walked)
}

/// Lists one folder, whose name is spelled as its path, and all below it. `above` is the mount that
/// it should stand on.
pub(super) fn walk_in(
    fs: &dyn Fs,
    layout: &Layout,
    mounts: &Mounts,
    folder: &VaultPath,
    above: MountId,
    options: &ScanOptions,
) -> Walked {
    let mut walked = Walked::default();
    let open = vec![Open { path: folder.clone(), on_disk: folder.as_str().to_owned(), above }];
    enter_all(fs, layout, mounts, open, options, &mut walked);
    walked
}

fn enter_all(
    fs: &dyn Fs,
    layout: &Layout,
    mounts: &Mounts,
    mut open: Vec<Open>,
    options: &ScanOptions,
    walked: &mut Walked,
) {
    while let Some(folder) = open.pop() {
        match enter(fs, layout, mounts, &folder, options, walked) {
            Ok(deeper) => open.extend(deeper),
            // It was there just now, so it is being moved and is not absent.
            Err(error) if FileChanged::is(&error) => {
                walked.problem(folder.on_disk.clone(), ProblemKind::Busy);
            }
            Err(_) if planted(Bug::EmptyListing) => {}
            Err(error) => {
                walked.problem(folder.on_disk.clone(), ProblemKind::Unreadable(error.to_string()));
            }
        }
        walked.folders.push((folder.path, folder.on_disk));
        (options.progress)(ScanProgress { files: walked.files.len() as u64, ..ScanProgress::default() });
    }
}

/// Lists a folder, if the disk stands there that belongs there.
fn enter(
    fs: &dyn Fs,
    layout: &Layout,
    mounts: &Mounts,
    folder: &Open,
    options: &ScanOptions,
    walked: &mut Walked,
) -> std::io::Result<Vec<Open>> {
    let place = layout.root().join(&folder.on_disk);
    let (mount, names) = fs.read_dir_on(&place)?;
    let is_mount = mount != folder.above;
    match mounts.mark(&folder.on_disk) {
        Some(_) if !is_mount => {
            walked.problem(folder.on_disk.clone(), ProblemKind::DiskAway);
            return Ok(Vec::new());
        }
        Some(mark) if read_mark(fs, &place)?.as_deref() != Some(mark) => {
            walked.problem(folder.on_disk.clone(), ProblemKind::OtherDisk);
            return Ok(Vec::new());
        }
        None if is_mount && !planted(Bug::ForgetMounts) => walked.new_mounts.push(folder.path.clone()),
        _ => {}
    }
    Ok(sort(names, &folder.on_disk, mount, options, walked))
}

impl Walked {
    /// Names the mounts whose very folder is gone.
    fn miss(&mut self, mounts: &Mounts, options: &ScanOptions) {
        for folder in mounts.folders().filter(|folder| mounts.mark(folder).is_some()) {
            let met = self.folders.iter().any(|(_, on_disk)| on_disk == folder);
            let wanted = VaultPath::new(folder).is_ok_and(|path| !options.filter.prunes(&path));
            if !met && wanted {
                self.problem(folder.to_owned(), ProblemKind::DiskAway);
            }
        }
    }

    fn problem(&mut self, path: String, kind: ProblemKind) {
        self.problems.push(Problem { path, kind });
    }
}

/// Sorts the names in one folder into `walked`. Returns the folders to enter, the last first.
fn sort(
    mut names: Names,
    on_disk: &str,
    above: MountId,
    options: &ScanOptions,
    walked: &mut Walked,
) -> Vec<Open> {
    names.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut deeper = Vec::new();
    let filter = options.filter;
    let prunes = |path: &_| filter.prunes(path);
    let leads_to = |path: &_| filter.leads_to(path) && !planted(Bug::TrustTheListing);
    for (name, kind) in names {
        let Some(text) = name.to_str() else {
            walked.problem(in_folder(on_disk, &name.to_string_lossy()), ProblemKind::NotUtf8);
            continue;
        };
        let on_disk = in_folder(on_disk, text);
        let path = match VaultPath::new(&on_disk) {
            Ok(path) => path,
            Err(error) => {
                walked.problem(on_disk, ProblemKind::BadName(error));
                continue;
            }
        };
        if kind == FileKind::File && main_of(&on_disk).is_some() {
            walked.companions.push(on_disk.clone());
        }
        let wanted = || filter.verdict(&path) == Verdict::Synced;
        match kind {
            FileKind::Folder if prunes(&path) => {}
            FileKind::Folder => deeper.push(Open { path, on_disk, above }),
            FileKind::File if wanted() => walked.files.push(Claim::new(path, &on_disk)),
            FileKind::File => {}
            // A link in the place of an excluded folder does not matter. One that is no synced name
            // may stand where a folder with synced files stood. Where the includes do not tell, the
            // second look at those files finds it.
            FileKind::Symlink | FileKind::Special if prunes(&path) || !wanted() && !leads_to(&path) => {}
            FileKind::Symlink => walked.problem(on_disk, ProblemKind::Symlink),
            FileKind::Special => walked.problem(on_disk, ProblemKind::Special),
        }
    }
    deeper
}
