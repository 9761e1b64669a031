//! One value of one key in one layer, and its place.

use std::path::Path;

use toml_edit::{Array, Document, InlineTable, TableLike, TomlError, Value};

use super::{ConfigError, SettingSource};

/// A value and its source.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    /// The text of the environment or a flag, which need not be TOML.
    raw: Option<String>,
    pub(super) source: SettingSource,
}

impl Setting {
    /// A setting of the environment or a flag: TOML where it can be read as such, else a text.
    pub(super) fn from_text(text: &str, source: SettingSource) -> Self {
        let value = text.parse().unwrap_or_else(|_: TomlError| Value::from(text));
        Self { value: value.decorated("", ""), raw: Some(text.to_owned()), source }
    }

    /// Takes a setting of the environment or a flag as it stands: a device named 42 there is meant
    /// as a text, whatever TOML makes of it.
    pub(super) fn take_as_text(&mut self) {
        if let (None, Some(raw)) = (self.value.as_str(), &self.raw) {
            self.value = Value::from(raw);
        }
    }
}

/// The settings of a TOML text, by dotted key. `path` is its file; the defaults have none. A
/// section without any key is listed too, under its own name, so that a misspelt one is noticed.
pub(super) fn settings(text: &str, path: Option<&Path>) -> Result<Vec<(String, Setting)>, ConfigError> {
    let place = |offset: usize| match path {
        // Offsets come from the parser; `get` keeps a wrong one from panicking.
        Some(path) => SettingSource::File {
            path: path.to_owned(),
            line: 1 + text.get(..offset).map_or(0, |before| before.matches('\n').count()),
        },
        None => SettingSource::Default,
    };
    let document = Document::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().map_or(0, |span| span.start)),
        why: error.message().trim().replace('\n', ", "),
    })?;
    let mut found = Vec::new();
    flatten(document.as_table(), "", &mut |key, offset, value| {
        found.push((key, Setting { value, raw: None, source: place(offset) }));
    });
    Ok(found)
}

fn flatten(table: &dyn TableLike, prefix: &str, found: &mut impl FnMut(String, usize, Value)) {
    for (name, item) in table.iter() {
        let key = format!("{prefix}{name}");
        match item.as_table_like() {
            Some(inner) if !inner.is_empty() => flatten(inner, &format!("{key}."), found),
            _ => {
                let offset = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
                let offset = offset.map_or(0, |span| span.start);
                if let Ok(value) = item.clone().into_value() {
                    found(key, offset, plain(value));
                }
            }
        }
    }
}

/// The value without comments and line breaks.
fn plain(value: Value) -> Value {
    match value.decorated("", "") {
        Value::Array(array) => {
            let mut array: Array = array.into_iter().map(plain).collect();
            array.fmt();
            Value::Array(array)
        }
        Value::InlineTable(table) => {
            let mut table: InlineTable = table.into_iter().map(|(key, value)| (key, plain(value))).collect();
            table.fmt();
            Value::InlineTable(table)
        }
        scalar => scalar,
    }
}
