//! Trial of the names that a disk holds.
//!
//! Some disks refuse a name, and some cut a dot or a space off, so that two names become one. So a
//! name is held only if a listing shows it just as it was given.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::Fs;
use super::escape::escape;

/// Names that not every disk holds.
const TRIED: [&str; 3] = [r#"a\:*?"<>|b"#, "c.", "d "];

/// Names that a disk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// All.
    All,
    /// Not all, but each in the escape.
    Escaped,
    /// Some not even so.
    Some,
}

/// Tries it in a folder of ours, and leaves files there.
pub(super) fn try_names<F: Fs + ?Sized>(fs: &F, folder: &Path) -> io::Result<Holds> {
    let all = |spell: &dyn Fn(&str) -> String| {
        TRIED.iter().try_fold(true, |all, name| Ok::<_, io::Error>(all && holds(fs, folder, &spell(name))?))
    };
    let escaped = || all(&|name| escape(name).into_owned());
    Ok(if all(&str::to_owned)? {
        Holds::All
    // Hardly any disk refuses the escape, and it would leave files out until the next start: what
    // may have been a failure of the moment is tried again.
    } else if escaped()? || escaped()? {
        Holds::Escaped
    } else {
        Holds::Some
    })
}

fn holds<F: Fs + ?Sized>(fs: &F, folder: &Path, name: &str) -> io::Result<bool> {
    match fs.create(&folder.join(name)) {
        // Tried before; the listing tells.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if refuses(&error) => return Ok(false),
        // Nothing of it has to outlast the look.
        made => drop(made?),
    }
    Ok(fs.read_dir(folder)?.iter().any(|(listed, _)| listed == name))
}

/// True for the answers to a name, and false for those of a disk that is full or fails.
fn refuses(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;

    let kinds = [
        Kind::InvalidInput,
        Kind::InvalidFilename,
        Kind::NotFound,
        Kind::PermissionDenied,
        Kind::Unsupported,
    ];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(Errno::ILSEQ.raw_os_error())
}
