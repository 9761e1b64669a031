//! Folders and small files that are durable when they are made.

use std::io::{self, Read, Write};
use std::path::Path;

use super::Fs;

/// Creates `folder` and the missing folders above it, and makes their names durable below `root`,
/// which exists. Otherwise a disk may keep a file that is moved there and lose its folder.
///
/// # Errors
/// Errors of the system.
pub fn create_dir_durable(fs: &dyn Fs, folder: &Path, root: &Path) -> io::Result<()> {
    fs.create_dir_all(folder)?;
    folder
        .ancestors()
        .skip(1)
        .take_while(|above| above.starts_with(root))
        .try_for_each(|above| fs.sync_dir(above))
}

/// Reads a whole small file of at most `limit` bytes.
///
/// # Errors
/// Errors of the system; `InvalidData` if the file is longer than `limit`.
pub fn read(fs: &dyn Fs, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    // A list that grows by itself comes to twice as much.
    let size = file.stat().map_or(0, |stat| stat.size.min(limit));
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Replaces a small file, so that readers find either the old bytes or the new ones, also after a
/// crash. The new bytes are durable on return.
///
/// The temporary file is `<path>.new`. The caller is the only writer of `path` (the vault's lock
/// ensures that), so a leftover of a crash can simply be removed.
///
/// # Errors
/// Errors of the system. The old file stays in place.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    replace_with(fs, path, mode, |file| file.write_all(bytes))
}

/// Like [`replace`], for a file that `fill` writes piece by piece.
///
/// # Errors
/// Errors of the system and of `fill`. The old file stays in place.
pub fn replace_with(
    fs: &dyn Fs,
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let fresh = Path::new(&name);
    match fs.remove_file(fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs.create(fresh)?;
    fill(&mut file)?;
    file.finish(mode, None)?;
    drop(file);
    fs.rename(fresh, path)?;
    path.parent().map_or(Ok(()), |folder| fs.sync_dir(folder))
}
