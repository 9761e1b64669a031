//! What can be wrong with a configuration. Every message names where it stands, the key, and what would be right.

use std::io;
use std::path::PathBuf;

use super::SettingSource;
use cogzy_engine::model::GroupError;

/// A configuration that cannot be used. All of these are exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: the configuration cannot be read: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{}: the configuration cannot be written: {source}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no TOML.
    #[error("{place}: this is no TOML: {why}")]
    Syntax {
        /// Which file and line.
        place: SettingSource,
        /// What the parser expected.
        why: String,
    },
    /// There is no such key.
    #[error("{place}: there is no key {key}{}", .near.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// Where it is set.
        place: SettingSource,
        /// Its dotted name.
        key: String,
        /// The key that may be meant.
        near: Option<&'static str>,
    },
    /// The value is of the wrong type, or one that cannot be.
    #[error("{place}: {key} is {found}: expected {allowed}")]
    Value {
        /// Where it is set.
        place: SettingSource,
        /// The key's dotted name.
        key: String,
        /// The value as it stands there, cut where it is long.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// There are credentials in a URL. Its text is not repeated.
    #[error(
        "{place}: {key} holds credentials, or an `@`: take them out, and set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, \
         or what the AWS tools use"
    )]
    Credentials {
        /// Where it is set.
        place: SettingSource,
        /// The key's dotted name.
        key: &'static str,
    },
    /// The groups cannot be used as they are defined.
    #[error("{place}: {source}")]
    Groups {
        /// Where they are set.
        place: SettingSource,
        /// What is wrong with them.
        source: GroupError,
    },
    /// A key has no value in any layer.
    #[error("{key} is not set: set it in the configuration file")]
    Missing {
        /// The key's dotted name.
        key: &'static str,
    },
    /// A text is not Unicode.
    #[error("{what} is not valid Unicode: expected UTF-8")]
    NotUnicode {
        /// Which variable, or which path.
        what: String,
    },
    /// Half of a pair of variables is set.
    #[error("{set} is set but {missing} is not: B2 needs both")]
    HalfAKey {
        /// The variable that is there.
        set: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
}
