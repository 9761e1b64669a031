//! `cogzy-vault config`

/// Show or check the configuration
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Show every key, its value, and where that comes from
    Show,
    /// Check it, and say what is wrong
    Check,
    /// Say where its file is
    Path,
}
