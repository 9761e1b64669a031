//! `cogzy-vault verify`

/// Check the local files against the manifest, and the bucket against its own commits
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Read every pack
    #[arg(long)]
    pub deep: bool,
}
