//! `cogzy-vault conflicts`

/// List conflicts, or show one
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do; lists them where nothing is said.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do with conflicts.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// List the open conflicts
    List,
    /// Show one: whose versions met, when, and where the losing one is kept
    Show {
        /// The conflict's id, or how it begins
        id: String,
    },
}
