use super::*;
use crate::model::{Digest, Group, Validate};

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn groups() -> Groups {
    let of = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect();
    Groups::new(vec![Group {
        name: "all".to_owned(),
        primary: of(&["corpus/*.json", "vectors/*.npy", "more/*"]),
        derived: of(&["indexes/**"]),
        validate: Validate::Off,
    }])
    .unwrap()
}

/// Files with a letter each, which stands for their content.
fn files(list: &[(&str, &str)]) -> Files {
    let entry = |content: &str| Entry {
        digest: Digest::of(content.as_bytes()),
        size: 1,
        mtime_ms: 0,
        mode: 0o644,
        rows: None,
    };
    list.iter().map(|(name, content)| (path(name), entry(content))).collect()
}

const NODES: [&str; 3] = ["corpus/nodes.json", "vectors/nodes.npy", "indexes/nodes.index"];

/// The usual three files, with contents, and more.
fn nodes(contents: [&str; 3], more: &[(&str, &str)]) -> Files {
    let mut all: Vec<(&str, &str)> = NODES.into_iter().zip(contents).collect();
    all.extend(more);
    all.retain(|(_, content)| !content.is_empty());
    files(&all)
}

fn divide(base: Option<Files>, here: &Files, there: &Files) -> Result<Division, String> {
    let versions =
        Versions { base, here: here.clone(), there: there.clone(), gone: BTreeMap::new(), seen: Vec::new() };
    versions.divide(&groups()).map_err(|error| error.to_string())
}

#[test]
fn a_corpus_merges_with_the_files_that_follow_it() {
    let (base, here, there) =
        (nodes(["b", "b", "b"], &[]), nodes(["h", "h", "h"], &[]), nodes(["t", "t", "t"], &[]));
    let division = divide(Some(base.clone()), &here, &there).unwrap();
    let [set] = division.sets.as_slice() else { panic!("{division:?}") };
    assert_eq!((set.corpus.as_str(), set.key.as_str()), ("corpus/nodes.json", "nodes"));
    let rows = [(Kind::Matrix, path("vectors/nodes.npy")), (Kind::Index, path("indexes/nodes.index"))];
    assert_eq!(set.rows, rows);
    assert!(division.taken.is_empty());
    // An index that does not stand is none that could go wrong.
    let without = nodes(["t", "t", ""], &[]);
    assert_eq!(divide(Some(base), &here, &without).unwrap().sets[0].rows.len(), 1);
}

#[test]
fn where_one_side_changed_nothing_the_other_one_is_taken_whole() {
    let (base, other) = (nodes(["b", "b", "b"], &[]), nodes(["x", "x", ""], &[]));
    assert_eq!(divide(Some(base.clone()), &base, &other).unwrap(), Division::default());
    let taken = divide(Some(base.clone()), &other, &base).unwrap();
    assert!(taken.sets.is_empty());
    assert_eq!(taken.taken[&path("indexes/nodes.index")], None, "an index of other rows stays");
    assert_eq!(taken.taken[&path("corpus/nodes.json")], other.get(&path("corpus/nodes.json")).copied());
    assert_eq!(divide(None, &other, &other).unwrap(), Division::default());
}

#[test]
fn each_corpus_of_a_group_is_judged_by_itself() {
    let of = |nodes_are: [&str; 3], other: &str, more: &str| {
        let more = [("corpus/e.json", other), ("vectors/e.npy", other), ("more/x", more)];
        nodes(nodes_are, &more)
    };
    let (base, here, there) =
        (of(["b", "b", "b"], "b", "b"), of(["h", "h", "h"], "h", "h"), of(["t", "t", "t"], "b", "b"));
    let division = divide(Some(base), &here, &there).unwrap();
    assert_eq!(division.sets.len(), 1);
    let taken: Vec<&str> = division.taken.keys().map(VaultPath::as_str).collect();
    assert_eq!(taken, ["corpus/e.json", "more/x", "vectors/e.npy"]);
}

