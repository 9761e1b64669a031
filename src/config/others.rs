//! Who else can write the configuration: it may name programs to run.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Write access for everybody.
const OTHERS_WRITE: u32 = 0o002;
/// In such a folder, only a file's owner replaces it.
const STICKY: u32 = 0o1000;

/// The file, or the folder that it is in, if another user than root can change it. A group is taken
/// for the user's own, as most systems make one for each user.
#[must_use]
pub fn open_to_others(file: &Path) -> Option<PathBuf> {
    let ours = rustix::process::geteuid().as_raw();
    let folder = file.parent().map(Path::to_owned);
    // What a link leads to is what is read.
    let real = std::fs::canonicalize(file).ok();
    let real_folder = real.as_deref().and_then(Path::parent).map(Path::to_owned);
    let places = [real, real_folder, folder].into_iter().flatten();
    let is_open = |place: &PathBuf| {
        let Ok(meta) = std::fs::metadata(place) else { return false };
        let sticky = meta.is_dir() && meta.mode() & STICKY != 0;
        let writable = meta.mode() & OTHERS_WRITE != 0 && !sticky;
        writable || ![0, ours].contains(&meta.uid())
    };
    places.into_iter().find(is_open)
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_write_or_replace_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let file = path.join("config.toml");
        std::fs::write(&file, "").unwrap();
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for (file_mode, folder_mode, found) in [
            (0o600, 0o700, None),
            (0o664, 0o775, None),
            (0o666, 0o700, Some(&file)),
            (0o644, 0o777, Some(&path)),
            (0o644, 0o1777, None),
        ] {
            mode(&file, file_mode);
            mode(&path, folder_mode);
            assert_eq!(open_to_others(&file).as_ref(), found, "{file_mode:o} in {folder_mode:o}");
        }
        assert_eq!(open_to_others(&path.join("missing.toml")), None);
    }
}
