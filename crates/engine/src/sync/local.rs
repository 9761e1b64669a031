//! What is here: a scan, turned into what the planner takes.

use std::collections::BTreeMap;

use super::report::{Trouble, Weight};
use crate::model::{FileStat, Tree, VaultPath};
use crate::plan::Blocked;
use crate::vault::{Names, Problem, ProblemKind, Scan};

/// The vault's files as a scan found them.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// What each file holds.
    pub(super) tree: Tree,
    /// The state each file was read in.
    pub(super) stats: BTreeMap<VaultPath, FileStat>,
    /// How names are spelled on disk.
    pub(super) names: Names,
    /// What cannot be judged.
    pub(super) blocked: Blocked,
    /// What cannot be synced as it is, for people.
    pub(super) troubles: Vec<Trouble>,
}

impl Local {
    pub(super) fn of(scan: Scan) -> Self {
        let mut local = Self { names: scan.names, ..Self::default() };
        for (path, found) in scan.files {
            if !found.settled {
                local.blocked.add(path.clone(), "it was written a moment ago and has not settled yet");
            }
            local.tree.insert(path.clone(), found.entry);
            local.stats.insert(path, found.stat);
        }
        for problem in &scan.problems {
            local.block(problem);
        }
        local
    }

    fn block(&mut self, problem: &Problem) {
        let weight = match problem.kind {
            ProblemKind::Busy => Weight::Passing,
            ProblemKind::Symlink | ProblemKind::Special => Weight::Skipped,
            _ => Weight::Lasting,
        };
        let message = problem.kind.to_string();
        self.troubles.push(Trouble { path: problem.path.clone(), message: message.clone(), weight });
        // A name that makes no path was never synced, so nothing in the base or the remote can be meant.
        let Ok(path) = VaultPath::new(&problem.path) else { return };
        if self.tree.contains_key(&path) {
            return; // The other spelling of a clash: what the path stands for was read.
        }
        match weight {
            Weight::Skipped => self.blocked.add_foreign(path, message),
            _ => self.blocked.add(path, message),
        }
    }
}
