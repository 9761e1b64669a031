//! The settings that led to a vault, in the configuration: the next command finds it without the
//! flags and the environment of this one.

use std::path::Path;

use super::Args;
use crate::cli::app::{App, resolved};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::{SettingSource, Written, update};
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
    pub(super) fn of(app: &'a App, args: &Args) -> Result<Self, Failure> {
        let file = app.loaded.file.as_path();
        let mut written: Vec<(&str, String)> =
            args.flags().into_iter().map(|flag| (flag.key, flag.value)).collect();
        let vault = app.config().vault.to_string_lossy().into_owned();
        let there = Written::read(file)?;
        let named = there.text("vault").map(str::to_owned);
        let source = app.loaded.keys.get("vault").map(|shown| &shown.source);
        let elsewhere = source.is_some_and(|source| *source != SettingSource::Default);
        if named.is_none() && (elsewhere || !app.loaded.file_exists) {
            written.push(("vault", vault));
        }
        written.extend(how_reached(app));
        written.retain(|(key, value)| there.text(key) != Some(value.as_str()));
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

/// Settings of the remote that the environment made, and that worked: the service, or another
/// shell, will not have them. Credentials are no part of the configuration.
fn how_reached(app: &App) -> Vec<(&'static str, String)> {
    let config = app.config();
    let told = [
        ("remote", config.remote.clone()),
        ("user_id", Some(config.user_id.clone())),
        ("s3.endpoint", config.s3.endpoint.clone()),
        ("s3.region", config.s3.region.clone()),
        ("s3.profile", config.s3.profile.clone()),
    ];
    let here = |key: &str| {
        app.loaded.keys.get(key).is_some_and(|shown| matches!(shown.source, SettingSource::Environment(_)))
    };
    told.into_iter().filter(|(key, _)| here(key)).filter_map(|(key, value)| Some((key, value?))).collect()
}
