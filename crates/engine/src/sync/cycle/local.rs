//! The local side: a scan, turned into the planner's input.
//!
//! Decided here: which names cannot be judged, and which are none of the vault's. Only reads; a
//! crash leaves nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{FileStat, SharedMap, Tree, VaultPath};
use crate::plan::Blocked;
use crate::sync::report::{About, Trouble, Weight};
use crate::vault::{Names, Problem, ProblemKind, Scan, Snapshots};

/// The vault's files as a scan found them.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// Files by path, with their contents.
    pub(crate) tree: Tree,
    /// State in which each file was read.
    pub(crate) stats: SharedMap<VaultPath, FileStat>,
    /// Spelling of names on disk.
    pub(crate) names: Names,
    /// Paths that cannot be judged.
    pub(crate) blocked: Blocked,
    /// Files among them that were written a moment ago.
    pub(super) unsettled: BTreeSet<VaultPath>,
    /// True where the next look may be at some places only.
    pub(super) plain: bool,
    /// Names that cannot be synced as they are, for people.
    pub(crate) troubles: Vec<Trouble>,
    /// Databases that were read as snapshots: a part of each stands beside its file.
    pub(super) in_parts: BTreeSet<VaultPath>,
    /// The snapshots themselves, which go with this.
    pub(super) snapshots: Option<Snapshots>,
    /// Companions of databases here that the remote has as files of their own, each with its
    /// database.
    pub(super) parted: BTreeMap<VaultPath, VaultPath>,
    /// Links and special files, each with the words for it.
    foreign: BTreeMap<VaultPath, &'static str>,
    /// Folders whose disk is not there, or on which one stands that cannot be taken in.
    pub(super) away: BTreeSet<VaultPath>,
    /// Folders on which a disk is mounted that the vault does not know yet.
    pub(super) new_mounts: Vec<VaultPath>,
}

impl Local {
    /// What a scan found. `known` is a tree whose paths are shared.
    pub(crate) fn of(scan: Scan, known: &Tree) -> Self {
        let Scan { names, new_mounts, in_parts, plain, .. } = scan;
        let mut local = Self { names, new_mounts, in_parts, plain, ..Self::default() };
        let mut known = known.keys().peekable();
        for (path, found) in scan.files {
            while known.next_if(|known| **known < path).is_some() {}
            let path = known.next_if(|known| **known == path).cloned().unwrap_or(path);
            if !found.settled {
                local.wait_to_settle(path.clone());
            }
            local.tree.insert(path.clone(), found.entry);
            local.stats.insert(path, found.stat);
        }
        for problem in &scan.problems {
            local.block(problem);
        }
        local
    }

    /// The same, with the snapshots that databases were read as.
    pub(super) fn with(self, snapshots: Snapshots) -> Self {
        Self { snapshots: Some(snapshots), ..self }
    }

    /// Files that are known already, in a plain vault.
    pub(super) fn known(
        tree: Tree,
        stats: SharedMap<VaultPath, FileStat>,
        unsettled: BTreeSet<VaultPath>,
        snapshots: Snapshots,
    ) -> Self {
        let snapshots = Some(snapshots);
        let mut local = Self { tree, stats, snapshots, plain: true, ..Self::default() };
        unsettled.into_iter().for_each(|path| local.wait_to_settle(path));
        local
    }

    fn wait_to_settle(&mut self, path: VaultPath) {
        self.blocked.add(path.clone(), "it was written a moment ago and has not settled yet");
        self.unsettled.insert(path);
    }

    pub(super) fn block(&mut self, problem: &Problem) {
        let weight = match problem.kind {
            ProblemKind::Busy => Weight::Passing,
            ProblemKind::Symlink | ProblemKind::Special => Weight::Skipped,
            ProblemKind::DiskAway | ProblemKind::OtherDisk => Weight::Unmounted,
            _ => Weight::Lasting,
        };
        let message = problem.kind.to_string();
        let path = VaultPath::new(&problem.path).ok();
        let about = path.clone().map_or(About::Other, About::Path);
        self.troubles.push(Trouble { path: problem.path.clone(), about, message: message.clone(), weight });
        // A name that makes no path was never synced, so nothing in the base or the remote has it.
        let Some(path) = path else { return };
        if self.tree.contains_key(&path) {
            return; // The other spelling of a clash: the file that the path stands for was read.
        }
        let what = match problem.kind {
            ProblemKind::Symlink => "a symbolic link",
            ProblemKind::Special => "neither a file nor a folder",
            ProblemKind::DiskAway | ProblemKind::OtherDisk => {
                self.away.insert(path.clone());
                return self.blocked.add(path, message);
            }
            _ => return self.blocked.add(path, message),
        };
        self.foreign.insert(path.clone(), what);
        self.blocked.add_foreign(path, message);
    }

    /// True for a name behind which nothing can be seen that is to be sent: that of a link, of a
    /// special file, or of a folder whose disk is away.
    pub(crate) fn hides(&self, path: &VaultPath) -> bool {
        self.foreign.contains_key(path) || self.away.contains(path)
    }

    /// Reports links and special files that stand where `base` or `remote` have files: such files
    /// are neither gone nor sent nor fetched, and the user has to know.
    pub(crate) fn name_what_blocks(&mut self, base: &Tree, remote: &Tree) {
        for trouble in &mut self.troubles {
            let About::Path(place) = &trouble.about else { continue };
            let Some(what) = self.foreign.get(place) else { continue };
            let known =
                below(base, place).chain(below(remote, place).filter(|path| !base.contains_key(*path)));
            let files = known.count();
            if files > 0 {
                let files = if files == 1 { "a synced file".to_owned() } else { format!("{files} files") };
                trouble.message = format!(
                    "it is now {what}, where {files} stood: nothing is read or written through it, and nothing is deleted for it"
                );
                trouble.weight = Weight::Blocked;
            }
        }
    }
}

/// Paths of a tree that are `place` or lie below it.
pub(super) fn below<'a>(tree: &'a Tree, place: &'a VaultPath) -> impl Iterator<Item = &'a VaultPath> {
    let from_there = tree.range(place.clone()..).map(|(path, _)| path);
    let near = from_there.take_while(move |path| path.as_str().starts_with(place.as_str()));
    // Between a folder and its files stand names that only begin like it.
    near.filter(move |path| {
        let rest = path.as_str().strip_prefix(place.as_str()).unwrap_or_default();
        rest.is_empty() || rest.starts_with('/')
    })
}
