//! Errors of the disk, with the failed call and its path.

use std::io;
use std::path::{Path, PathBuf};

/// A call on the disk that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", .path.display())]
pub struct IoAt {
    /// The call, as a verb: `read`, `rename`, `look at`.
    pub operation: &'static str,
    /// Its path.
    pub path: PathBuf,
    /// Answer of the system.
    pub source: io::Error,
}

/// Adds call and path to an error of the disk.
pub trait At<T> {
    /// Names the call and its path, if it failed.
    ///
    /// # Errors
    /// The error it is given.
    fn at(self, operation: &'static str, path: &Path) -> Result<T, IoAt>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, IoAt> {
        self.map_err(|error| IoAt { operation, path: path.to_owned(), source: error.into() })
    }
}

/// None if nothing stands there, instead of the error `NotFound`.
///
/// # Errors
/// Every other error.
pub fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
