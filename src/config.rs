//! The configuration: defaults, then the file, then the environment, then flags; what comes later wins.
//!
//! The defaults are a TOML file, `config/default.toml`, which is also the description of every key. Whatever layer a value
//! stands in, it is checked, and an unknown key, a wrong type or an impossible value is an error that names the place. What
//! was read is a plain typed [`Config`]; what a URL or a filter pattern means is for the modules that use them.
//!
//! Credentials are no part of it: they come from the environment or the AWS files, and are neither shown nor stored.

mod environment;
mod error;
mod file;
mod keys;
mod layer;
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
pub use file::update;
pub use settings::{
    Config, ConflictSettings, FilterSettings, Finite, HookSettings, LimitSettings, LogSettings, Policy,
    RetentionSettings, RetrySettings, S3Settings, SafetySettings, SyncSettings,
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
    /// Its value, as text.
    pub value: String,
    /// How the user said it: as a flag, or as the variable that stands for one.
    pub source: SettingSource,
}

/// Where to look.
#[derive(Debug)]
pub struct LoadOptions<'a> {
    /// Where this platform keeps things.
    pub paths: &'a Paths,
    /// The file that was asked for; the platform's place for it otherwise.
    pub file: Option<PathBuf>,
    /// Whether a file that was asked for may be missing, because it is about to be written.
    pub may_be_missing: bool,
    /// The environment.
    pub environment: &'a Environment,
    /// What the command line sets.
    pub flags: Vec<Flag>,
}

/// A configuration, and where it comes from.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The configuration.
    pub config: Config,
    /// Every key that has a value, by dotted name.
    pub keys: BTreeMap<&'static str, ShownKey>,
    /// Where the file is, or would be.
    pub file: PathBuf,
    /// Whether it is there.
    pub file_exists: bool,
}

impl Config {
    /// Reads all layers and checks them.
    ///
    /// # Errors
    /// The first thing that is wrong.
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
