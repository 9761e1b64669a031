//! Changes to the configuration file: a few keys at a time, with everything else left as it is.
//!
//! A crash leaves the old file or the new one.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item, Table, TomlError, Value};

use super::{ConfigError, SettingSource};
use cogzy_engine::fs::{self, Fs};

const HEADER: &str = "\
# Configuration of cogzy-vault. What is not set here has its default: `cogzy-vault config show` lists every key, its value
# and where that comes from.

";

/// The number of links to a configuration file beyond which they lead in a circle.
const MAX_LINKS: usize = 32;

/// Sets keys, by dotted name, to values in TOML, as [`super::ShownKey`] has them. A new file is readable
/// by its owner only; an existing one keeps its comments and order. `path` is absolute; a symbolic
/// link stays one, also where it leads to no file yet.
///
/// # Errors
/// If the file cannot be read, is no TOML, or cannot be written; it is then as it was.
pub fn update(disk: &dyn Fs, path: &Path, values: &[(&str, &str)]) -> Result<(), ConfigError> {
    let unwritten = |source: io::Error| ConfigError::Write { path: path.to_owned(), source };
    let unread = |source: io::Error| ConfigError::Read { path: path.to_owned(), source };
    let path = followed(path).map_err(unread)?;
    let (header, text) = match std::fs::read_to_string(&path) {
        Ok(text) => ("", text),
        Err(error) if error.kind() == ErrorKind::NotFound => (HEADER, String::new()),
        Err(source) => return Err(unread(source)),
    };
    let mut document = parsed(&path, &text)?;
    for (key, text) in values {
        let value = text.parse().map_err(|error: TomlError| unwritten(io::Error::other(error)))?;
        set(document.as_item_mut(), key, value).ok_or_else(|| {
            unwritten(io::Error::other(format!("{key} cannot be set: what stands above it is no section")))
        })?;
    }
    if let Some(folder) = path.parent() {
        disk.create_dir_all(folder).map_err(unwritten)?;
    }
    fs::replace(disk, &path, format!("{header}{document}").as_bytes(), 0o600).map_err(unwritten)
}

/// The values that a configuration file gives to keys.
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
        self.item(key).and_then(Item::as_str)
    }

    /// True if a key has a value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.item(key).is_some()
    }

    /// True if the value of a key is this one, in TOML.
    #[must_use]
    pub fn says(&self, key: &str, value: &str) -> bool {
        let there = self.item(key).and_then(Item::as_value);
        there.zip(value.parse().ok()).is_some_and(|(there, value)| same(there, &value))
    }

    fn item(&self, key: &str) -> Option<&Item> {
        key.split('.').try_fold(self.0.as_item(), |at, part| at.get(part))
    }
}

fn parsed(path: &Path, text: &str) -> Result<DocumentMut, ConfigError> {
    text.parse().map_err(|error: toml_edit::TomlError| ConfigError::Syntax {
        place: SettingSource::File { path: path.to_owned(), line: 1 },
        why: error.to_string(),
    })
}

/// The file that a path leads to through links; it need not exist.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&at) {
            // A relative target begins where the link stands.
            Ok(target) => at = at.parent().unwrap_or(Path::new("/")).join(target),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => {
                return Ok(at);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links lead on from here"))
}

/// True if two values are the same, however each is written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| same(one, other))
        }
        _ => one.to_string().trim() == other.to_string().trim(),
    }
}

fn set(mut at: &mut Item, key: &str, value: Value) -> Option<()> {
    let (sections, name) = key.rsplit_once('.').map_or((None, key), |(above, name)| (Some(above), name));
    for section in sections.into_iter().flat_map(|above| above.split('.')) {
        at = at.as_table_like_mut()?.entry(section).or_insert_with(|| Item::Table(Table::new()));
    }
    let table = at.as_table_like_mut()?;
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(name, Item::Value(value));
        }
    }
    Some(())
}
