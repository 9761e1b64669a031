//! Lists the folders.

use std::path::Path;

use super::{Problem, ProblemKind, ScanError, ScanOptions, ScanProgress};
use crate::fs::{At, Fs};
use crate::model::{FileKind, VaultPath};
use crate::planted::{Bug, planted};
use crate::vault::{FileChanged, Layout, Verdict};

/// File that claims a path.
#[derive(Debug)]
pub(super) struct Claim {
    pub path: VaultPath,
    /// Path relative to the root, as spelled on disk.
    pub on_disk: String,
}

impl Claim {
    /// The folder that it stands in, as the disk spells it; empty for the root.
    pub fn folder(&self) -> &str {
        self.on_disk.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its name in that folder.
    pub fn name(&self) -> &str {
        self.on_disk.rsplit_once('/').map_or(&self.on_disk, |(_, name)| name)
    }
}

/// Result of listing all folders.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub files: Vec<Claim>,
    /// Folders that were entered, each after its parent.
    pub folders: Vec<(VaultPath, String)>,
    pub problems: Vec<Problem>,
}

pub(super) fn walk(fs: &dyn Fs, layout: &Layout, options: &ScanOptions) -> Result<Walked, ScanError> {
    let mut walked = Walked::default();
    // An unreadable root is an error, not a problem in the result: nothing is known about the
    // vault.
    let mut open = list(fs, layout.root(), "", options, &mut walked).at("list", layout.root())?;
    while let Some((path, on_disk)) = open.pop() {
        match list(fs, &layout.root().join(&on_disk), &on_disk, options, &mut walked) {
            Ok(deeper) => open.extend(deeper),
            // It was there just now, so it is being moved and is not absent.
            Err(error) if FileChanged::is(&error) => walked.problem(on_disk.clone(), ProblemKind::Busy),
            Err(_) if planted(Bug::EmptyListing) => {}
            Err(error) => walked.problem(on_disk.clone(), ProblemKind::Unreadable(error.to_string())),
        }
        walked.folders.push((path, on_disk));
        (options.progress)(ScanProgress { files: walked.files.len() as u64, ..ScanProgress::default() });
    }
    Ok(walked)
}

impl Walked {
    fn problem(&mut self, path: String, kind: ProblemKind) {
        self.problems.push(Problem { path, kind });
    }
}

/// Lists one folder into `walked`. Returns the folders to enter, the last first.
fn list(
    fs: &dyn Fs,
    folder: &Path,
    on_disk: &str,
    options: &ScanOptions,
    walked: &mut Walked,
) -> std::io::Result<Vec<(VaultPath, String)>> {
    let mut names = fs.read_dir(folder)?;
    names.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut deeper = Vec::new();
    for (name, kind) in names {
        let below =
            |name: &str| if on_disk.is_empty() { name.to_owned() } else { format!("{on_disk}/{name}") };
        let Some(text) = name.to_str() else {
            walked.problem(below(&name.to_string_lossy()), ProblemKind::NotUtf8);
            continue;
        };
        let on_disk = below(text);
        let path = match VaultPath::new(&on_disk) {
            Ok(path) => path,
            Err(error) => {
                walked.problem(on_disk, ProblemKind::BadName(error));
                continue;
            }
        };
        let wanted = || options.filter.verdict(&path) == Verdict::Synced;
        match kind {
            FileKind::Folder if options.filter.prunes(&path) => {}
            FileKind::Folder => deeper.push((path, on_disk)),
            FileKind::File if wanted() => walked.files.push(Claim { path, on_disk }),
            FileKind::File => {}
            // A link in the place of an excluded folder does not matter.
            FileKind::Symlink | FileKind::Special if !wanted() || options.filter.prunes(&path) => {}
            FileKind::Symlink => walked.problem(on_disk, ProblemKind::Symlink),
            FileKind::Special => walked.problem(on_disk, ProblemKind::Special),
        }
    }
    Ok(deeper)
}
