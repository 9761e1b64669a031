//! Moving a file to a place that may be on another mount.

use std::io::{self, Write};
use std::path::Path;

use super::{Fs, found};

/// Moves a file to a free name as [`Fs::rename_new`] does; where the two stand on different mounts,
/// by a durable copy that takes the name at once. A crash may leave the file under both names.
///
/// # Errors
/// As for [`Fs::rename_new`]; `AlreadyExists` also where the copy was made before a crash.
pub fn move_new(fs: &dyn Fs, from: &Path, to: &Path) -> io::Result<()> {
    match fs.rename_new(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
        done => return done,
    }
    let mut name = to.as_os_str().to_owned();
    name.push(".new");
    let fresh = Path::new(&name);
    found(fs.remove_file(fresh))?;
    let mut source = fs.open(from)?;
    let stat = source.stat()?;
    let mut copy = fs.create(fresh)?;
    io::copy(&mut source, &mut copy)?;
    copy.flush()?;
    copy.finish(stat.mode | 0o600, Some(stat.mtime_ms()))?;
    drop(copy);
    fs.rename_new(fresh, to)?;
    to.parent().map_or(Ok(()), |folder| fs.sync_dir(folder))?;
    fs.remove_file(from)
}
