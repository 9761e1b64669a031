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

#[test]
fn who_waits_for_the_apply_lock_keeps_new_readers_away_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().to_owned());
    std::fs::create_dir(layout.sync()).unwrap();
    let read = || FileLock::try_of_one_generation(&RealFs, &layout, false).unwrap();
    let pause = Duration::from_millis(5);
    let mut turn = ApplyTurn::new(pause);
    let take = |turn: &mut ApplyTurn| turn.try_take(&RealFs, &layout).unwrap();
    let (first, second) = (read(), read());
    assert!(first.is_some() && second.is_some());
    assert!(take(&mut turn).is_none());
    assert!(read().is_none(), "a new reader overtakes the one that waits");
    let passes_by = FileLock::try_of_one_generation(&RealFs, &layout, true).unwrap();
    assert!(passes_by.is_some(), "one that waits may be stopped");
    drop(passes_by);
    let mut another = ApplyTurn::new(pause);
    assert!(take(&mut another).is_none(), "two that wait disturb each other");
    drop((first, second));
    let held = take(&mut turn).expect("no reader is left");
    assert!(read().is_none() && take(&mut another).is_none());
    drop((held, another));
    let reader = read();
    assert!(reader.is_some(), "the gate is open again");
    // One that reads for long may wait for another reading itself.
    let tries = (0..2 * CLOSED.as_millis() / pause.as_millis()).map(|_| {
        let _in_vain = take(&mut turn);
        read().is_some()
    });
    let let_in = tries.filter(|let_in| *let_in).count();
    assert!((1..200).contains(&let_in), "{let_in}");
    drop(turn);
    assert!(read().is_some(), "it has given up");
}
