//! `cogzy-vault init`

use crate::config::{Flag, Source};

/// Set up this device: write the configuration, make the vault's folders, create or join the remote
///
/// Safe to repeat. Where both sides already hold files it says what will meet what, and wants `--join`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backup is: b2://bucket/prefix, s3://bucket/prefix or file:///path, without credentials
    #[arg(long, value_name = "URL")]
    pub remote: Option<String>,
    /// Whose vault it is, where several users share a bucket
    #[arg(long, value_name = "ID")]
    pub user_id: Option<String>,
    /// What this device is called in the history and in conflicts
    #[arg(long, value_name = "NAME")]
    pub device_name: Option<String>,
    /// Join although both sides hold files: the remote wins, what differs here is kept as a conflict
    #[arg(long)]
    pub join: bool,
}

impl Args {
    /// The keys that this command line sets, to be checked with the configuration and then written to its file.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let given = [
            ("remote", &self.remote, "--remote"),
            ("user_id", &self.user_id, "--user-id"),
            ("device_name", &self.device_name, "--device-name"),
        ];
        let flag = |(key, value, name): (&'static str, &Option<String>, &str)| {
            value.clone().map(|value| Flag { key, value, source: Source::Flag(name.to_owned()) })
        };
        given.into_iter().filter_map(flag).collect()
    }
}
