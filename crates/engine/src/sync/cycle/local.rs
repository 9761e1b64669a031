//! What is here: a scan, turned into what the planner takes.

use std::collections::BTreeMap;

use crate::model::{FileStat, Tree, VaultPath};
use crate::plan::Blocked;
use crate::sync::report::{About, Trouble, Weight};
use crate::vault::{Names, Problem, ProblemKind, Scan};

/// The vault's files as a scan found them.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// What each file holds.
    pub(crate) tree: Tree,
    /// The state each file was read in.
    pub(crate) stats: BTreeMap<VaultPath, FileStat>,
    /// How names are spelled on disk.
    pub(crate) names: Names,
    /// What cannot be judged.
    pub(crate) blocked: Blocked,
    /// What cannot be synced as it is, for people.
    pub(crate) troubles: Vec<Trouble>,
}

impl Local {
    pub(crate) fn of(scan: Scan) -> Self {
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
        let path = VaultPath::new(&problem.path).ok();
        let about = path.clone().map_or(About::Other, About::Path);
        self.troubles.push(Trouble { path: problem.path.clone(), about, message: message.clone(), weight });
        // A name that makes no path was never synced, so nothing in the base or the remote can be meant.
        let Some(path) = path else { return };
        if self.tree.contains_key(&path) {
            return; // The other spelling of a clash: what the path stands for was read.
        }
        match weight {
            Weight::Skipped => self.blocked.add_foreign(path, message),
            _ => self.blocked.add(path, message),
        }
    }
}
