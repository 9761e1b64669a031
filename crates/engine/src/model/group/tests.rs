use super::*;

fn group(name: &str, primary: &[&str], derived: &[&str]) -> Group {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Group { name: name.into(), primary: owned(primary), derived: owned(derived), validate: Validate::Off }
}

#[test]
fn paths_find_their_group() {
    let nodes = group("nodes", &["corpus/nodes.json", "vectors/nodes.npy"], &["indexes/**"]);
    let groups =
        Groups::new(vec![nodes, group("episodes", &["corpus/episodes.json", "*.npy"], &[])]).unwrap();
    let item = |path: &str| groups.item(&VaultPath::new(path).unwrap()).to_string();
    assert_eq!(item("corpus/nodes.json"), "group:nodes");
    assert_eq!(item("indexes/a/b.index"), "group:nodes");
    assert_eq!(item("corpus/episodes.json"), "group:episodes");
    assert_eq!(item("vectors/x.npy"), "file:vectors/x.npy", "* must stop at a slash");
    assert!(groups.is_derived(&VaultPath::new("indexes/x").unwrap()));
}

#[test]
fn more_than_can_be_compiled_cheaply_is_refused() {
    let refused = |groups: Vec<Group>| Groups::new(groups).unwrap_err().to_string();
    let named = |name: usize, pattern: &str| group(&format!("g{name}"), &[pattern], &[]);
    assert!(
        refused((0..65).map(|name| named(name, "a")).collect()).contains("65 groups: expected at most 64")
    );
    assert!(Groups::new((0..64).map(|name| named(name, "a")).collect()).is_ok());
    assert!(refused(vec![named(0, &"a".repeat(513))]).contains("513 bytes in one pattern"));
    let long = "a".repeat(512);
    assert!(refused(vec![group("a", &[long.as_str(); 33], &[])]).contains("16896 bytes of patterns"));
    assert!(refused(vec![group("a", &["a"; 300], &["b"; 213])]).contains("513 patterns"));
}

#[test]
fn unusable_definitions_are_refused() {
    assert!(Groups::new(vec![group("", &["a"], &[])]).is_err());
    assert!(Groups::new(vec![group("a b", &["a"], &[])]).is_err());
    assert!(Groups::new(vec![group("a", &[], &["x"])]).is_err());
    assert!(Groups::new(vec![group("a", &["x[", "y"], &[])]).is_err());
    assert!(Groups::new(vec![group("a", &["x"], &[]), group("a", &["y"], &[])]).is_err());
}
