//! Small records of ours below `sync/`: JSON with a format.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::fs::{self, At, Fs, IoAt, found};

/// Reads a record of at most `max` bytes; none where none was ever made. `format` gives the format
/// that it has and the one that this program reads.
///
/// # Errors
/// As the system reports them; `InvalidData` where it does not parse.
pub(super) fn read_own<T: DeserializeOwned>(
    fs: &dyn Fs,
    path: &Path,
    max: u64,
    format: impl Fn(&T) -> (u32, u32),
) -> Result<Option<T>, IoAt> {
    let Some(bytes) = found(fs::read(fs, path, max)).at("read", path)? else { return Ok(None) };
    let parsed: T = serde_json::from_slice(&bytes).map_err(io::Error::from).at("read", path)?;
    let (has, known) = format(&parsed);
    if has == known {
        return Ok(Some(parsed));
    }
    let newer = format!("its format is {has}, and this program reads {known}");
    Err(io::Error::new(io::ErrorKind::InvalidData, newer)).at("read", path)
}
