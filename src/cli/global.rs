//! Options that every verb takes.

use std::path::PathBuf;

use clap::{ArgAction, ValueEnum};

use super::again::Again;
use super::paths::absolute;

/// Options that every verb takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The configuration file, if not the one in the platform's config folder
    #[arg(long, global = true, env = "COGZY_VAULT_CONFIG", value_name = "FILE", value_parser = absolute)]
    pub config: Option<PathBuf>,
    /// The vault's folder, if not the configured one
    #[arg(long, global = true, env = "COGZY_VAULT_DIR", value_name = "DIR", value_parser = absolute)]
    pub vault: Option<PathBuf>,
    /// The daemon's socket, if not the usual one
    #[arg(long, global = true, env = "COGZY_VAULT_SOCKET", value_name = "PATH", value_parser = absolute)]
    pub socket: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Print only what was asked for, and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// The flags among these that a proposed command has to repeat
    #[arg(skip)]
    pub again: Again,
}

/// A choice of when to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// True if a stream is to be coloured.
    #[must_use]
    pub const fn on(self, is_terminal: bool, no_color: bool) -> bool {
        match self {
            Self::Auto => is_terminal && !no_color,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_of_users_who_want_it() {
        assert!(Color::Auto.on(true, false) && !Color::Auto.on(true, true) && !Color::Auto.on(false, false));
        assert!(Color::Always.on(false, true) && !Color::Never.on(true, false));
    }
}
