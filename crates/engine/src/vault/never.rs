//! What is never synced, in either direction; no setting changes it.
//!
//! Names are compared without regard to letter case and to the invisible characters that some file systems ignore, so that
//! a bucket cannot write `CONFIG.JSON` or `ſync/x` over what is ours. A name counts wherever it stands in a path: below a
//! folder of that name nothing is synced either. In a pattern, one `*` stands for any text.

use std::sync::LazyLock;

use crate::model::VaultPath;

/// First names of paths: the app's config with its keys, in whatever copy an editor or a person makes of it, and our own.
pub(super) const AT_ROOT: &[&str] =
    &["config*.json*", ".config*.json*", "#config*.json*", "sync", ".cogzy-vault*"];

/// Keys, and files that by custom hold passwords and tokens.
pub(super) const SECRETS: &[&str] = &[
    ".ssh",
    ".aws",
    ".azure",
    ".gnupg",
    ".kube",
    ".docker",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.ppk",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".env",
    ".env.*",
    ".netrc",
    "_netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
    "credentials",
    "credentials.*",
    "*.env",
    "secrets.*",
    "service-account*.json",
    "service_account*.json",
    "client_secret*.json",
    "application_default_credentials.json",
];

/// Half-written files, locks of editors, droppings of systems.
pub(super) const TEMPORARY: &[&str] = &[
    "*.tmp",
    "*~",
    "~$*",
    ".#*",
    "#*#",
    "*.swp",
    "*.swo",
    "*.swx",
    "*.part",
    "*.partial",
    "*.crdownload",
    ".~lock*",
    ".fuse_hidden*",
    ".nfs*",
    "._*",
    ".ds_store",
    "thumbs.db",
    "desktop.ini",
];

/// Our own log: it grows with every cycle, and would be what the next one sends.
const LOG: &str = "logs/cogzy-vault.log*";

/// A pattern, taken apart at its `*`s.
struct Pattern {
    start: &'static str,
    /// What follows the first `*`, if there is one; and whether a second one ends the pattern, which is the only place for it.
    rest: Option<(&'static str, bool)>,
}

impl Pattern {
    fn new(text: &'static str) -> Self {
        let (start, rest) = text.split_once('*').map_or((text, None), |(start, rest)| (start, Some(rest)));
        Self {
            start,
            rest: rest.map(|rest| rest.strip_suffix('*').map_or((rest, false), |rest| (rest, true))),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match (name.strip_prefix(self.start), self.rest) {
            (None, _) => false,
            (Some(left), None) => left.is_empty(),
            (Some(left), Some((end, false))) => left.ends_with(end),
            (Some(left), Some((middle, true))) => left.contains(middle),
        }
    }
}

fn compiled(lists: &[&[&'static str]]) -> Vec<Pattern> {
    lists.iter().copied().flatten().map(|text| Pattern::new(text)).collect()
}

/// Every path of a vault is held against all of these, in each cycle.
static FIRST: LazyLock<Vec<Pattern>> = LazyLock::new(|| compiled(&[AT_ROOT]));
static ANYWHERE: LazyLock<Vec<Pattern>> = LazyLock::new(|| compiled(&[SECRETS, TEMPORARY]));
static WHOLE: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(LOG));

/// Whether `path` is on the list.
pub(super) fn never(path: &VaultPath) -> bool {
    let mut key = path.fold_key();
    if !key.is_ascii() {
        key.retain(|c| !ignorable(c));
    }
    let any = |list: &[Pattern], name: &str| list.iter().any(|pattern| pattern.matches(name));
    let first = key.split('/').next().unwrap_or_default();
    any(&FIRST, first) || WHOLE.matches(&key) || key.split('/').any(|name| any(&ANYWHERE, name))
}

/// Characters that HFS+ leaves out when it compares names.
const fn ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_never(text: &str) -> bool {
        never(&VaultPath::new(text).unwrap())
    }

    #[test]
    fn secrets_and_droppings_never_are_memory_is() {
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
        /// Whatever stands below a forbidden name, and however its letters are cased, is forbidden.
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
}
