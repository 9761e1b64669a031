//! Reading of keys from the layers. Every layer is checked, so that a bad value in the file is
//! found even while the environment covers it up.
//!
//! A key exists because it is read: a key that is set but never read is unknown.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use strsim::levenshtein;
use toml_edit::Value;

use super::layer::{Setting, settings};
use super::units::{Size, Span};
use super::{ConfigError, SettingSource, ShownKey};

/// The longest part of a value that an error repeats, in characters.
const LONGEST: usize = 80;

/// All layers, and the keys that were read from them so far.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The settings by key; the last one of each wins.
    settings: BTreeMap<String, Vec<Setting>>,
    /// Every key that was read, with the value that won, if there is one.
    known: BTreeMap<&'static str, Option<ShownKey>>,
}

impl Reader {
    /// Puts a TOML text on top of the layers.
    pub(super) fn add_document(&mut self, text: &str, path: Option<&Path>) -> Result<(), ConfigError> {
        for (key, setting) in settings(text, path)? {
            self.settings.entry(key).or_default().push(setting);
        }
        Ok(())
    }

    /// Puts one text on top of the layers.
    pub(super) fn add_text(&mut self, key: &str, text: &str, source: SettingSource) {
        self.settings.entry(key.to_owned()).or_default().push(Setting::from_text(text, source));
    }

