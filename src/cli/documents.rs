//! Documents that only `--json` prints. The socket's documents are in [`cogzy_client::documents`];
//! the same rules hold for both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::ShownKey;
use crate::service::ServiceStatus;
use cogzy_client::documents::{SchemaVersion, SyncDocument};
use cogzy_engine::model::{DeviceId, VaultId};
use cogzy_engine::sync::Exported;

/// The error that a verb ended with.
#[derive(Debug, Serialize)]
pub struct FailureDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The error.
    pub error: ErrorDetails<'a>,
}

/// The failure in words, and what to do.
#[derive(Debug, Serialize)]
pub struct ErrorDetails<'a> {
    /// The kind: that of the exit code.
    pub kind: &'a str,
    /// The description.
    pub message: &'a str,
    /// The file that it is about, if it is about one.
    pub path: Option<&'a Path>,
    /// The command to run, or the thing to do, next.
    pub next: Option<&'a str>,
}

/// `config show`.
#[derive(Debug, Serialize)]
pub struct ConfigDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The configuration file, which need not exist.
    pub file: &'a Path,
    /// Every key with a value.
    pub keys: BTreeMap<&'a str, KeyDocument<'a>>,
}

/// A key of the configuration.
#[derive(Debug, Serialize)]
pub struct KeyDocument<'a> {
    /// The value as TOML.
    pub value: &'a str,
    /// The place that sets it.
    pub source: String,
}

impl<'a> From<&'a ShownKey> for KeyDocument<'a> {
    fn from(shown: &'a ShownKey) -> Self {
        Self { value: &shown.value, source: shown.source.to_string() }
    }
}

/// `config path`.
#[derive(Debug, Serialize)]
pub struct ConfigPathDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The configuration file.
    pub file: &'a Path,
    /// True if it exists.
    pub file_exists: bool,
}

/// `config check`, of a configuration that is good.
#[derive(Debug, Serialize)]
pub struct ConfigCheckDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always true: a configuration that cannot be used ends in an error.
    pub ok: bool,
    /// The configuration file.
    pub file: &'a Path,
    /// True if it exists.
    pub file_exists: bool,
}

/// `init`, of a device that is joined.
#[derive(Debug, Serialize)]
pub struct InitDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always true; see [`MeetingDocument`].
    pub joined: bool,
    /// True if the vault was made now.
    pub created: bool,
    /// The vault's id.
    pub vault: VaultId,
    /// This device's id.
    pub device: DeviceId,
    /// The generation of the remote.
    pub generation: u64,
    /// The remote's URL.
    pub remote: &'a str,
    /// The configuration file.
    pub config: &'a Path,
    /// True where this machine has seen a newer state of the remote, or another vault there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rolled_back: bool,
    /// Actions that the store refuses with this key.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub warnings: &'a [String],
}

/// `init`, if both sides hold files and the user has not agreed to join them yet.
#[derive(Debug, Serialize)]
pub struct MeetingDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always false; see [`InitDocument`].
    pub joined: bool,
    /// The id of the vault that the remote holds.
    pub vault: VaultId,
    /// Counts of the files that would meet.
    pub meets: MeetsDocument,
}

/// Counts of files that would meet.
#[derive(Debug, Serialize)]
pub struct MeetsDocument {
    /// On both sides, with the same bytes.
    pub same: usize,
    /// On both sides, with different bytes.
    pub differing: usize,
    /// On this device only.
    pub local_only: usize,
    /// On the remote only.
    pub remote_only: usize,
}

/// `export`, and `restore --to`.
#[derive(Debug, Serialize)]
pub struct ExportDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Counts of what was written.
    pub exported: &'a Exported,
    /// The folder.
    pub to: &'a Path,
}

/// `import`.
#[derive(Debug, Serialize)]
pub struct ImportDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Objects that were taken over.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Keys of objects that are never synced.
    pub skipped: &'a [String],
    /// The cycle that committed them.
    pub sync: &'a SyncDocument,
}

/// `retry`.
#[derive(Debug, Serialize)]
pub struct RetryDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always true: if no daemon runs, it ends in an error.
    pub retrying: bool,
}

/// `service status` and `service start`.
#[derive(Debug, Serialize)]
pub struct ServiceDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The state of the service.
    pub service: &'a ServiceStatus,
    /// The vault, or the configuration, that the service keeps in the place of this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keeps_another: Option<&'a Path>,
}

/// `service install`.
#[derive(Debug, Serialize)]
pub struct InstallDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always true.
    pub installed: bool,
    /// The file that describes the service.
    pub file: &'a Path,
    /// True if the file was written; else it is a package's.
    pub written: bool,
    /// The state of the service.
    pub service: &'a ServiceStatus,
    /// Settings of this shell that the service does not have.
    pub not_seen: NotSeenDocument<'a>,
}

/// Settings of a shell that the service does not have.
#[derive(Debug, Serialize)]
pub struct NotSeenDocument<'a> {
    /// Keys of the configuration.
    pub settings: &'a [&'static str],
    /// Variables with credentials.
    pub credentials: &'a [String],
    /// Variables of proxies and certificates.
    pub network: &'a [String],
}

/// `service uninstall`.
#[derive(Debug, Serialize)]
pub struct UninstallDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always false.
    pub installed: bool,
    /// The file that was removed. None if it is a package's.
    pub removed: Option<PathBuf>,
}

/// `service stop`.
#[derive(Debug, Serialize)]
pub struct StoppedDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// Always false.
    pub running: bool,
}

/// `man`.
#[derive(Debug, Serialize)]
pub struct PageDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The manual page in roff.
    pub page: &'a str,
}

/// `completions`.
#[derive(Debug, Serialize)]
pub struct ScriptDocument<'a> {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The script for the shell.
    pub script: &'a str,
}

#[cfg(test)]
mod tests;
