//! `cogzy-vault approve`

/// Let a held change pass, or decide the other way
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The hold's id, or how it begins; not needed where only one is open
    pub hold: Option<String>,
    /// Decide the other way: an outgoing change is undone here, an incoming one is overruled
    #[arg(long)]
    pub reject: bool,
}
