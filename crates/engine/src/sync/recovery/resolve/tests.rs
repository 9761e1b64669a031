use super::*;
use crate::model::{DeviceId, Digest, Group, Groups, Hlc, Kept, Origin, Validate};

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn entry(text: &str) -> Entry {
    Entry {
        digest: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        mtime_ms: 0,
        mode: 0o644,
        rows: None,
    }
}

/// A vault with a group of two primary members and an index, and with `files`.
fn head(files: &[(&str, &str)]) -> Snapshot {
    let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let primary = list(&["corpus/nodes.json", "vectors/nodes.npy"]);
    let group =
        Group { name: "nodes".into(), primary, derived: list(&["indexes/**"]), validate: Validate::Off };
    let tree = files.iter().map(|(name, text)| (path(name), entry(text))).collect();
    Snapshot { groups: Groups::new(vec![group]).unwrap(), tree, ..Snapshot::default() }
}

fn lost(item: Item, files: &[(&str, Option<&str>)], device: &str) -> Conflict {
    let files = files.iter().map(|(name, text)| Kept { path: path(name), entry: text.map(entry) }).collect();
    let txn = Hlc { wall_ms: 1_795_000_000_000, logical: 0, device: DeviceId::from_bytes([1; 8]) };
    Conflict::new(item, files, Some(Origin { device: device.into(), txn }))
}

fn names(wanted: &Wanted) -> Vec<(String, bool)> {
    wanted.iter().map(|(path, entry)| (path.to_string(), entry.is_some())).collect()
}

#[test]
fn a_group_comes_back_as_a_whole() {
    let head = head(&[
        ("corpus/nodes.json", "new"),
        ("vectors/nodes.npy", "new"),
        ("indexes/x", "new"),
        ("other", "o"),
    ]);
    let conflict = lost(Item::Group("nodes".into()), &[("corpus/nodes.json", Some("old"))], "laptop");
    let expected = [("corpus/nodes.json", true), ("indexes/x", false), ("vectors/nodes.npy", false)];
    assert_eq!(names(&put_back(&conflict, &head)), expected.map(|(name, is)| (name.to_owned(), is)));
}

#[test]
fn what_is_kept_beside_says_whence_and_takes_no_name() {
    let mut vault = head(&[("traces/a.json", "new")]);
    let conflict = lost(Item::File(path("traces/a.json")), &[("traces/a.json", Some("old"))], "desk:1/..");
    let first = beside(&conflict, &vault, &Wanted::new()).unwrap();
    assert_eq!(names(&first), [("traces/a (desk_1___ 2026-11-18 110640).json".to_owned(), true)]);
    // The same name in other letter case is taken too.
    let taken = first.keys().next().unwrap().as_str().replace("desk", "DESK");
    vault.tree.insert(path(&taken), entry("x"));
    let second = beside(&conflict, &vault, &Wanted::new()).unwrap();
    assert_eq!(names(&second), [("traces/a (desk_1___ 2026-11-18 110640 2).json".to_owned(), true)]);
}

#[test]
fn beside_a_group_go_its_primary_members_that_differ() {
    let files =
        [("corpus/nodes.json", Some("old")), ("indexes/x", Some("old")), ("vectors/nodes.npy", Some("same"))];
    let conflict = lost(Item::Group("nodes".into()), &files, "laptop");
    let head = head(&[("corpus/nodes.json", "new"), ("vectors/nodes.npy", "same"), ("indexes/x", "new")]);
    let names = names(&beside(&conflict, &head, &Wanted::new()).unwrap());
    assert_eq!(names, [("corpus/nodes (laptop 2026-11-18 110640).json".to_owned(), true)]);
}

#[test]
fn where_every_name_belongs_to_a_group_there_is_no_place_beside() {
    let group =
        Group { name: "all".into(), primary: vec!["**".into()], derived: vec![], validate: Validate::Off };
    let head = Snapshot { groups: Groups::new(vec![group]).unwrap(), ..head(&[]) };
    let conflict = lost(Item::Group("all".into()), &[("a.json", Some("old"))], "laptop");
    assert!(matches!(beside(&conflict, &head, &Wanted::new()), Err(Refusal::NoPlaceBeside(_))));
}

