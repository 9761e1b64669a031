//! Cutting a push into commits: nothing is cut that belongs together, and no commit in between
//! leaves the vault without what both its beginning and its end have.

use proptest::prelude::*;

use super::*;
use crate::plan::{Limits, batches, in_the_way};

const PATHS: [&str; 9] = ["a", "A", "a/b", "a/b/c", "b", "b/c", "c", "d", "e"];
const ONE_BY_ONE: Limits = Limits { described: 0, content: 0, enclosed: 0, enclosed_after: 0 };

fn entry(content: u8) -> Entry {
    Entry {
        digest: Digest::of(&[content]),
        size: u64::from(content),
        mode: 0o600,
        mtime_ms: i64::from(content),
        rows: None,
    }
}

/// A manifest that a disk can hold: no two names clash.
fn tree() -> impl Strategy<Value = Tree> {
    prop::collection::vec((0..PATHS.len(), 0..5_u8), 0..8).prop_map(|files| {
        let mut tree = Tree::new();
        for (path, content) in files {
            let path: VaultPath = PATHS[path].parse().unwrap();
            let clash = |other: &VaultPath| other != &path && clashes(other, &path);
            if !tree.keys().any(clash) {
                tree.insert(path, entry(content));
            }
        }
        tree
    })
}

fn clashes(one: &VaultPath, other: &VaultPath) -> bool {
    let [one, other] = [one, other].map(VaultPath::fold_key);
    one == other || one.starts_with(&format!("{other}/")) || other.starts_with(&format!("{one}/"))
}

fn steps(from: &Tree, to: &Tree) -> Vec<Step> {
    let paths: BTreeSet<&VaultPath> = from.keys().chain(to.keys()).collect();
    let changed = paths.into_iter().filter(|path| from.get(*path) != to.get(*path));
    let step = |path: &VaultPath| Step {
        item: Item::File(path.clone()),
        action: Action::Push,
        files: vec![FileStep {
            path: path.clone(),
            from: from.get(path).copied(),
            to: to.get(path).copied(),
        }],
        agreed: Vec::new(),
    };
    changed.map(step).collect()
}

fn after(tree: &mut Tree, batch: &[&Step]) {
    for file in batch.iter().flat_map(|step| &step.files) {
        crate::model::set_entry(tree, file.path.clone(), file.to);
    }
}

fn digests(tree: &Tree) -> BTreeSet<Digest> {
    tree.values().filter(|entry| entry.size > 0).map(|entry| entry.digest).collect()
}

proptest! {
    #[test]
    fn every_commit_of_a_cut_push_is_a_whole_vault(from in tree(), to in tree(), limit in 0..600_u64) {
        let steps = steps(&from, &to);
        let refs: Vec<&Step> = steps.iter().collect();
        let limits = Limits { content: 8, described: limit, ..ONE_BY_ONE };
        let cut = batches(&refs, &[], &[], 64, limits);
        let lasting: BTreeSet<Digest> = digests(&from).intersection(&digests(&to)).copied().collect();
        let mut tree = from;
        for batch in &cut {
            prop_assert!(!batch.is_empty());
            after(&mut tree, batch);
            let there = digests(&tree);
            prop_assert!(lasting.is_subset(&there), "a content is gone for a while: {cut:?}");
            prop_assert!(tree.keys().all(|path| in_the_way(&tree, path).is_none()), "{cut:?}");
            let names: BTreeSet<String> = tree.keys().map(VaultPath::fold_key).collect();
            prop_assert_eq!(names.len(), tree.len(), "names clash for a while: {:?}", cut);
        }
        prop_assert_eq!(tree, to);
        prop_assert_eq!(cut.iter().map(Vec::len).sum::<usize>(), steps.len());
    }

    #[test]
    fn what_belongs_together_is_never_cut(
        from in tree(),
        to in tree(),
        bound in prop::collection::btree_set(0..PATHS.len(), 1..4),
    ) {
        let steps = steps(&from, &to);
        let refs: Vec<&Step> = steps.iter().collect();
        let set: BTreeSet<Item> = bound.into_iter().map(|path| Item::File(PATHS[path].parse().unwrap())).collect();
        let cut = batches(&refs, std::slice::from_ref(&set), &[], 64, ONE_BY_ONE);
        let with = cut.iter().filter(|batch| batch.iter().any(|step| set.contains(&step.item)));
        prop_assert!(with.count() <= 1, "{cut:?}");
    }
}

#[test]
fn small_files_go_first_and_a_commit_is_as_large_as_it_may_be() {
    let files: Vec<(String, u64)> =
        (0..40).map(|number| (format!("f{number:02}"), 1_u64 << (number % 20))).collect();
    let to: Tree = files
        .iter()
        .map(|(path, size)| {
            let digest = Digest::of(path.as_bytes());
            (path.parse().unwrap(), Entry { digest, size: *size, mode: 0o600, mtime_ms: 0, rows: None })
        })
        .collect();
    let steps = steps(&Tree::new(), &to);
    let refs: Vec<&Step> = steps.iter().collect();
    let size = |batch: &Vec<&Step>| {
        batch.iter().flat_map(|step| &step.files).map(|file| file.to.unwrap().size).sum::<u64>()
    };
    let cut =
        batches(&refs, &[], &[], 64 << 10, Limits { described: 1 << 20, content: 1 << 19, ..ONE_BY_ONE });
    let sizes: Vec<u64> = cut.iter().map(size).collect();
    assert!(sizes.iter().all(|size| *size <= 1 << 19), "{sizes:?}");
    assert!(sizes.len() <= 5, "{sizes:?}");
    let largest = |batch: &Vec<&Step>| {
        batch.iter().flat_map(|step| &step.files).map(|file| file.to.unwrap().size).max()
    };
    assert!(cut.windows(2).all(|pair| largest(&pair[0]) <= largest(&pair[1])), "small files go first");
    let whole = batches(&refs, &[], &[], 64 << 10, Limits::default());
    assert_eq!(whole.len(), 1);
}
