//! Commands that the program proposes, made to lead to the same vault as the one that ran.
//!
//! If the user named a vault, a configuration or a socket with a flag, a command without it would
//! lead to another one. Settings from the environment are left out: the next command has them too.

use std::borrow::Cow;
use std::path::Path;

/// The program's name, where a command begins.
const PROGRAM: &str = "cogzy-vault ";

/// The flags that a proposed command has to repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Again {
    /// The flags, each with a space behind it.
    flags: String,
    /// The verbs; the program's name before any other word is no command.
    verbs: Vec<String>,
}

impl Again {
    /// The `flags` with their values, to be repeated before the `verbs`.
    #[must_use]
    pub fn new<'a>(flags: impl IntoIterator<Item = (&'a str, &'a Path)>, verbs: Vec<String>) -> Self {
        let flag = |(name, value): (&str, &Path)| format!("{name} {} ", quoted(&value.to_string_lossy()));
        Self { flags: flags.into_iter().map(flag).collect(), verbs }
    }

    /// The text, with the flags in each command that it proposes.
    #[must_use]
    pub fn addressed<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.flags.is_empty() || !text.contains(PROGRAM) {
            return text.into();
        }
        let mut parts = text.split(PROGRAM);
        let mut addressed = parts.next().unwrap_or_default().to_owned();
        for rest in parts {
            addressed.push_str(PROGRAM);
            let word = rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default();
            if self.verbs.iter().any(|verb| verb == word) {
                addressed.push_str(&self.flags);
            }
            addressed.push_str(rest);
        }
        addressed.into()
    }
}

/// A word as a shell takes it.
#[must_use]
pub fn quoted(word: &str) -> Cow<'_, str> {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposed_commands_name_the_vault_that_the_user_named() {
        let verbs = ["sync", "approve"].map(str::to_owned).to_vec();
        let again = Again::new([("--vault", Path::new("/my v"))], verbs.clone());
        assert_eq!(
            again.addressed("run `cogzy-vault sync`, or cogzy-vault approve 01; cogzy-vault that syncs"),
            "run `cogzy-vault --vault '/my v' sync`, or cogzy-vault --vault '/my v' approve 01; \
             cogzy-vault that syncs"
        );
        let plain = Again::new([], verbs);
        assert_eq!(plain.addressed("cogzy-vault sync"), "cogzy-vault sync");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, shown) in
            [("s3://bucket/mem", "s3://bucket/mem"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(quoted(word), shown);
        }
    }
}
