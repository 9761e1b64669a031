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
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(Cli, Vec<Flag>), clap::Error> {
        Cli::read(std::iter::once("cogzy-vault").chain(line.split_whitespace()).map(OsString::from))
    }

    #[test]
    fn the_definition_is_sound_and_every_verb_has_help() {
        let command = Cli::command();
        command.clone().debug_assert();
        for verb in command.get_subcommands() {
            assert!(verb.get_about().is_some(), "{} has no help", verb.get_name());
        }
    }

    #[test]
    fn the_documented_command_lines_are_accepted() {
        for line in [
            "init",
            "init --remote b2://bucket/x --user-id me --device-name laptop --join",
            "run",
            "retry",
            "pause",
            "pause --for 1h",
            "resume",
            "sync --dry-run --derived --all",
            "--json status",
            "status --json -q",
            "status --watch",
            "approve",
            "approve 0123456789abcdef",
            "approve --reject",
            "approve --reject 0123456789abcdef",
            "approve --all",
            "approve --reject --all",
            "conflicts",
            "events",
            "events --follow --since 7 --json",
            "changes --since 42",
            "conflicts list",
            "conflicts show 0123",
            "conflicts show 0123 --to x",
            "conflicts resolve 0123 --keep mine",
            "conflicts resolve 0123 --keep desk",
            "conflicts resolve --all --keep other",
            "conflicts resolve 0123 --keep both --yes",
            "history",
            "history corpus/nodes.json --limit 3",
            "restore --generation 7",
            "restore --generation 7-3fa2 corpus traces/t.json --yes",
            "restore --at 2026-11-20T18:00:00Z --to x",
            "restore --at 2d corpus",
            "undo",
            "undo 7 --force",
            "reset",
            "reset --yes",
            "reset --dry-run --json",
            "prune",
            "prune --dry-run --json",
            "export x",
            "import",
            "import b2://bucket/old",
            "export x --generation 7 corpus",
            "verify --deep -vv --color never",
            "doctor",
            "man",
            "completions bash",
            "doctor --json",
            "verify --repair",
            "service install",
            "service uninstall",
            "service start",
            "service stop",
            "service status --json",
            "config show",
            "config check --config x.toml",
            "config path",
        ] {
            assert!(read(line).is_ok(), "{line} was refused");
        }
        for line in [
            "",
            "sink",
            "sync x",
            "config",
            "approve 01 --all",
            "conflicts show",
            "conflicts resolve 01",
            "conflicts resolve --keep this",
            "conflicts resolve 01 --all --keep this",
            "restore",
            "restore --generation 7 --at 2d",
            "restore --at soon",
            "export",
            "status -v -q",
            "sync --color blue",
            "--vault",
        ] {
            assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line} was taken");
        }
    }

    #[test]
    fn flags_become_keys_wherever_they_stand() {
        for line in ["--vault /v init --user-id me", "init --user-id me --vault /v"] {
            let (_, flags) = read(line).unwrap();
            let keys: Vec<_> = flags.iter().map(|flag| (flag.key, flag.value.as_str())).collect();
            assert_eq!(keys, [("vault", "/v"), ("user_id", "me")], "{line}");
            assert_eq!(flags[0].source, SettingSource::Flag("--vault".to_owned()));
        }
        let (cli, flags) = read("status --vault here").unwrap();
        assert!(cli.global.vault.is_some_and(|path| path.is_absolute() && path.ends_with("here")));
        assert!(flags.iter().all(|flag| PathBuf::from(&flag.value).is_absolute()));
    }
}