    /// The value of a key. `parse` returns none for a value that is not `allowed`.
    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let value =
            self.last(key, |setting| parse(&setting.value).ok_or_else(|| refused(key, setting, allowed)))?;
        value.ok_or(ConfigError::Missing { key })
    }

    /// The value of a key that may have none; an empty text is none.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.last(key, |setting| match setting.value.as_str() {
            Some("") => Ok(None),
            _ => parse(&setting.value).map(Some).ok_or_else(|| refused(key, setting, allowed)),
        })?;
        Ok(value.flatten())
    }

    /// The value of a key that is a text.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.take_as_text(key);
        self.value(key, allowed, |value| value.as_str().and_then(&parse))
    }

    /// The value of a key that is a text, if it has one.
    pub(super) fn optional_text<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.take_as_text(key);
        self.optional(key, allowed, |value| value.as_str().and_then(&parse))
    }

    /// The meaning of one of some words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Result<T, ConfigError> {
        let quoted: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        self.text(key, &quoted.join(" or "), |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
        })
    }

    /// A duration.
    pub(super) fn span(&mut self, key: &'static str, range: Spans) -> Result<Duration, ConfigError> {
        let allowed = format!("a duration {}, such as \"2s\" or \"1h\"", between(&range));
        self.text(key, &allowed, |text| parse_span(text, &range))
    }

    /// A list of durations, not empty.
    pub(super) fn spans(&mut self, key: &'static str, range: Spans) -> Result<Vec<Duration>, ConfigError> {
        let allowed = format!("a list of durations {}, such as [\"30s\", \"2m\"]", between(&range));
        let one = |value: &Value| value.as_str().and_then(|text| parse_span(text, &range));
        self.value(key, &allowed, |value| {
            let list = value.as_array().filter(|list| !list.is_empty())?;
            list.iter().map(one).collect()
        })
    }

    /// A number of bytes.
    pub(super) fn size(&mut self, key: &'static str) -> Result<u64, ConfigError> {
        let allowed = "a size in quotes, such as \"0\" or \"16MiB\"";
        self.text(key, allowed, |text| text.parse().ok().map(|Size(bytes)| bytes))
    }

    /// A whole number.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<T, ConfigError> {
        let allowed = format!("a whole number from {} to {}", range.start(), range.end());
        self.value(key, &allowed, |value| {
            let number = u64::try_from(value.as_integer()?).ok()?;
            T::try_from(number).ok().filter(|_| range.contains(&number))
        })
    }

    /// Yes or no.
    pub(super) fn boolean(&mut self, key: &'static str) -> Result<bool, ConfigError> {
        self.value(key, "true or false", Value::as_bool)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, key: &'static str) -> Result<Vec<String>, ConfigError> {
        self.value(key, "a list of texts, such as [\"one\", \"two\"]", texts)
    }

    /// An absolute path, if there is one.
    pub(super) fn path(&mut self, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
        let absolute = |text: &str| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
        self.optional_text(key, "an absolute path, such as \"/home/me/memory\"", absolute)
    }

    /// The result of `check` for the setting that wins, after those below it were checked too.
    pub(super) fn last<T>(
        &mut self,
        key: &'static str,
        check: impl Fn(&Setting) -> Result<T, ConfigError>,
    ) -> Result<Option<T>, ConfigError> {
        let settings = self.settings.get(key).map(Vec::as_slice).unwrap_or_default();
        let mut value = None;
        for setting in settings {
            value = Some(check(setting)?);
        }
        let shown = |last: &Setting| ShownKey { value: last.value.to_string(), source: last.source.clone() };
        self.known.insert(key, settings.last().map(shown));
        Ok(value)
    }

    /// Refuses the value of a key, however well formed.
    pub(super) fn refuse(&self, key: &str, allowed: &str) -> Result<(), ConfigError> {
        let setting = self.settings.get(key).and_then(|settings| settings.last());
        setting.map_or(Ok(()), |setting| Err(refused(key, setting, allowed)))
    }

    /// The values that were read, by key.
    ///
    /// # Errors
    /// If a layer sets a key that was not read.
    pub(super) fn finish(self) -> Result<BTreeMap<&'static str, ShownKey>, ConfigError> {
        for (key, settings) in &self.settings {
            let section = format!("{key}.");
            let is_section = self.known().any(|known| known.starts_with(&section));
            let stray =
                |setting: &&Setting| setting.value.as_inline_table().is_none_or(|table| !table.is_empty());
            match settings.iter().find(|setting| !is_section || stray(setting)) {
                Some(setting) if is_section => {
                    return Err(refused(key, setting, &format!("a section, [{key}]")));
                }
                Some(setting) if !self.known.contains_key(key.as_str()) => {
                    let near = nearest(key, self.known());
                    return Err(ConfigError::Unknown {
                        place: setting.source.clone(),
                        key: key.clone(),
                        near,
                    });
                }
                _ => {}
            }
        }
        Ok(self.known.into_iter().filter_map(|(key, shown)| Some((key, shown?))).collect())
    }

    /// Every key that was read.
    pub(super) fn known(&self) -> impl Iterator<Item = &'static str> {
        self.known.keys().copied()
    }

    /// Takes the environment's and the flags' settings of `key` as text.
    pub(super) fn take_as_text(&mut self, key: &str) {
        self.settings.get_mut(key).into_iter().flatten().for_each(Setting::take_as_text);
    }
}

/// The key of `known` that `given` is a typing error away from, or that has the same last name in
/// another section.
pub(super) fn nearest(given: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |key: &str| levenshtein(given, key).min(levenshtein(&last(given), &last(key)) + 1);
    let (score, key) = known.map(|key| (score(key), key)).min()?;
    (score <= 1 + given.chars().count() / 5).then_some(key)
}

/// The shortest and the longest allowed duration.
pub(super) type Spans = RangeInclusive<Span>;

fn between(range: &Spans) -> String {
    format!("from {} to {}", range.start(), range.end())
}

fn parse_span(text: &str, range: &Spans) -> Option<Duration> {
    text.parse().ok().filter(|span| range.contains(span)).map(|Span(duration)| duration)
}

/// A value as a list of texts.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
}

/// The error of a value that is not `allowed`.
pub(super) fn refused(key: &str, setting: &Setting, allowed: &str) -> ConfigError {
    let whole = setting.value.to_string();
    let mut found: String = whole.chars().take(LONGEST).collect();
    if found.len() < whole.len() {
        found.push('…');
    }
    let (place, key, allowed) = (setting.source.clone(), key.to_owned(), allowed.to_owned());
    ConfigError::Value { place, key, found, allowed }
}
