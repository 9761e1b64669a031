//! Errors in a configuration. Every message names the place, the key, and the values that would be
//! right.

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
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("{}: the configuration cannot be written: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others can write the file, and it names programs to run.
    #[error(
        "{}: other users can change it, and the configuration has hooks, which they could change, too: \
         chmod o-w it, or make it yours",
        .path.display()
    )]
    OpenToOthers {
        /// The file, or the folder that it is in.
        path: PathBuf,
    },
    /// The file is no TOML.
    #[error("{place}: this is no TOML: {why}")]
    Syntax {
        /// The file and line.
        place: SettingSource,
        /// The parser's expectation.
        why: String,
    },
    /// There is no such key.
    #[error("{place}: there is no key {key}{}", .near.map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The place that sets it.
        place: SettingSource,
        /// The key's dotted name.
        key: String,
        /// The key that may be meant.
        near: Option<&'static str>,
    },
    /// The value is of the wrong type, or impossible.
    #[error("{place}: {key} is {found}: expected {allowed}")]
    Value {
        /// The place that sets it.
        place: SettingSource,
        /// The key's dotted name.
        key: String,
        /// The value as it stands there, cut if it is long.
        found: String,
        /// The values that are allowed.
        allowed: String,
    },
    /// There are credentials in a URL. Its text is not repeated.
    #[error(
        "{place}: {key} holds credentials, or an `@`: take them out, and set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, \
         or what the AWS tools use"
    )]
    Credentials {
        /// The place that sets it.
        place: SettingSource,
        /// The key's dotted name.
        key: &'static str,
    },
    /// The groups cannot be used as they are defined.
    #[error("{place}: {source}")]
    Groups {
        /// The place that defines them.
        place: SettingSource,
        /// The fault in the definition.
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
        /// The variable or the path.
        what: String,
    },
    /// A text that goes into a request cannot stand there. It is not repeated: it may be a secret.
    #[error(
        "{what} holds a character that no key, token or region has: expected ASCII letters, digits and signs"
    )]
    NotInARequest {
        /// The variable.
        what: String,
    },
    /// Half of a pair of variables is set.
    #[error("{set} is set but {missing} is not: B2 needs both")]
    HalfAKey {
        /// The variable that is set.
        set: &'static str,
        /// The variable that is not.
        missing: &'static str,
    },
}
