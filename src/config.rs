//! The configuration: defaults, then the file, then the environment, then flags; a later layer
//! wins.
//!
//! The defaults are a TOML file, `config/default.toml`, which also describes every key. Values are
//! checked in every layer: an unknown key, a wrong type or an impossible value is an error that
//! names the place. The result is a plain typed [`Config`]; the meaning of a URL or a filter
//! pattern is left to the modules that use them.
//!
//! Credentials are no part of it: they come from the environment or the AWS files, and are neither
//! shown nor stored.

mod environment;
mod error;
mod file;
mod keys;
mod layer;
mod others;
mod reader;
mod settings;
mod source;
mod units;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use error::ConfigError;
pub use file::{Written, update};
pub use others::open_to_others;
pub use settings::{
    Config, ConflictSettings, FilterSettings, Finite, HookSettings, LimitSettings, LogSettings, Merge,
    Policy, RetentionSettings, RetrySettings, S3Settings, SafetySettings, SmallSaves, StaleIndex,
    SyncSettings,
};
pub use source::{SettingSource, ShownKey};
pub use units::{Size, Span, UnitError};

use cogzy_client::paths::Paths;
use reader::Reader;

const DEFAULTS: &str = include_str!("../config/default.toml");

/// A key that the command line sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The key's dotted name.
    pub key: &'static str,
    /// The value, as text.
    pub value: String,
    /// The source: a flag, or the variable that stands for one.
    pub source: SettingSource,
}

/// The places to read the configuration from.
#[derive(Debug)]
pub struct LoadOptions<'a> {
    /// The platform's folders.
    pub paths: &'a Paths,
    /// The file that was asked for; without one, the platform's place for it.
    pub file: Option<PathBuf>,
    /// True if a file that was asked for may be missing, because it is about to be written.
    pub may_be_missing: bool,
    /// The environment.
    pub environment: &'a Environment,
    /// The keys that the command line sets.
    pub flags: Vec<Flag>,
}

/// A configuration, with the source of every value.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// Every key that has a value, by dotted name.
    pub keys: BTreeMap<&'static str, ShownKey>,
    /// The path of the file, which need not exist.
    pub file: PathBuf,
    /// True if the file exists.
    pub file_exists: bool,
}

impl Config {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// At the first fault.
    pub fn load(options: LoadOptions<'_>) -> Result<LoadedConfig, ConfigError> {
        let LoadOptions { paths, file, may_be_missing, environment, flags } = options;
        let mut reader = Reader::default();
        reader.add_document(DEFAULTS, None)?;
        let vault = paths.vault();
        let vault = vault
            .to_str()
            .ok_or_else(|| ConfigError::NotUnicode { what: format!("the path {}", vault.display()) })?;
        reader.add_text("vault", vault, SettingSource::Default);
        reader.add_text("device_name", paths.host_name(), SettingSource::Default);

        let may_be_missing = may_be_missing || file.is_none();
        let file = file.unwrap_or_else(|| paths.config_file());
        let text = read(&file, may_be_missing)?;
        if let Some(text) = &text {
            reader.add_document(text, Some(&file))?;
        }
        for variable in environment.keys() {
            let (name, key, value) = variable?;
            reader.add_text(&key, value, SettingSource::Environment(name.to_owned()));
        }
        for flag in flags {
            reader.add_text(flag.key, &flag.value, flag.source);
        }
        let config = Self::read(&mut reader)?;
        let runs_programs = !config.hooks.is_empty();
        if let Some(path) = open_to_others(&file).filter(|_| text.is_some() && runs_programs) {
            return Err(ConfigError::OpenToOthers { path });
        }
        Ok(LoadedConfig { config, keys: reader.finish()?, file, file_exists: text.is_some() })
    }
}

fn read(path: &Path, may_be_missing: bool) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if may_be_missing && error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}
