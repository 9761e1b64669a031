//! Sources of a value in the configuration.

use std::fmt;
use std::path::PathBuf;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// The default.
    Default,
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// This variable of the environment.
    Environment(String),
    /// This flag of the command line.
    Flag(String),
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value as it would stand in the file, and its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The value as TOML, on one line.
    pub value: String,
    /// The source.
    pub source: SettingSource,
}
