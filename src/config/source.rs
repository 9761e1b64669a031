//! The places that a value of the configuration comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    /// It is the default.
    Default,
    /// It stands in the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// It is this variable of the environment.
    Environment(String),
    /// It is this flag of the command line.
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

/// A value as it would stand in the file, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The value as TOML, on one line.
    pub value: String,
    /// Where it comes from.
    pub source: SettingSource,
}
