//! The environment, read once. Only this module and `paths` look there.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::ConfigError;
use cogzy_s3::{KeyPair, Secret};

/// The beginning of each variable that sets a key of the configuration.
const PREFIX: &str = "COGZY_VAULT__";
const B2_ID: &str = "B2_APPLICATION_KEY_ID";
const B2_KEY: &str = "B2_APPLICATION_KEY";

/// The variables of this process, as they were when it started. Its debug form is empty: there may
/// be secrets among them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        std::env::vars_os().collect()
    }

    /// True if the user asks every program not to colour its output (<https://no-color.org>).
    #[must_use]
    pub fn no_color(&self) -> bool {
        self.0.get(&OsString::from("NO_COLOR")).is_some_and(|value| !value.is_empty())
    }

    /// True if a variable is set and not empty.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.0.get(&OsString::from(name)).is_some_and(|value| !value.is_empty())
    }

    /// The device and inode of the stream that systemd has connected to its journal, if it has
    /// (systemd.exec(5)).
    #[must_use]
    pub fn journal_stream(&self) -> Option<(u64, u64)> {
        let (device, inode) = self.text("JOURNAL_STREAM").ok()??.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    }

    /// The B2 key, if there is one.
    ///
    /// # Errors
    /// If only half of it is set, or it is not Unicode.
    pub fn b2_key(&self) -> Result<Option<KeyPair>, ConfigError> {
        match (self.text(B2_ID)?, self.text(B2_KEY)?) {
            (Some(id), Some(key)) => Ok(Some(KeyPair { id: Secret::new(id), secret: Secret::new(key) })),
            (Some(_), None) => Err(ConfigError::HalfAKey { set: B2_ID, missing: B2_KEY }),
            (None, Some(_)) => Err(ConfigError::HalfAKey { set: B2_KEY, missing: B2_ID }),
            (None, None) => Ok(None),
        }
    }

    /// The names of variables that decide as whom the remote is asked: credentials, profiles,
    /// regions.
    #[must_use]
    pub fn credentials(&self) -> Vec<&str> {
        let names =
            self.0.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.to_str());
        names.filter(|name| name.starts_with("AWS_") || name.starts_with("B2_APPLICATION_KEY")).collect()
    }

    /// The variables that set a key: the variable, the key's dotted name, the text.
    pub(super) fn keys(&self) -> impl Iterator<Item = Result<(&str, String, &str), ConfigError>> {
        self.0.iter().filter_map(|(name, value)| {
            let name = name.to_str()?;
            let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
            let value = value.to_str().ok_or_else(|| ConfigError::NotUnicode { what: name.to_owned() });
            Some(value.map(|value| (name, key, value)))
        })
    }

    /// A variable's text; an empty one counts as not set.
    fn text(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.0.get(&OsString::from(name)).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        value.to_str().map(Some).ok_or_else(|| ConfigError::NotUnicode { what: name.to_owned() })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_key_is_refused_and_no_text_of_a_key_is_ever_printed() {
        let environment = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>();
        let whole = environment(&[(B2_ID, "hidden-id"), (B2_KEY, "hidden-key")]);
        let key = whole.b2_key().unwrap().unwrap();
        assert!(!format!("{key:?} {whole:?}").contains("hidden"));
        assert!(environment(&[]).b2_key().unwrap().is_none());
        assert!(environment(&[(B2_ID, ""), (B2_KEY, "")]).b2_key().unwrap().is_none());
        let some =
            environment(&[(B2_ID, "hidden-id"), ("COGZY_VAULT__REMOTE", "r"), ("HOME", "/"), (B2_KEY, "")]);
        assert_eq!(some.credentials(), ["B2_APPLICATION_KEY_ID"]);
        let error = environment(&[(B2_KEY, "hidden")]).b2_key().unwrap_err().to_string();
        assert!(error.contains("B2_APPLICATION_KEY_ID is not") && !error.contains("hidden"), "{error}");
    }
}
