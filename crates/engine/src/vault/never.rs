//! Names that are never synced, in either direction, whatever the settings are.
//!
//! The comparison ignores letter case and the invisible characters that some file systems ignore,
//! so that a bucket cannot write `CONFIG.JSON` or `ſync/x` over our files. A pattern applies to
//! every name of a path, so folders of such a name are excluded with all their contents. In a
//! pattern, `*` stands for any text.

use std::sync::LazyLock;

use crate::fs::MOUNT_FOLDER;
use crate::model::VaultPath;

/// First names of paths: the app's config with its keys, in every form of copy that editors and
/// people make of it, and our own files.
pub(super) const AT_ROOT: &[&str] =
    &["config*.json*", ".config*.json*", "#config*.json*", "sync", ".cogzy-vault*"];

/// Keys, and files that usually hold passwords and tokens.
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

/// Our folder on a mount inside the vault, half-written files, locks of editors, and metadata files
/// of systems.
pub(super) const TEMPORARY: &[&str] = &[
    MOUNT_FOLDER,
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

/// Our own log. It grows with every cycle, so syncing it would never end.
const LOG: &str = "logs/cogzy-vault.log*";

/// Pattern, split at its `*`s.
struct Pattern {
    start: &'static str,
    /// Text after the first `*`, if there is one, and true if a second `*` ends the pattern. It may
    /// stand nowhere else.
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

/// Patterns by the first byte of the names that they match, or where they begin with `*`, by the
/// last: of all of them only a few can match a name.
struct Patterns {
    by_first: Vec<Vec<Pattern>>,
    by_last: Vec<Vec<Pattern>>,
}

impl Patterns {
    fn new(lists: &[&[&'static str]]) -> Self {
        let empty = || (0..=u8::MAX).map(|_| Vec::new()).collect();
        let mut patterns = Self { by_first: empty(), by_last: empty() };
        for text in lists.iter().copied().flatten() {
            let (first, last) = (text.bytes().next(), text.bytes().next_back());
            let (list, byte) = match first {
                Some(b'*') => (&mut patterns.by_last, last),
                _ => (&mut patterns.by_first, first),
            };
            if let Some(list) = byte.and_then(|byte| list.get_mut(usize::from(byte))) {
                list.push(Pattern::new(text));
            }
        }
        patterns
    }

    fn match_name(&self, name: &str) -> bool {
        let near = |list: &[Vec<Pattern>], byte: Option<u8>| {
            let patterns = byte.and_then(|byte| list.get(usize::from(byte)));
            patterns.is_some_and(|patterns| patterns.iter().any(|pattern| pattern.matches(name)))
        };
        near(&self.by_first, name.bytes().next()) || near(&self.by_last, name.bytes().next_back())
    }
}

/// Compiled once, because every cycle compares every path with all of these.
static FIRST: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(&[AT_ROOT]));
static ANYWHERE: LazyLock<Patterns> = LazyLock::new(|| Patterns::new(&[SECRETS, TEMPORARY]));
static WHOLE: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(LOG));

/// True if `path` is on the list.
pub(super) fn never(path: &VaultPath) -> bool {
    let mut key = path.fold_key();
    if !key.is_ascii() {
        key.retain(|c| !ignorable(c));
    }
    let first = key.split('/').next().unwrap_or_default();
    FIRST.match_name(first) || WHOLE.matches(&key) || key.split('/').any(|name| ANYWHERE.match_name(name))
}

/// True for characters that HFS+ ignores when it compares names.
const fn ignorable(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
