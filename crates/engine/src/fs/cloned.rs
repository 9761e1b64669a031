//! New files that begin as a copy of another one, whose blocks they share.
//!
//! Bytes that are written to such a file are compared with those that it holds already, and only
//! blocks that differ reach the disk. The comparison is with the new file itself, which nobody else
//! has open: whatever the other one was, the new one holds the bytes that were written to it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::WriteFile;
use super::at::At;

/// Bytes that are compared, and written, as one: a block of most file systems.
const BLOCK: usize = 4096;
/// Most bytes that are compared at once.
const AT_ONCE: usize = 256 << 10;

/// File that holds another one's bytes before any are written to it.
struct Cloned<W> {
    /// The same file, to be finished.
    whole: W,
    file: File,
    /// Bytes that it held at first.
    held: u64,
    /// Bytes that were written to it.
    at: u64,
    buffer: Vec<u8>,
}

/// Creates the file `new` for writing, with the blocks of `like` if the file system can share them.
///
/// # Errors
/// See [`super::Fs::create`]. That blocks cannot be shared is none.
pub(super) fn create_like(new: At<'_>, like: At<'_>) -> io::Result<Box<dyn WriteFile>> {
    let (file, whole) = new.create_to_read()?;
    match share(&file, like) {
        Some(held) => Ok(Box::new(Cloned { whole, file, held, at: 0, buffer: Vec::new() })),
        None => Ok(Box::new(whole)),
    }
}

/// Gives an empty file the blocks of another one, and tells how many bytes they are.
#[cfg(target_os = "linux")]
fn share(file: &File, like: At<'_>) -> Option<u64> {
    use super::at::READ;
    use rustix::fs::{FileType, Mode, fstat, ioctl_ficlone, openat};

    let other = openat(like.folder, like.name, READ, Mode::empty()).ok()?;
    let is_file = FileType::from_raw_mode(fstat(&other).ok()?.st_mode).is_file();
    // Any error says that the file is as empty as before: all of it is written.
    if !is_file || ioctl_ficlone(file, &other).is_err() {
        return None;
    }
    file.metadata().ok().map(|stat| stat.len())
}

/// Elsewhere everything is written.
#[cfg(not(target_os = "linux"))]
const fn share(_: &File, _: At<'_>) -> Option<u64> {
    None
}

impl<W> Cloned<W> {
    /// Writes the blocks of `part` that are not what the file holds.
    fn patch(&mut self, part: &[u8]) -> io::Result<()> {
        let there = usize::try_from(self.held.saturating_sub(self.at)).unwrap_or(usize::MAX).min(part.len());
        self.buffer.resize(there, 0);
        self.file.read_exact_at(&mut self.buffer, self.at)?;
        let (over, new) = part.split_at(there);
        let mut at = self.at;
        let (mut rest, mut held) = (over, self.buffer.as_slice());
        while !rest.is_empty() {
            let to_edge = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or_default();
            let (block, later) = rest.split_at(to_edge.min(rest.len()));
            let (old, later_held) = held.split_at(block.len());
            if block != old {
                self.file.write_all_at(block, at)?;
            }
            at += block.len() as u64;
            (rest, held) = (later, later_held);
        }
        self.file.write_all_at(new, at)
    }
}

impl<W> Write for Cloned<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let part = buf.get(..AT_ONCE).unwrap_or(buf);
        self.patch(part)?;
        self.at += part.len() as u64;
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: WriteFile> WriteFile for Cloned<W> {
    fn finish(&mut self, mode: u32, mtime_ms: Option<i64>) -> io::Result<()> {
        if self.at < self.held {
            self.file.set_len(self.at)?;
        }
        self.whole.finish(mode, mtime_ms)
    }
}

#[cfg(test)]
mod tests;
