use super::*;

#[test]
fn ordinary_paths_are_accepted() {
    for good in
        ["corpus/nodes.json", "traces/2026/ä ü.json", ".hidden", "a.b.c", "company.json", "com10", "nullable"]
    {
        assert_eq!(VaultPath::new(good).unwrap().as_str(), good);
    }
}

#[test]
fn paths_that_climb_out_or_cannot_exist_everywhere_are_refused() {
    let long = "x".repeat(256);
    for bad in ["", "/etc/passwd", "a//b", "a/", "../x", "a/../b", "./a", "a\0b", "a\nb", long.as_str()] {
        assert!(VaultPath::new(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn names_that_windows_cannot_store_are_taken_and_told_apart() {
    for name in
        ["a\\b", "16:51.json", "nul", "a/CON.json", "com1", "LPT9.txt", "com¹", "a./b", "a /b", "a*", "a|b"]
    {
        assert!(!VaultPath::new(name).unwrap().is_portable(), "{name}");
    }
    assert!(VaultPath::new("a/com10.json").unwrap().is_portable());
}

#[test]
fn decomposed_names_are_composed_by_new_and_refused_by_serde() {
    let nfd = "e\u{301}.json";
    assert_eq!(VaultPath::new(nfd).unwrap().as_str(), "é.json");
    assert!(serde_json::from_str::<VaultPath>(&format!("{nfd:?}").replace("\\u{301}", "\u{301}")).is_err());
}

#[test]
fn fold_keys_ignore_case() {
    let key = |text: &str| VaultPath::new(text).unwrap().fold_key();
    assert_eq!(key("Straße/Σ.json"), key("STRASSE/ς.JSON"));
    assert_ne!(key("a"), key("b"));
}

#[test]
fn folders_start_at_the_nearest() {
    let path = VaultPath::new("a/b/c").unwrap();
    assert_eq!(path.folders().collect::<Vec<_>>(), ["a/b", "a"]);
    assert_eq!(path.file_name(), "c");
}
