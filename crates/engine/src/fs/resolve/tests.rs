use std::os::unix::fs::symlink;

use rustix::fs::CWD;

use super::*;

/// Either way of opening a file below a folder.
type Opening = fn(BorrowedFd, &Path, OFlags) -> Result<OwnedFd, Errno>;

fn ways() -> [(&'static str, Opening); 2] {
    let at_once: Opening = |folder, relative, flags| {
        at_once(folder, relative, flags).unwrap_or_else(|| by_name(folder, relative, flags))
    };
    [("at once", at_once), ("by name", by_name)]
}

#[test]
fn no_link_is_followed_at_any_depth_in_either_way() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir_all(root.join("a/b/c")).unwrap();
    std::fs::create_dir_all(dir.path().join("outside/b/c")).unwrap();
    for (name, target) in [("link", "../outside"), ("inner", "a"), ("a/up", ".."), ("dangling", "nothing")] {
        symlink(target, root.join(name)).unwrap();
    }
    std::fs::write(root.join("file"), "x").unwrap();
    let folder = rustix::fs::openat(CWD, &root, STEP, Mode::empty()).unwrap();
    for (way, open) in ways() {
        for flags in [STEP, super::super::at::FOLDER] {
            let opened = |relative: &str| open(folder.as_fd(), Path::new(relative), flags).err();
            for real in ["a", "a/b", "a/b/c"] {
                assert_eq!(opened(real), None, "{way}: {real}");
            }
            for linked in ["link", "link/b", "link/b/c", "inner", "inner/b", "a/up", "a/up/a", "dangling"] {
                assert_eq!(opened(linked), Some(Errno::LOOP), "{way}: {linked}");
            }
            assert_eq!(opened("file/below"), Some(Errno::NOTDIR), "{way}");
            assert_eq!(opened("a/none/c"), Some(Errno::NOENT), "{way}");
        }
    }
}

#[test]
fn what_is_no_plain_way_down_is_refused() {
    for path in ["", "/", "/etc", "..", "a/../..", "./a", "a/.."] {
        assert!(check(Path::new(path)).is_err(), "{path:?}");
    }
    assert!(check(Path::new("a/b")).is_ok());
}
