use proptest::prelude::*;

use super::*;

fn is_never(text: &str) -> bool {
    never(&VaultPath::new(text).unwrap())
}

#[test]
fn secrets_and_temporary_files_are_never_synced_but_memories_are() {
    for path in [
        "config.json",
        "config.json.bak",
        "config.json~",
        "config-old.json",
        ".config.json.swp",
        "CONFIG.JSON",
        "con\u{200d}fig.json",
        "sync/last_sync.json",
        "logs/cogzy-vault.log",
        "Logs/cogzy-vault.log.3",
        "ſync/manifest.json",
        "Sync",
        ".cogzy-vault",
        ".cogzy-vault.new",
        "a/server.pem",
        "a/Server.PEM",
        "keys/id_rsa",
        "keys/id_rsa.pub",
        ".env",
        "x/.env.local",
        ".ssh/known_hosts",
        "x/.AWS/config",
        "x/credentials.json",
        "traces/.cogzy-vault/mount.json",
        "corpus/nodes.json.tmp",
        "corpus/nodes.json.tmp~",
        "corpus/.#nodes.json",
        "corpus/#nodes.json#",
        "a/.DS_Store",
        "a.part/b",
    ] {
        assert!(is_never(path), "{path} would be synced");
    }
    for path in [
        "corpus/nodes.json",
        "corpus/config.json",
        "traces/sync/x.json",
        "synced.json",
        "logs/app.log",
        "traces/key.json",
        "traces/credentials-talk.json",
        "environment.json",
        "traces/partial.json",
        "template.json",
        "a/x.tmp.npy",
    ] {
        assert!(!is_never(path), "{path} would not be synced");
    }
}

proptest! {
    /// Paths below a forbidden name are forbidden, in any letter case.
    #[test]
    fn nothing_below_a_forbidden_name_is_synced(
        index in 0..SECRETS.len() + TEMPORARY.len(), fill in "[a-z]{1,5}", above in "([a-z]{1,4}/){0,2}",
        below in "(/[a-z]{1,4}){0,2}", upper in any::<bool>(),
    ) {
        let pattern = SECRETS.iter().chain(TEMPORARY).nth(index).unwrap();
        let name = pattern.replace('*', &fill);
        let name = if upper { name.to_uppercase() } else { name };
        // Some of these are words that no path may hold.
        if let Ok(path) = VaultPath::new(&format!("{above}{name}{below}")) {
            prop_assert!(never(&path), "{path} would be synced");
        }
    }

    #[test]
    fn a_star_stands_for_any_text(start in "[a-z]{0,3}", middle in "[a-z]{0,3}", end in "[a-z]{0,3}") {
        let pattern = Pattern { start: start.clone().leak(), rest: Some((end.clone().leak(), false)) };
        let whole = format!("{}{}{}", start, middle, end);
        prop_assert!(pattern.matches(&whole));
        let shifted = format!("{}#", whole);
        prop_assert_eq!(pattern.matches(&shifted), end.is_empty());
    }
}

/// Every pattern is found by the bytes that it is filed under.
#[test]
fn every_pattern_of_the_lists_matches_what_it_says() {
    for (at_root, text) in [(true, AT_ROOT), (false, SECRETS), (false, TEMPORARY)]
        .into_iter()
        .flat_map(|(at_root, list)| list.iter().map(move |text| (at_root, text)))
    {
        for filling in ["", "x", "-old.", "..x"] {
            let name = text.replace('*', filling);
            let Ok(path) = VaultPath::new(&if at_root { name.clone() } else { format!("a/{name}") }) else {
                continue;
            };
            assert!(never(&path), "{text} does not match {name}");
        }
    }
}
