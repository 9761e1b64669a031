//! `sync/pending`: a commit with fixed bytes and an unknown outcome.
//!
//! While the file exists, the device plans nothing new and repeats exactly this PUT. The file also
//! stores the record that becomes valid once the commit is visible, so that a crash at any point
//! ends in the same state. Layout: the length of the record as little-endian u64, the record as
//! JSON, the bytes of the commit object, and the BLAKE3 of all that.

use std::io;
use std::path::Path;

use super::last_sync::parse;
use super::{LastSync, RecordError};
use crate::fs::{self, Fs};
use crate::model::Digest;

const MAX_BYTES: u64 = 2 << 30;

/// Commit on its way to the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Record that becomes valid once the commit is visible.
    pub record: LastSync,
    /// Bytes of the commit object.
    pub object: Vec<u8>,
}

impl Pending {
    /// Reads the pending commit, if there is one. It is on the disk for good from then on: the
    /// process that wrote it may have ended, or failed, just before its name was, and the PUT that
    /// follows must not be forgotten by a power cut.
    ///
    /// # Errors
    /// If the file is damaged or the disk fails.
    pub fn load(fs: &dyn Fs, path: &Path) -> Result<Option<Self>, RecordError> {
        let bytes = match fs::read(fs, path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(RecordError::io(path, error)),
        };
        let pending = Self::parse(path, &bytes)?;
        sync_folder(fs, path)?;
        Ok(Some(pending))
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, RecordError> {
        let short = || RecordError::damaged(path, "it is too short");
        let (body, sum) = bytes.split_last_chunk::<32>().ok_or_else(short)?;
        if Digest::of(body).as_bytes() != sum {
            return Err(RecordError::damaged(path, "its checksum does not match"));
        }
        let (length, rest) = body.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (record, object) = rest.split_at_checked(length).ok_or_else(short)?;
        Ok(Self { record: parse(path, record)?, object: object.to_vec() })
    }

    /// Writes the file durably, before the first PUT.
    ///
    /// # Errors
    /// If the disk fails. Then no PUT may follow.
    pub fn save(&self, fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        let record = serde_json::to_vec(&self.record).map_err(|error| RecordError::damaged(path, error))?;
        let mut bytes = (record.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&record);
        bytes.extend_from_slice(&self.object);
        bytes.extend_from_slice(Digest::of(&bytes).as_bytes());
        fs::replace(fs, path, &bytes, 0o600).map_err(|error| RecordError::io(path, error))
    }

    /// Removes the file, after the commit is visible and the record is written.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn clear(fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
        match fs.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RecordError::io(path, error)),
            _ => sync_folder(fs, path),
        }
    }
}

fn sync_folder(fs: &dyn Fs, path: &Path) -> Result<(), RecordError> {
    let synced = path.parent().map_or(Ok(()), |folder| fs.sync_dir(folder));
    synced.map_err(|error| RecordError::io(path, error))
}
