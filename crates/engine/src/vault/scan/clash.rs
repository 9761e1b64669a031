//! One file for each path, whatever a file system makes of letter case and Unicode forms.
//!
//! On a disk that tells `Nodes.json` from `nodes.json`, both can exist; on most others they cannot. One is synced, the other
//! reported: the one that is known already, else the one whose path is smaller by bytes. A file also clashes with a folder of
//! its name, and so with every file below it.

use std::collections::HashMap;

use super::walk::Claim;
use super::{Problem, ProblemKind};
use crate::model::VaultPath;

/// The claims that stand, sorted by path; the others become problems.
pub(super) fn settle(
    claims: Vec<Claim>,
    prefer: &dyn Fn(&VaultPath) -> bool,
    problems: &mut Vec<Problem>,
) -> Vec<Claim> {
    let mut ranked: Vec<(bool, Claim)> =
        claims.into_iter().map(|claim| (!prefer(&claim.path), claim)).collect();
    ranked.sort_by(|(a_new, a), (b_new, b)| (a_new, &a.path, &a.on_disk).cmp(&(b_new, &b.path, &b.on_disk)));
    let mut taken = Taken::default();
    let mut standing = Vec::with_capacity(ranked.len());
    for (_, claim) in ranked {
        let key = claim.path.fold_key();
        match taken.by(&key) {
            Some(with) => problems
                .push(Problem { path: claim.on_disk, kind: ProblemKind::Clash { with: with.clone() } }),
            None => {
                taken.add(key, &claim.path);
                standing.push(claim);
            }
        }
    }
    standing.sort_by(|a, b| a.path.cmp(&b.path));
    standing
}

/// The keys that are in use, each with a file that uses it.
#[derive(Default)]
struct Taken {
    files: HashMap<String, VaultPath>,
    folders: HashMap<String, VaultPath>,
}

impl Taken {
    fn by(&self, key: &str) -> Option<&VaultPath> {
        let here = self.files.get(key).or_else(|| self.folders.get(key));
        here.or_else(|| folders(key).find_map(|folder| self.files.get(folder)))
    }

    fn add(&mut self, key: String, path: &VaultPath) {
        for folder in folders(&key) {
            if self.folders.contains_key(folder) {
                break;
            }
            self.folders.insert(folder.to_owned(), path.clone());
        }
        self.files.insert(key, path.clone());
    }
}

/// The keys of the folders above, nearest first.
fn folders(key: &str) -> impl Iterator<Item = &str> {
    key.rmatch_indices('/').filter_map(|(at, _)| key.get(..at))
}
