//! `cogzy-vault sync`

/// Sync now: one whole cycle, with progress
///
/// Through the daemon if one runs, else by itself.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Also send rebuilt indexes
    #[arg(long)]
    pub derived: bool,
}
