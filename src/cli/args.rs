//! The command line as a whole: the global options, and the verbs.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::again::Again;
use super::global::Global;
use super::{
    approve, changes, config, conflicts, doctor, events, export, history, hold, import, init, pause, prune,
    reference, reset, restore, retry, run, service, status, sync, undo, verify,
};
use crate::config::{Flag, SettingSource};

/// Keeps an AI-memory vault folder and an object-store bucket the same, on every device
#[derive(Debug, Parser)]
#[command(name = "cogzy-vault", version, max_term_width = 100)]
pub struct Cli {
    /// Options that every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a comment here would take the place of the help text of the verb's arguments"
)]
pub enum Verb {
    Init(init::Args),
    Run(run::Args),
    Sync(sync::Args),
    Status(status::Args),
    Pause(pause::PauseArgs),
    Resume(pause::ResumeArgs),
    Retry(retry::Args),
    Approve(approve::Args),
    Conflicts(conflicts::Args),
    Events(events::Args),
    Changes(changes::Args),
    Hold(hold::Args),
    History(history::Args),
    Restore(restore::Args),
    Undo(undo::Args),
    Reset(reset::Args),
    Prune(prune::Args),
    Export(export::Args),
    Import(import::Args),
    Verify(verify::Args),
    Doctor(doctor::Args),
    Service(service::Args),
    Config(config::Args),
    Completions(reference::CompletionsArgs),
    Man(reference::ManArgs),
}

impl Cli {
    /// Reads a command line, and collects the keys that it sets, also through the variables that
    /// stand for flags.
    ///
    /// # Errors
    /// If it cannot be understood, or asks for help: both know how to print themselves.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<(Self, Vec<Flag>), clap::Error> {
        let matches = Self::command().try_get_matches_from(args)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.global.again = cli.again(&matches);
        let flags = cli.flags(&matches);
        Ok((cli, flags))
    }

    /// The flags that this command line names itself: a proposed command repeats them.
    fn again(&self, matches: &ArgMatches) -> Again {
        let Global { config, vault, socket, .. } = &self.global;
        let named = [("config", config), ("vault", vault), ("socket", socket)]
            .into_iter()
            .filter(|(name, _)| matches.value_source(name) == Some(ValueSource::CommandLine));
        let flag = |(name, value): (&str, &Option<PathBuf>)| Some((format!("--{name}"), value.clone()?));
        let flags: Vec<(String, PathBuf)> = named.filter_map(flag).collect();
        let verbs = Self::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
        Again::new(flags.iter().map(|(name, value)| (name.as_str(), value.as_path())), verbs)
    }

    fn flags(&self, matches: &ArgMatches) -> Vec<Flag> {
        let source = match matches.value_source("vault") {
            Some(ValueSource::EnvVariable) => SettingSource::Environment("COGZY_VAULT_DIR".to_owned()),
            _ => SettingSource::Flag("--vault".to_owned()),
        };
        let vault = self.global.vault.as_ref().map(|path| Flag {
            key: "vault",
            // Lossless: `absolute` only accepts Unicode.
            value: path.to_string_lossy().into_owned(),
            source,
        });
        let own = match &self.verb {
            Verb::Init(args) => args.flags(),
            _ => Vec::new(),
        };
        vault.into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests;
