//! `.cogzy-vault`: the file that makes a folder a vault.
//!
//! Without it nothing is ever scanned or written: an unmounted disk, an emptied folder or a wrong path in the configuration
//! must stop the sync, not look like a vault whose files were all deleted. It is written once, by replacing the whole file;
//! a crash leaves either no marker or a whole one.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::fs::{self, Fs, IoAt, Replaced, found};
use crate::model::{DeviceId, FileKind, VaultId};
use crate::planted::{Bug, planted};

/// The format this program writes, and the newest it reads.
pub const MARKER_FORMAT: u32 = 1;

/// A marker is a few hundred bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// Format version, [`MARKER_FORMAT`].
    pub format: u32,
    /// Which vault this is.
    pub vault: VaultId,
    /// Which of its devices.
    pub device: DeviceId,
    /// Digest of the id of the machine that the device id was made on: a folder that was copied to another machine must not
    /// pose as the first one.
    pub machine: String,
}

/// A folder that is no usable vault.
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    /// The root does not exist.
    #[error("the vault folder {} does not exist: is its disk mounted?", .0.display())]
    NoRoot(PathBuf),
    /// The root is another folder than the one that was opened.
    #[error("{} is another folder than the one that was opened: the vault was moved away, or its disk was mounted anew", .0.display())]
    Replaced(PathBuf),
    /// The root is something else.
    #[error("{} is not a folder, so it cannot be a vault", .0.display())]
    NotAFolder(PathBuf),
    /// There is no marker.
    #[error("{} is missing: this folder is not a vault, or its disk is not mounted (`cogzy-vault init` makes a vault)", .0.display())]
    Missing(PathBuf),
    /// The marker cannot be understood.
    #[error("{} is damaged ({why}): restore it from a backup, or run `cogzy-vault init --join` again", .path.display())]
    Damaged {
        /// The marker.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The marker was written by a later program.
    #[error("{} has format {format}, but this program reads only up to {MARKER_FORMAT}: update cogzy-vault", .path.display())]
    Newer {
        /// The marker.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
    /// The folder is another vault than the one expected.
    #[error("{} belongs to vault {found}, but {expected} was expected: check the path of the vault", .path.display())]
    OtherVault {
        /// The marker.
        path: PathBuf,
        /// Which vault it names.
        found: VaultId,
        /// Which was expected.
        expected: VaultId,
    },
    /// The marker cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoAt),
}

impl Marker {
    /// Reads the marker of the vault at `layout`, after a look at the root.
    ///
    /// # Errors
    /// Where the root is no folder, or the marker is missing, damaged or of a newer format.
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
            // Too long, or no regular file.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
            {
                Err(MarkerError::Damaged { path, why: error.to_string() })
            }
            Err(error) => Err(failed("read", path, error)),
        }
    }

    /// The same, for a folder that must be `expected`.
    ///
    /// # Errors
    /// Those of [`Marker::read`], and where the folder is another vault.
    pub fn read_of(fs: &dyn Fs, layout: &Layout, expected: VaultId) -> Result<Self, MarkerError> {
        let marker = Self::read(fs, layout)?;
        if marker.vault == expected {
            Ok(marker)
        } else {
            Err(MarkerError::OtherVault { path: layout.marker(), found: marker.vault, expected })
        }
    }

    /// The same, for a folder that other programs may write to: it has our own folder, too, which they never make.
    ///
    /// # Errors
    /// Those of [`Marker::read`], and where our folder is missing.
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

    /// Writes the marker, replacing any other. Durable when it returns.
    ///
    /// # Errors
    /// Where it cannot be written; the old one then still stands.
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
    // The version alone first: a newer format may have other fields.
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
mod tests {
    use super::*;
    use crate::fs::RealFs;

    fn marker() -> Marker {
        let (vault, device) = (VaultId::from_bytes([1; 16]), DeviceId::from_bytes([2; 8]));
        Marker { format: MARKER_FORMAT, vault, device, machine: "m".into() }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        marker().write(&RealFs, &layout).unwrap();
        marker().write(&RealFs, &layout).unwrap();
        assert_eq!(Marker::read(&RealFs, &layout).unwrap(), marker());
        assert!(Marker::read_of(&RealFs, &layout, marker().vault).is_ok());
        let other = Marker::read_of(&RealFs, &layout, VaultId::from_bytes([9; 16]));
        assert!(matches!(other, Err(MarkerError::OtherVault { .. })));
    }

    #[test]
    fn each_fault_has_its_own_error() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let read = |layout: &Layout| Marker::read(&RealFs, layout).unwrap_err();
        let write = |text: &str| std::fs::write(layout.marker(), text).unwrap();
        assert!(matches!(read(&layout), MarkerError::Missing(_)));
        assert!(matches!(read(&Layout::new(dir.path().join("x"))), MarkerError::NoRoot(_)));
        for damaged in ["", "{}", "null", "[1]", r#"{"format":1}"#, r#"{"format":-1}"#] {
            write(damaged);
            assert!(matches!(read(&layout), MarkerError::Damaged { .. }), "{damaged:?} was taken");
        }
        write(&" ".repeat(70_000));
        assert!(matches!(read(&layout), MarkerError::Damaged { .. }));
        write(r#"{"format":2,"anything":"else"}"#);
        assert!(matches!(read(&layout), MarkerError::Newer { format: 2, .. }));
        let file = Layout::new(layout.marker());
        assert!(matches!(read(&file), MarkerError::NotAFolder(_)));
    }
}
