use super::*;
use crate::fs::RealFs;

#[test]
fn a_lock_has_one_holder_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let held = FileLock::try_take(&RealFs, &path).unwrap();
    assert!(held.is_some());
    assert!(FileLock::try_take(&RealFs, &path).unwrap().is_none());
    assert!(FileLock::try_take_shared(&RealFs, &path).unwrap().is_none());
    drop(held);
    let shared = [
        FileLock::try_take_shared(&RealFs, &path).unwrap(),
        FileLock::try_take_shared(&RealFs, &path).unwrap(),
    ];
    assert!(shared.iter().all(Option::is_some) && FileLock::try_take(&RealFs, &path).unwrap().is_none());
    // A copy like that of a program that is being started.
    let copy = shared[0].as_ref().unwrap().file.try_clone().unwrap();
    drop(shared);
    assert!(FileLock::try_take(&RealFs, &path).unwrap().is_some(), "a copy of the file keeps the lock");
    drop(copy);
    let held = FileLock::try_take(&RealFs, &path).unwrap().unwrap();
    assert!(held.is_at(&RealFs, &path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(!held.is_at(&RealFs, &path).unwrap());
    let _other = FileLock::try_take(&RealFs, &path).unwrap().expect("the file is another one");
    assert!(!held.is_at(&RealFs, &path).unwrap());
    std::os::unix::fs::symlink("lock", dir.path().join("link")).unwrap();
    assert!(FileLock::try_take(&RealFs, &dir.path().join("link")).is_err(), "a link was followed");
}

#[test]
fn what_a_holder_tells_is_of_its_own_lock_and_of_no_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (path, copy) = (dir.path().join("lock"), dir.path().join("copy"));
    let held = FileLock::try_take(&RealFs, &path).unwrap().unwrap();
    assert_eq!(FileLock::told(&path), None);
    held.tell("a longer text than the next one").unwrap();
    held.tell("/run/a socket.sock").unwrap();
    assert_eq!(FileLock::told(&path).as_deref(), Some("/run/a socket.sock"));
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(FileLock::told(&copy), None);
    std::fs::rename(&path, dir.path().join("moved")).unwrap();
    assert_eq!(FileLock::told(&dir.path().join("moved")).as_deref(), Some("/run/a socket.sock"));
    std::fs::write(&copy, "/an/older/text.sock").unwrap();
    assert_eq!(FileLock::told(&copy), None);
}
