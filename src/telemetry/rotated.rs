//! A log file of limited size: a full one gets a number, and the oldest is removed.
//!
//! A log must never stand in the way of the work. If the file cannot be written, lines are lost and
//! nothing else. A crash leaves at worst half a line, or a gap in the numbers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;
use tracing_subscriber::fmt::MakeWriter;

/// The longest file, in bytes.
const FULL: u64 = 5_000_000;
/// The number of full files that are kept.
const KEPT: u32 = 3;

/// The log file. Clones write to the same one.
#[derive(Debug, Clone)]
pub struct Rotated(Arc<Mutex<OpenLog>>);

#[derive(Debug)]
struct OpenLog {
    path: PathBuf,
    file: File,
    length: u64,
    full: u64,
}

impl Rotated {
    /// The log at `path`, continued at its end. Its folder is made where it is missing.
    ///
    /// # Errors
    /// If it cannot be opened; a link in its place is not followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::with_length(path, FULL)
    }

    fn with_length(path: &Path, full: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let length = file.metadata()?.size();
        Ok(Self(Arc::new(Mutex::new(OpenLog { path: path.to_owned(), file, length, full }))))
    }
}

/// Opens the file for its owner only: its lines may name files.
fn append(path: &Path) -> io::Result<File> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(no_link).open(path)
}

impl OpenLog {
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = append(&self.path)?;
        self.length = 0;
        Ok(())
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
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.length > 0 && state.length + bytes.len() as u64 > state.full {
            // A file that is too long is better than one that is lost.
            let _goes_on_in_the_full_one = state.rotate();
        }
        state.file.write_all(bytes)?;
        state.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(folder: &Path) -> Vec<(String, String)> {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut texts: Vec<_> = names
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        texts.sort();
        texts
    }

    #[test]
    fn the_newest_lines_are_kept_whole_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/x.log");
        for number in 0..20 {
            // Each round is like a restart.
            let mut log = Rotated::with_length(&path, 30).unwrap();
            log.write_all(format!("line {number:02}, eleven\n").as_bytes()).unwrap();
        }
        let line = |number: u32| format!("line {number:02}, eleven\n");
        let kept = [("x.log", 19), ("x.log.1", 18), ("x.log.2", 17), ("x.log.3", 16)];
        let kept = kept.map(|(name, number)| (name.to_owned(), line(number)));
        assert_eq!(texts(&folder.path().join("logs")), kept);
    }

    #[test]
    fn a_link_is_not_followed_and_others_cannot_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("x.log"), folder.path().join("target"));
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(Rotated::open(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        Rotated::open(&path).unwrap().write_all(b"x\n").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }
}
