//! `cogzy-vault status`

/// Say whether all is in sync, and if not, what to do
#[derive(Debug, clap::Args)]
pub struct Args {}
