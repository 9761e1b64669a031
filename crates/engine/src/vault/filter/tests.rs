use proptest::prelude::*;

use super::*;

fn filter(include: &[&str], exclude: &[&str]) -> Filter {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    Filter::new(&owned(include), &owned(exclude)).unwrap()
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

#[test]
fn the_default_excludes_cache_and_logs_at_the_root_only() {
    let filter = filter(&[], &["cache/**", "logs/**"]);
    assert_eq!(filter.verdict(&path("cache/a/b")), Verdict::Excluded);
    assert_eq!(filter.verdict(&path("traces/cache/a")), Verdict::Synced);
    assert_eq!(filter.verdict(&path("cache.json")), Verdict::Synced);
    assert_eq!(filter.verdict(&path("config.json")), Verdict::Never);
    assert!(filter.prunes(&path("cache")) && filter.prunes(&path("logs")) && filter.prunes(&path("sync")));
    assert!(!filter.prunes(&path("traces")) && !filter.prunes(&path("traces/cache")));
}

#[test]
fn include_and_exclude_work_as_gitignore_does() {
    let filter = filter(&["corpus/", "/vectors", "*.md"], &["*.log", "!keep.log"]);
    for (text, verdict) in [
        ("corpus/nodes.json", Verdict::Synced),
        ("vectors/a/b.npy", Verdict::Synced),
        ("a/vectors/b.npy", Verdict::Excluded),
        ("a/b.md", Verdict::Synced),
        ("traces/t.json", Verdict::Excluded),
        ("corpus/x.log", Verdict::Excluded),
        ("corpus/keep.log", Verdict::Synced),
    ] {
        assert_eq!(filter.verdict(&path(text)), verdict, "{text}");
    }
}

#[test]
fn never_beats_include() {
    let filter = filter(&["**", "config.json", ".env", "sync/**"], &["!config.json", "!.env"]);
    for text in ["config.json", ".env", "sync/x", "a/id_rsa"] {
        assert_eq!(filter.verdict(&path(text)), Verdict::Never, "{text}");
    }
}

#[test]
fn patterns_that_do_nothing_or_do_not_parse_are_refused() {
    let unmatched = ["./private/**", "a/../b", "..", "~/private", "private//**", "//a", "a//", "!./a"];
    for bad in ["", " ", "!", "/", "# cache", "a[", "a{b"].into_iter().chain(unmatched) {
        let error = Filter::new(&[], &["ok/".into(), bad.to_owned()]).unwrap_err();
        assert_eq!((error.key, error.pattern.as_str()), ("exclude", bad));
    }
    for empty in ["", " ", "!", "/"] {
        assert_eq!(Filter::new(&[], &[empty.to_owned()]).unwrap_err().why, "it is empty", "{empty:?}");
    }
    assert_eq!(Filter::new(&["x[".into()], &[]).unwrap_err().key, "include");
    // The list above is of those that match nothing.
    for good in ["/private/**", "private/", "**/private/**", ".hidden", "a/.b/..c", "~", "~tmp/", "[~]/a"] {
        Filter::new(&[], &[good.to_owned()]).unwrap();
    }
}

#[test]
fn a_pattern_in_nfd_matches_nfc_paths() {
    assert_eq!(filter(&[], &["e\u{301}/"]).verdict(&path("é/a")), Verdict::Excluded);
}

#[test]
fn different_settings_have_different_digests() {
    let digests = [
        filter(&[], &[]),
        filter(&["a"], &[]),
        filter(&[], &["a"]),
        filter(&["a", "b"], &[]),
        filter(&["ab"], &[]),
        filter(&["b", "a"], &[]),
    ]
    .map(|filter| filter.digest());
    for (at, digest) in digests.iter().enumerate() {
        assert_eq!(digests.iter().position(|other| other == digest), Some(at));
    }
    assert_eq!(filter(&["a"], &["b"]).digest(), filter(&["a"], &["b"]).digest());
}

#[test]
fn an_include_leads_to_the_places_that_it_can_reach() {
    let filter = filter(&["corpus/**", "/a/*/c.md", "x/{y,z/w}/v"], &["corpus/old/**"]);
    for (text, may) in [
        ("corpus", true),
        ("corpus/deep/er", true),
        ("corpus/old", false),
        ("corpora", false),
        ("a", true),
        ("a/b", true),
        ("a/b/c.md", true),
        ("a/b/d", false),
        ("x/z", true),
        ("y", false),
        ("config.json", false),
    ] {
        assert_eq!(filter.leads_to(&path(text)), may, "{text}");
    }
    assert!(!self::filter(&["*.md"], &[]).leads_to(&path("anywhere/at/all")));
}

fn pattern() -> impl Strategy<Value = String> {
    "!?/?([abc*]|\\*\\*/){1,3}[abc](/|/\\*\\*|/\\*)?"
}

proptest! {
    /// The walk must never skip a synced file.
    #[test]
    fn nothing_synced_lies_below_a_pruned_folder(
        include in prop::collection::vec(pattern(), 0..3), exclude in prop::collection::vec(pattern(), 0..4),
        text in "[abc]{1,2}(/[abc]{1,2}){0,4}",
    ) {
        if let Ok(filter) = Filter::new(&include, &exclude) {
            let path = path(&text);
            let pruned = path.folders().find(|&folder| filter.prunes(&VaultPath::new(folder).unwrap()));
            if let Some(folder) = pruned {
                prop_assert_ne!(filter.verdict(&path), Verdict::Synced, "{} lies below {}", path, folder);
            }
            if filter.verdict(&path) == Verdict::Synced && filter.starts.is_some() {
                let may = |folder| filter.leads_to(&VaultPath::new(folder).unwrap());
                prop_assert!(path.folders().all(may), "no include leads to {}", path);
            }
        }
    }

    /// No text makes the filter panic.
    #[test]
    fn any_text_is_a_filter_or_an_error(patterns in prop::collection::vec(any::<String>(), 0..4)) {
        if let Ok(filter) = Filter::new(&patterns, &patterns) {
            prop_assert_ne!(filter.verdict(&path("a/b")), Verdict::Never);
            prop_assert!(filter.prunes(&path("sync")));
        }
    }
}
