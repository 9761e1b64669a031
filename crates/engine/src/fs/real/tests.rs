use std::fs as disk;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;

use super::*;

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().map_or(ErrorKind::Other, |error| error.kind())
}

#[test]
fn links_and_special_files_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    disk::write(at("file"), "x").unwrap();
    disk::create_dir(at("folder")).unwrap();
    symlink("file", at("link")).unwrap();
    symlink("folder", at("folder-link")).unwrap();
    cogzy_testkit::make_pipe(&at("pipe"));
    assert!(RealFs.open(&at("file")).is_ok());
    for name in ["link", "folder", "pipe", "none"] {
        assert!(RealFs.open(&at(name)).is_err(), "{name} was opened");
    }
    assert!(RealFs.read_dir(&at("folder-link")).is_err());
    assert!(RealFs.sync_dir(&at("folder-link")).is_err());
    assert!(RealFs.create_dir_all(&at("folder-link")).is_err());
    assert!(RealFs.create_dir_all(&at("folder/a/b")).is_ok());
    assert_eq!(kind(RealFs.create(&at("link"))), ErrorKind::AlreadyExists);
    assert_eq!(kind(RealFs.lstat(&at("file/below"))), ErrorKind::NotFound);
    assert_eq!(kind(RealFs.open(&at("file/below"))), ErrorKind::NotFound);
    let mut names = RealFs.read_dir(dir.path()).unwrap();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    let kinds: Vec<_> = names.iter().map(|(name, kind)| (name.to_str().unwrap(), *kind)).collect();
    let expected = [
        ("file", FileKind::File),
        ("folder", FileKind::Folder),
        ("folder-link", FileKind::Symlink),
        ("link", FileKind::Symlink),
        ("pipe", FileKind::Special),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn only_a_plain_rename_replaces_files() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let text = |name: &str| disk::read_to_string(at(name)).unwrap();
    disk::write(at("a"), "a").unwrap();
    disk::write(at("b"), "b").unwrap();
    assert_eq!(kind(RealFs.rename_new(&at("a"), &at("b"))), ErrorKind::AlreadyExists);
    assert_eq!((text("a"), text("b")), ("a".into(), "b".into()));
    RealFs.exchange(&at("a"), &at("b")).unwrap();
    assert_eq!((text("a"), text("b")), ("b".into(), "a".into()));
    assert_eq!(kind(RealFs.exchange(&at("a"), &at("none"))), ErrorKind::NotFound);
    assert_eq!(kind(RealFs.hard_link(&at("a"), &at("b"))), ErrorKind::AlreadyExists);
    RealFs.hard_link(&at("a"), &at("second")).unwrap();
    assert_eq!(RealFs.lstat(&at("a")).unwrap().ino, RealFs.lstat(&at("second")).unwrap().ino);
    RealFs.rename(&at("a"), &at("b")).unwrap();
    RealFs.rename_new(&at("b"), &at("c")).unwrap();
    assert_eq!(text("c"), "b");
}

#[test]
fn a_new_file_has_the_given_mode_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for (mode, mtime_ms) in [(0o640, Some(-1)), (0o600, Some(1_700_000_000_123)), (0o755, None)] {
        let mut file = RealFs.create(&path).unwrap();
        assert_eq!(RealFs.lstat(&path).unwrap().mode, 0o600);
        file.write_all(b"content").unwrap();
        file.finish(mode, mtime_ms).unwrap();
        let stat = RealFs.lstat(&path).unwrap();
        assert_eq!((stat.mode, stat.size), (mode, 7));
        assert!(mtime_ms.is_none_or(|ms| stat.mtime_ms() == ms), "{mtime_ms:?} became {}", stat.mtime_ms());
        let open = RealFs.open(&path).unwrap();
        assert_eq!(open.stat().unwrap(), stat);
        let mut part = [0; 4];
        open.read_exact_at(&mut part, 3).unwrap();
        assert_eq!(&part, b"tent");
        assert_eq!(kind(open.read_exact_at(&mut part, 4)), ErrorKind::UnexpectedEof);
        RealFs.remove_file(&path).unwrap();
    }
    assert!(RealFs.free_space(dir.path()).unwrap() > 0);
}
