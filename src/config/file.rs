//! Changes to the configuration file: a few keys at a time, with everything else left as it is.
//!
//! A crash leaves the old file or the new one.

use std::io::{self, ErrorKind};
use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, value};

use super::{ConfigError, SettingSource};
use cogzy_engine::fs::{self, Fs};

const HEADER: &str = "\
# Configuration of cogzy-vault. What is not set here has its default: `cogzy-vault config show` lists every key, its value
# and where that comes from.

";

/// Sets keys, by dotted name, to texts. A new file is readable by its owner only; an existing one
/// keeps its comments and order. `path` is absolute; a symbolic link stays one.
///
/// # Errors
/// If the file cannot be read, is no TOML, or cannot be written; it is then as it was.
pub fn update(disk: &dyn Fs, path: &Path, values: &[(&str, &str)]) -> Result<(), ConfigError> {
    let unwritten = |source: io::Error| ConfigError::Write { path: path.to_owned(), source };
    let (path, header, text) = match std::fs::canonicalize(path) {
        Ok(real) => {
            let text = std::fs::read_to_string(&real)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            (real, "", text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => (path.to_owned(), HEADER, String::new()),
        Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
    };
    let mut document = parsed(&path, &text)?;
    for (key, text) in values {
        set(document.as_item_mut(), key, text).ok_or_else(|| {
            unwritten(io::Error::other(format!("{key} cannot be set: what stands above it is no section")))
        })?;
    }
    if let Some(folder) = path.parent() {
        disk.create_dir_all(folder).map_err(unwritten)?;
    }
    fs::replace(disk, &path, format!("{header}{document}").as_bytes(), 0o600).map_err(unwritten)
}

/// The texts that a configuration file gives to keys.
#[derive(Debug, Default)]
pub struct Written(DocumentMut);

impl Written {
    /// Reads a file, which may be missing.
    ///
    /// # Errors
    /// If the file cannot be read, or is no TOML.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
            Ok(text) => Ok(Self(parsed(path, &text)?)),
        }
    }

    /// The text of a key such as `s3.region`, if it has one.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        key.split('.').try_fold(self.0.as_item(), |at, part| at.get(part)).and_then(Item::as_str)
    }
}

fn parsed(path: &Path, text: &str) -> Result<DocumentMut, ConfigError> {
    text.parse().map_err(|error: toml_edit::TomlError| ConfigError::Syntax {
        place: SettingSource::File { path: path.to_owned(), line: 1 },
        why: error.to_string(),
    })
}

fn set(mut at: &mut Item, key: &str, text: &str) -> Option<()> {
    let (sections, name) = key.rsplit_once('.').map_or((None, key), |(above, name)| (Some(above), name));
    for section in sections.into_iter().flat_map(|above| above.split('.')) {
        at = at.as_table_like_mut()?.entry(section).or_insert_with(|| Item::Table(Table::new()));
    }
    let table = at.as_table_like_mut()?;
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = text.into();
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(name, value(text));
        }
    }
    Some(())
}
