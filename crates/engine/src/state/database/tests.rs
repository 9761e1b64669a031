//! The cache database on real disks.

use super::*;
use std::os::unix::fs::PermissionsExt;

use crate::fs::RealFs;

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::open(Arc::new(RealFs), path)
}

#[test]
fn a_database_in_use_is_not_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    open(&path).unwrap().put_object("commits/x", b"bytes").unwrap();
    let holder = Connection::open(&path).unwrap();
    holder.pragma_update(None, "locking_mode", "EXCLUSIVE").unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(Database::open_within(Arc::new(RealFs), &path, Duration::ZERO, true).is_err());
    drop(holder);
    assert!(open(&path).unwrap().object("commits/x").unwrap().is_some());
}

#[test]
fn a_damaged_or_newer_database_is_created_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    for damage in [
        b"this is no database, but long enough to have a header of one".as_slice(),
        b"",
        b"SQLite format 3\0",
    ] {
        std::fs::write(&path, damage).unwrap();
        let database = open(&path).unwrap();
        database.put_object("commits/x", b"bytes").unwrap();
        drop(database);
        assert_eq!(open(&path).unwrap().object("commits/x").unwrap().as_deref(), Some(b"bytes".as_slice()));
    }
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    assert_eq!(open(&path).unwrap().object("commits/x").unwrap(), None);
}

#[test]
fn only_who_holds_the_lock_deletes_a_damaged_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let damaged = b"this is no database, but long enough to have a header of one";
    std::fs::write(&path, damaged).unwrap();
    let beside = Database::open_beside(Arc::new(RealFs), &path).unwrap();
    beside.put_object("commits/x", b"bytes").unwrap();
    assert!(beside.object("commits/x").unwrap().is_some());
    assert_eq!(std::fs::read(&path).unwrap(), damaged);
}

#[test]
fn it_is_its_owners_alone_and_made_through_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let (path, target) = (folder.path().join("cache.db"), folder.path().join("elsewhere"));
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let database = open(&path).unwrap();
    database.put_object("commits/x", b"bytes").unwrap();
    assert!(!target.exists(), "SQLite went through a dangling link");
    for name in ["cache.db", "cache.db-wal", "cache.db-shm"] {
        let meta = std::fs::symlink_metadata(folder.path().join(name)).unwrap();
        assert_eq!((meta.is_file(), meta.permissions().mode() & 0o777), (true, 0o600), "{name}");
    }
}

#[test]
fn one_that_was_let_go_is_open_only_while_it_is_used_and_only_if_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (path, aside) = (folder.path().join("cache.db"), folder.path().join("aside.db"));
    let database = open(&path).unwrap();
    database.put_object("commits/x", b"bytes").unwrap();
    database.let_go();
    // The last one that closes it takes its companions away.
    let alone = || !folder.path().join("cache.db-wal").exists();
    assert!(alone());
    assert!(database.object("commits/x").unwrap().is_some() && alone());
    std::fs::rename(&path, &aside).unwrap();
    assert!(database.object("commits/x").is_err() && !path.exists(), "it was made anew");
    drop(open(&path).unwrap());
    assert!(database.object("commits/x").is_err() && database.hold().is_err(), "that is another one");
    std::fs::rename(&aside, &path).unwrap();
    database.hold().unwrap();
    assert!(database.object("commits/x").unwrap().is_some() && !alone());
}