#[test]
fn where_every_name_of_a_folder_belongs_to_a_group_the_file_goes_elsewhere() {
    let within = |primary: &[&str]| {
        let primary = primary.iter().map(|&glob| glob.to_owned()).collect();
        let group = Group { name: "all".into(), primary, derived: vec![], validate: Validate::Off };
        let head = Snapshot { groups: Groups::new(vec![group]).unwrap(), ..head(&[]) };
        let conflict = lost(Item::Group("all".into()), &[("corpus/a.json", Some("old"))], "laptop");
        names(&beside(&conflict, &head, &Wanted::new()).unwrap()).remove(0).0
    };
    let name = "a (laptop 2026-11-18 110640).json";
    assert_eq!(within(&["corpus/**", "vectors/**"]), name);
    assert_eq!(within(&["corpus/**", "*.json"]), format!("conflicts/{name}"));
}

#[test]
fn a_long_name_is_cut_so_that_its_version_has_a_place_beside_it() {
    let of = |path: &str, device: &str| {
        let conflict = lost(Item::File(self::path(path)), &[(path, Some("old"))], device);
        let vault = head(&[(path, "new")]);
        let names = names(&beside(&conflict, &vault, &Wanted::new()).unwrap());
        names.first().unwrap().0.clone()
    };
    let long = of(&format!("t/{}.json", "x".repeat(240)), "laptop");
    assert_eq!(long.len(), "t/".len() + 255, "{long}");
    assert!(long.ends_with("x (laptop 2026-11-18 110640).json"), "{long}");
    let wide = of(&format!("t/{}.json", "記".repeat(80)), &"憶".repeat(60));
    assert!(wide.starts_with("t/記記") && wide.len() > 250 && wide.ends_with("110640).json"), "{wide}");
    let deep = of(&format!("{}{}.md", "d/".repeat(500), "n".repeat(20)), "laptop");
    assert_eq!(deep, format!("{} (laptop 2026-11-18 110640).md", "n".repeat(20)));
}

#[test]
fn several_decisions_over_one_item_put_back_the_newest_version_and_stay_one_generation() {
    let mut vault = head(&[("traces/a.json", "stands"), ("traces/b.json", "stands")]);
    let version = |file: &str, text: &str, wall_ms| {
        let mut conflict = lost(Item::File(path(file)), &[(file, Some(text))], "laptop");
        conflict.origin.as_mut().unwrap().txn.wall_ms = wall_ms;
        conflict
    };
    let conflicts = [
        version("traces/a.json", "newest", 3_000),
        version("traces/a.json", "older", 2_000),
        version("traces/b.json", "kept beside", 1_000),
    ];
    vault.conflicts = conflicts.iter().map(|conflict| (conflict.id, conflict.clone())).collect();
    let keep = [Keep::Mine, Keep::Mine, Keep::Both];
    let decisions: Vec<Resolution> =
        conflicts.iter().zip(keep).map(|(conflict, keep)| Resolution { id: conflict.id, keep }).collect();
    let (wanted, names) = super::wanted(&decisions, &vault).unwrap();
    assert_eq!(wanted[&path("traces/a.json")], Some(entry("newest")));
    assert_eq!((wanted.len(), names.len()), (2, 1), "{wanted:?}");
    vault.conflicts.remove(&conflicts[1].id);
    assert!(matches!(super::wanted(&decisions, &vault), Err(Refusal::NoConflict(_))));
}

#[test]
fn one_file_of_a_group_does_not_come_back_without_the_others() {
    let mut vault = head(&[("corpus/nodes.json", "new"), ("vectors/nodes.npy", "new"), ("traces/a", "new")]);
    let file = |name: &str| lost(Item::File(path(name)), &[(name, Some("old"))], "laptop");
    for (conflict, group) in [
        (file("corpus/nodes.json"), Some("nodes")),
        (file("indexes/x"), Some("nodes")),
        (file("traces/a"), None),
        (lost(Item::Group("nodes".into()), &[("corpus/nodes.json", Some("old"))], "laptop"), None),
        // The groups have changed since.
        (lost(Item::Group("before".into()), &[("vectors/nodes.npy", Some("old"))], "laptop"), Some("nodes")),
        (lost(Item::Group("before".into()), &[("traces/a", Some("old"))], "laptop"), None),
    ] {
        vault.conflicts = std::iter::once((conflict.id, conflict.clone())).collect();
        let decide = |keep| wanted(&[Resolution { id: conflict.id, keep }], &vault);
        assert_eq!(part_of(&conflict, &vault).map(|(_, group)| group).as_deref(), group);
        assert_eq!(decide(Keep::Mine).is_err(), group.is_some(), "{conflict:?}");
        assert!(decide(Keep::Both).is_ok() && decide(Keep::Remote).is_ok(), "{conflict:?}");
    }
}
