use super::*;
use crate::fs::RealFs;
use crate::model::Part;

fn recipe(text: &[u8]) -> Recipe {
    Recipe { depth: 0, parts: vec![Part { id: Digest::of(text), len: 7 }] }
}

#[test]
fn what_is_noted_is_read_again_and_a_damaged_record_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipes.json");
    let load = || RightRecipes::load(&RealFs, &path).unwrap();
    let (content, other) = (Digest::of(b"content"), Digest::of(b"other"));
    let mut record = load();
    assert!(record.note(content, &recipe(b"first")));
    assert!(!record.note(content, &recipe(b"first")), "it is known");
    assert!(record.note(content, &recipe(b"second")), "the last one that was tried counts");
    record.save(&RealFs, &path).unwrap();
    assert_eq!(load(), record);
    assert_eq!((load().get(&content), load().get(&other)), (Some(&recipe(b"second")), None));
    std::fs::write(&path, "{").unwrap();
    assert_eq!(load().iter().count(), 0);
}

#[test]
fn a_record_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let mut record = RightRecipes::load(&RealFs, &folder.path().join("none")).unwrap();
    let noted = (0..MOST + 1).filter(|at| record.note(Digest::of(&at.to_le_bytes()), &recipe(b"x"))).count();
    assert_eq!(noted, MOST);
}