#[test]
fn what_could_go_wrong_is_refused() {
    let base = nodes(["b", "b", "b"], &[]);
    let (here, there) = (nodes(["h", "h", "h"], &[]), nodes(["t", "t", "t"], &[]));
    let refused = |here: &Files, there: &Files| divide(Some(base.clone()), here, there).unwrap_err();
    let cases = [
        (nodes(["h", "", "h"], &[]), there.clone(), "set aside has no vectors/nodes.npy"),
        (here.clone(), nodes(["t", "", ""], &[]), "stands has no vectors/nodes.npy"),
        (
            nodes(["h", "h", "h"], &[("more/x", "h")]),
            nodes(["t", "t", "t"], &[("more/x", "t")]),
            "both versions changed more/x",
        ),
    ];
    for (here, there, words) in cases {
        let why = refused(&here, &there);
        assert!(why.contains(words), "{why}");
    }
}

/// Contents of the derived members once `result` is what the primary ones have become.
fn derived(
    here: &Files,
    there: &Files,
    result: [&str; 2],
    left_out: BTreeSet<VaultPath>,
) -> Vec<(String, String)> {
    let base = nodes(["b", "b", "b"], &[]);
    let versions = Versions {
        base: Some(base),
        here: here.clone(),
        there: there.clone(),
        gone: BTreeMap::new(),
        seen: Vec::new(),
    };
    let mut wanted: BTreeMap<VaultPath, Option<Entry>> = nodes([result[0], result[1], "m"], &[])
        .into_iter()
        .map(|(path, entry)| (path, Some(entry)))
        .collect();
    versions.settle_derived(&mut wanted, left_out, &groups());
    let mut after = there.clone();
    for (path, entry) in wanted {
        after.remove(&path);
        after.extend(entry.map(|entry| (path, entry)));
    }
    let name = |entry: &Entry| {
        let mut names = ["b", "h", "t", "m"].into_iter();
        names.find(|name| Digest::of(name.as_bytes()) == entry.digest).unwrap().to_owned()
    };
    let derived = after.iter().filter(|(path, _)| groups().is_derived(path));
    derived.map(|(path, entry)| (path.file_name().to_owned(), name(entry))).collect()
}

#[test]
fn derived_members_that_cannot_be_rewritten_are_left_out_unless_the_result_is_one_of_both_versions() {
    let (base, clusters) = (nodes(["b", "b", "b"], &[]), "indexes/clusters.json");
    let here = nodes(["h", "h", "h"], &[(clusters, "h"), ("indexes/x.bin", "h")]);
    let there = nodes(["t", "t", "t"], &[(clusters, "t")]);
    let division = divide(Some(base.clone()), &here, &there).unwrap();
    assert_eq!(division.left_out, BTreeSet::from([path(clusters)]));
    assert_eq!(division.sets[0].rows.len(), 2);
    // One that stands nowhere else cannot be rewritten either.
    let without = nodes(["h", "h", ""], &[]);
    let division = divide(Some(base), &without, &there).unwrap();
    assert_eq!(division.left_out, BTreeSet::from([path(clusters), path("indexes/nodes.index")]));
    assert_eq!(division.sets[0].rows.len(), 1);

    let told = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
    };
    let left_out = || BTreeSet::from([path(clusters)]);
    assert_eq!(derived(&here, &there, ["m", "m"], left_out()), told(&[("nodes.index", "m")]));
    assert_eq!(
        derived(&here, &there, ["t", "t"], left_out()),
        told(&[("clusters.json", "t"), ("nodes.index", "t")])
    );
    assert_eq!(
        derived(&here, &there, ["h", "h"], left_out()),
        told(&[("clusters.json", "h"), ("nodes.index", "h"), ("x.bin", "h")])
    );
    assert_eq!(derived(&here, &there, ["h", "t"], left_out()), told(&[("nodes.index", "m")]));
}

#[test]
fn a_base_without_vectors_or_without_anything_keeps_no_memories_from_being_merged() {
    let (here, there) = (nodes(["h", "h", ""], &[]), nodes(["t", "t", ""], &[]));
    for (base, files) in [(nodes(["b", "", ""], &[]), 1), (nodes(["", "b", ""], &[]), 0), (files(&[]), 0)] {
        let division = divide(Some(base.clone()), &here, &there).unwrap();
        let [set] = division.sets.as_slice() else { panic!("{division:?}") };
        assert_eq!((set.files_in(&base).len(), set.files_in(&here).len()), (files, 2));
    }
}
