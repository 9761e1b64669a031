//! `.cogzy-vault`: the file that makes a folder a vault.
//!
//! Without it nothing is scanned or written. An unmounted disk, an emptied folder or a wrong path
//! in the configuration must stop the sync, and must not look like a vault whose files were all
//! deleted. The marker is replaced as a whole file, so a crash leaves either no marker or a whole
//! one.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::fs::{self, Fs, IoAt, Replaced, found};
use crate::model::{DeviceId, FileKind, VaultId};
use crate::planted::{Bug, planted};

/// Format version that this program writes, and the newest that it reads.
pub const MARKER_FORMAT: u32 = 1;

/// Maximum length in bytes; a marker has a few hundred.
const MAX_BYTES: u64 = 64 << 10;

/// Contents of the marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Format version, [`MARKER_FORMAT`].
    pub format: u32,
    /// Id of the vault.
    pub vault: VaultId,
    /// Id of this device.
    pub device: DeviceId,
    /// Digest of the id of the machine that created the device id. A folder copied to another
    /// machine must not pose as the first one.
    pub machine: String,
}

/// Error of a folder that is not a usable vault.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// The root does not exist.
    #[error("the vault folder {} does not exist: is its disk mounted?", .0.display())]
    NoRoot(PathBuf),
    /// The root is another folder than the one that was opened.
    #[error("{} is another folder than the one that was opened: the vault was moved away, or its disk was mounted anew", .0.display())]
    Replaced(PathBuf),
    /// The root is not a folder.
    #[error("{} is not a folder, so it cannot be a vault", .0.display())]
    NotAFolder(PathBuf),
    /// The marker is missing.
    #[error("{} is missing: this folder is not a vault, or its disk is not mounted (`cogzy-vault init` makes a vault)", .0.display())]
    Missing(PathBuf),
    /// The marker does not parse.
    #[error("{} is damaged ({why}): restore it from a backup, or run `cogzy-vault init --join` again", .path.display())]
    Damaged {
        /// Path of the marker.
        path: PathBuf,
        /// Cause.
        why: String,
    },
    /// The marker was written by a newer program.
    #[error("{} has format {format}, but this program reads only up to {MARKER_FORMAT}: update cogzy-vault", .path.display())]
    Newer {
        /// Path of the marker.
        path: PathBuf,
        /// Format of the marker.
        format: u32,
    },
    /// The folder is not the expected vault.
    #[error("{} belongs to vault {found}, but {expected} was expected: check the path of the vault", .path.display())]
    OtherVault {
        /// Path of the marker.
        path: PathBuf,
        /// Vault that the marker names.
        found: VaultId,
        /// Vault that was expected.
        expected: VaultId,
    },
    /// The marker cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoAt),
}

impl Marker {
    /// Checks the root of the vault at `layout` and reads its marker.
    ///
    /// # Errors
    /// If the root is not a folder, or the marker is missing, damaged or of a newer format.
    pub fn read(fs: &dyn Fs, layout: &Layout) -> Result<Self, MarkerError> {
        let failed = |operation, path: PathBuf, source| MarkerError::Io(IoAt { operation, path, source });
        let root = layout.root().to_owned();
        match found(fs.lstat(&root)) {
            Ok(None) => return Err(MarkerError::NoRoot(root)),
            Ok(Some(stat)) if stat.kind != FileKind::Folder => return Err(MarkerError::NotAFolder(root)),
            Ok(Some(_)) => {}
            Err(error) if Replaced::is(&error) && planted(Bug::TrustTheRoot) => {}
            Err(error) if Replaced::is(&error) => return Err(MarkerError::Replaced(root)),
            Err(error) => return Err(failed("look at", root, error)),
        }
        let path = layout.marker();
        match found(fs::read(fs, &path, MAX_BYTES)) {
            Ok(Some(bytes)) => parse(&bytes, path),
            Ok(None) => Err(MarkerError::Missing(path)),
            // The marker is too long or is not a regular file.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
            {
                Err(MarkerError::Damaged { path, why: error.to_string() })
            }
            Err(error) => Err(failed("read", path, error)),
        }
    }

    /// Reads the marker like [`Marker::read`] and checks that the vault is `expected`.
    ///
    /// # Errors
    /// Errors of [`Marker::read`], and another vault than the expected one.
    pub fn read_of(fs: &dyn Fs, layout: &Layout, expected: VaultId) -> Result<Self, MarkerError> {
        let marker = Self::read(fs, layout)?;
        if marker.vault == expected {
            Ok(marker)
        } else {
            Err(MarkerError::OtherVault { path: layout.marker(), found: marker.vault, expected })
        }
    }

    /// Reads the marker of a folder that other programs may write to. It must have our own folder,
    /// which they never create.
    ///
    /// # Errors
    /// See [`Marker::read`]; also an error if our folder is missing.
    pub fn read_joined(fs: &dyn Fs, layout: &Layout) -> Result<Self, MarkerError> {
        let marker = Self::read(fs, layout)?;
        let path = layout.sync();
        match found(fs.lstat(&path)) {
            Ok(Some(stat)) if stat.kind == FileKind::Folder => Ok(marker),
            Ok(Some(_)) => Err(MarkerError::NotAFolder(path)),
            Ok(None) => Err(MarkerError::Missing(path)),
            Err(source) => Err(MarkerError::Io(IoAt { operation: "look at", path, source })),
        }
    }

    /// Writes the marker, replacing any other. It is durable on return.
    ///
    /// # Errors
    /// If it cannot be written. The old marker stays in place.
    pub fn write(&self, fs: &dyn Fs, layout: &Layout) -> Result<(), MarkerError> {
        let path = layout.marker();
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::other)
            .and_then(|bytes| fs::replace(fs, &path, &bytes, 0o600));
        written.map_err(|source| MarkerError::Io(IoAt { operation: "write", path, source }))
    }
}

fn parse(bytes: &[u8], path: PathBuf) -> Result<Marker, MarkerError> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    // Read only the version first: a newer format may have other fields.
    let read = serde_json::from_slice(bytes).and_then(|Version { format }| {
        if format > MARKER_FORMAT { Ok(Err(format)) } else { serde_json::from_slice(bytes).map(Ok) }
    });
    match read {
        Ok(Ok(marker)) => Ok(marker),
        Ok(Err(format)) => Err(MarkerError::Newer { path, format }),
        Err(error) => Err(MarkerError::Damaged { path, why: error.to_string() }),
    }
}

#[cfg(test)]
mod tests;
