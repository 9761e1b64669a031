//! The settings that led to a vault, in the configuration: the next command finds it without the
//! flags and the environment of this one.

use std::path::Path;

use crate::cli::app::{App, resolved};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::{SettingSource, ShownKey, Written, update};
use cogzy_engine::fs::RealFs;

/// Settings that this `init` writes to its file.
pub(super) struct Remembered<'a> {
    file: &'a Path,
    written: Vec<(&'static str, String)>,
    /// The vault that the file goes on naming in the place of this one: services and other shells
    /// rely on that.
    other: Option<String>,
}

impl<'a> Remembered<'a> {
    /// The settings, without those that the file has already.
    ///
    /// # Errors
    /// If the file cannot be read; or if it names another vault and would change, for then the
    /// service of that one would no longer find its remote.
    pub(super) fn of(app: &'a App) -> Result<Self, Failure> {
        let file = app.loaded.file.as_path();
        let there = Written::read(file)?;
        let named = there.text("vault").map(str::to_owned);
        let vault = app.loaded.keys.get("vault");
        let vault = vault.filter(|shown| shown.source != SettingSource::Default || !app.loaded.file_exists);
        let vault = vault.filter(|_| named.is_none()).map(|shown| ("vault", shown.value.clone()));
        let new = |(key, value): &(&'static str, String)| {
            // An empty text stands for none.
            !there.says(key, value) && (there.has(key) || value != "\"\"")
        };
        let written = vault.into_iter().chain(set_here(app)).filter(new).collect();
        // However it is spelled.
        let is_other = |named: &String| resolved(Path::new(named)) != resolved(&app.config().vault);
        let settings = Self { file, written, other: named.filter(is_other) };
        settings.refuse_another_vault().map(|()| settings)
    }

    fn refuse_another_vault(&self) -> Result<(), Failure> {
        let (Some(other), Some((key, value))) = (&self.other, self.written.first()) else { return Ok(()) };
        let text = format!(
            "{} names the vault {other}, and is not changed: {key} = {value} is for another one",
            self.file.display()
        );
        Err(Failure::new(Exit::Usage, text)
            .next("give this vault a file of its own, here and in each later command: --config FILE"))
    }

    /// Writes them. Returns the vault that the file goes on naming in the place of this one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(self) -> Result<Option<String>, Failure> {
        let written: Vec<(&str, &str)> =
            self.written.iter().map(|(key, value)| (*key, value.as_str())).collect();
        if !written.is_empty() {
            update(&RealFs, self.file, &written)?;
        }
        Ok(self.other)
    }
}

/// Settings that the flags and the environment made, and that worked: the service, or another shell,
/// will not have them. Credentials are no part of the configuration.
fn set_here(app: &App) -> impl Iterator<Item = (&'static str, String)> {
    let here =
        |shown: &ShownKey| matches!(shown.source, SettingSource::Environment(_) | SettingSource::Flag(_));
    let keys = app.loaded.keys.iter().filter(move |(key, shown)| **key != "vault" && here(shown));
    keys.map(|(key, shown)| (*key, shown.value.clone()))
}
