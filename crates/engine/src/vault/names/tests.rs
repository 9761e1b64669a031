use super::*;
use crate::fs::RealFs;

#[test]
fn a_path_is_found_in_the_form_that_stands_there() {
    let dir = tempfile::tempdir().unwrap();
    let at = |text: &str| spelling(&RealFs, dir.path(), &VaultPath::new(text).unwrap()).unwrap();
    std::fs::create_dir(dir.path().join("e\u{301}")).unwrap();
    assert_eq!(at("é/plain"), Some("e\u{301}/plain".into()));
    std::fs::write(dir.path().join("e\u{301}/u\u{308}"), "mac").unwrap();
    assert_eq!(at("é/ü"), Some("e\u{301}/u\u{308}".into()));
    std::fs::write(dir.path().join("e\u{301}/ü"), "exact").unwrap();
    assert_eq!(at("é/ü"), Some("e\u{301}/ü".into()), "another form went before the exact one");
    assert_eq!((at("a/b"), at("ö/x")), (None, None));
}

#[test]
fn the_nearest_spelling_counts() {
    let path = |text| VaultPath::new(text).unwrap();
    let mut names = Names::default();
    names.note(&path("é"), "e\u{301}");
    names.note(&path("é/ü"), "e\u{301}/u\u{308}");
    names.note(&path("é"), "é");
    names.note(&path("é/x"), "é/x");
    assert_eq!(
        names.on_disk(&path("é/x")).as_deref(),
        Some("é/x"),
        "two folders with the same path were mixed up"
    );
    assert_eq!(names.on_disk(&path("é/ü")).as_deref(), Some("e\u{301}/u\u{308}"));
    assert_eq!(names.on_disk(&path("é/new/file")).as_deref(), Some("e\u{301}/new/file"));
    assert_eq!(names.on_disk(&path("a/é")), None);
    assert_eq!(names.locate(Path::new("/v"), &path("a")), Path::new("/v/a"));
}
