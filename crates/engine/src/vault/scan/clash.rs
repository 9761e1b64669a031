//! Clashes of names: ensures one file per path on all file systems, whatever they make of letter
//! case and Unicode forms.
//!
//! Some disks can hold both `Nodes.json` and `nodes.json`, but most cannot. One of them is synced
//! and the other reported. The winner is the one already known, or else the one with the smaller
//! path by bytes. A file also clashes with a folder of the same name, and so with every file below
//! that.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::walk::Claim;
use super::{Problem, ProblemKind};
use crate::model::VaultPath;

/// Removes clashing files and reports them as problems. Returns the others, sorted by path. None if
/// some clash and `prefer` is none.
pub(super) fn settle(
    mut claims: Vec<Claim>,
    prefer: Option<&dyn Fn(&VaultPath) -> bool>,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Claim>> {
    claims.sort_by(|a, b| a.path.cmp(&b.path));
    if all_differ(&claims) {
        return Some(claims);
    }
    let prefer = prefer?;
    let mut ranked: Vec<(bool, Claim)> =
        claims.into_iter().map(|claim| (!prefer(&claim.path), claim)).collect();
    ranked
        .sort_by(|(a_new, a), (b_new, b)| (a_new, &a.path, a.on_disk()).cmp(&(b_new, &b.path, b.on_disk())));
    let mut taken = Taken::default();
    let mut standing = Vec::with_capacity(ranked.len());
    for (_, claim) in ranked {
        let key = claim.path.fold_key();
        match taken.by(&key) {
            Some(with) => problems.push(Problem {
                path: claim.on_disk().to_owned(),
                kind: ProblemKind::Clash { with: with.clone() },
            }),
            None => {
                taken.add(key, &claim.path);
                standing.push(claim);
            }
        }
    }
    standing.sort_by(|a, b| a.path.cmp(&b.path));
    Some(standing)
}

/// True if surely no claim, of those sorted by path, clashes with another one. Hashes of the keys
/// tell, so that an ordinary vault needs no copy of all its names.
fn all_differ(claims: &[Claim]) -> bool {
    let hasher = RandomState::new();
    let (mut files, mut above) = (HashSet::with_capacity(claims.len()), HashSet::new());
    let mut folder = "";
    for claim in claims {
        let key = claim.path.fold_key();
        if !files.insert(hasher.hash_one(key.as_str())) {
            return false;
        }
        let own = claim.path.folders().next().unwrap_or_default();
        if own != folder {
            folder = own;
            above.extend(folders(&key).map(|folder| hasher.hash_one(folder)));
        }
    }
    files.is_disjoint(&above)
}

/// Keys in use, each with a file that uses it.
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

/// Keys of the folders above, nearest first.
fn folders(key: &str) -> impl Iterator<Item = &str> {
    key.rmatch_indices('/').filter_map(|(at, _)| key.get(..at))
}
