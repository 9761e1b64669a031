//! A log file of limited size: a full one gets a number, and the oldest is removed.
//!
//! A log must never stand in the way of the work. If the file cannot be written, lines are lost and
//! nothing else. A crash leaves at worst half a line, or a gap in the numbers. Nor does the log
//! keep a disk from being unmounted: it can be let go, and is then open only while a line is
//! written.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use cogzy_engine::fs::{Fs, RootedFs};

/// The longest file, in bytes.
const FULL: u64 = 5_000_000;
/// The number of full files that are kept.
const KEPT: u32 = 3;

/// The log file. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Rotated(Arc<Mutex<OpenLog>>);

#[derive(Debug)]
struct OpenLog {
    disk: Arc<RootedFs>,
    path: PathBuf,
    /// None while it is let go.
    file: Option<File>,
    length: u64,
    full: u64,
}

impl Rotated {
    /// The log at `path`, continued at its end. Its folder is made where it is missing.
    ///
    /// # Errors
    /// If it cannot be opened; a link in its place is not followed.
    pub fn open(disk: Arc<RootedFs>, path: &Path) -> io::Result<Self> {
        Self::with_length(disk, path, FULL)
    }

    fn with_length(disk: Arc<RootedFs>, path: &Path, full: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            disk.create_dir_all(folder)?;
        }
        // Its lines may name files: it is made for the owner only.
        let file = disk.open_append(path)?;
        let length = file.metadata()?.size();
        let state = OpenLog { disk, path: path.to_owned(), file: Some(file), length, full };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    /// Closes the file: from now on it is open only while a line is written.
    pub fn let_go(&self) {
        self.state().file = None;
    }

    /// Keeps the file open again.
    ///
    /// # Errors
    /// If it cannot be opened; it is tried again with each line.
    pub fn hold(&self) -> io::Result<()> {
        let mut state = self.state();
        state.file = Some(state.disk.open_append(&state.path)?);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, OpenLog> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenLog {
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match self.disk.rename(&self.numbered(number), &self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.disk.rename(&self.path, &self.numbered(1))?;
        self.file = self.file.is_some().then(|| self.disk.open_append(&self.path)).transpose()?;
        self.length = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes),
            None => self.disk.open_append(&self.path)?.write_all(bytes),
        }
    }
}

impl<'a> MakeWriter<'a> for Rotated {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Rotated {
    /// Takes one whole event: no line is torn between two files.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.length > 0 && state.length + bytes.len() as u64 > state.full {
            // A file that is too long is better than one that is lost.
            let _goes_on_in_the_full_one = state.rotate();
        }
        state.append(bytes)?;
        state.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
