//! `cogzy-vault run`

/// Run the daemon in the foreground
///
/// This is what the service manager starts. With nothing configured it keeps the default vault in a folder beside it, and
/// says so.
#[derive(Debug, clap::Args)]
pub struct Args {}
