use std::path::PathBuf;

use super::*;

struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
    fs: RootedFs,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let fs = RootedFs::open(&root, root.join("sync"));
        Self { _folder: folder, root, fs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// An empty file to copy a database to.
    fn empty(&self, name: &str) -> PathBuf {
        drop(self.fs.create(&self.path(name)).unwrap());
        self.path(name)
    }

    /// A database of so many rows, open.
    fn database(&self, name: &str, setup: &str, rows: usize) -> Connection {
        let connection = Connection::open(self.path(name)).unwrap();
        connection.execute_batch(setup).unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x)").unwrap();
        add(&connection, rows);
        connection
    }
}

const WAL: &str = "PRAGMA journal_mode = WAL";
const ROLLBACK: &str = "PRAGMA journal_mode = DELETE";

fn add(connection: &Connection, rows: usize) {
    for _ in 0..rows {
        connection.execute("INSERT INTO t (x) VALUES (hex(randomblob(300)))", []).unwrap();
    }
}

fn rows(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

fn rows_at(path: &Path) -> i64 {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    rows(&connection)
}

#[test]
fn a_snapshot_has_what_is_in_the_wal_and_leaves_it_there() {
    let place = Place::new();
    let program = place.database("x", WAL, 50);
    let before = (std::fs::read(place.path("x")).unwrap(), std::fs::read(place.path("x-wal")).unwrap());
    place.fs.snapshot(&place.path("x"), &place.empty("copy")).unwrap();
    assert_eq!(rows_at(&place.path("copy")), 50);
    let after = (std::fs::read(place.path("x")).unwrap(), std::fs::read(place.path("x-wal")).unwrap());
    assert!(before == after, "reading it changed it");
    drop(program);
}

#[test]
fn a_replaced_database_is_seen_by_who_has_it_open_and_what_went_is_kept() {
    for setup in [WAL, ROLLBACK] {
        let place = Place::new();
        drop(place.database("new", ROLLBACK, 70));
        let program = place.database("x", setup, 20);
        let kept = place.empty("kept");
        let mut seen = None;
        let done = place.fs.replace(&place.path("x"), &place.path("new"), &kept, &mut || {
            seen = Some(rows_at(&place.path("kept")));
            Ok(true)
        });
        assert!(done.unwrap());
        assert_eq!((seen, rows(&program)), (Some(20), 70), "{setup}");
        add(&program, 1);
        assert_eq!(rows(&program), 71);
        drop(program);
        assert_eq!(rows_at(&place.path("x")), 71);
    }
}

#[test]
fn a_database_is_not_replaced_against_the_callers_word() {
    for setup in [WAL, ROLLBACK] {
        let place = Place::new();
        drop(place.database("new", ROLLBACK, 70));
        let program = place.database("x", setup, 20);
        let done =
            place.fs.replace(&place.path("x"), &place.path("new"), &place.empty("kept"), &mut || Ok(false));
        assert!(!done.unwrap());
        add(&program, 1);
        assert_eq!(rows(&program), 21, "{setup}");
    }
}

#[test]
fn nobody_writes_between_the_look_and_the_replacement() {
    for setup in [WAL, ROLLBACK] {
        let place = Place::new();
        drop(place.database("new", ROLLBACK, 70));
        let program = place.database("x", setup, 20);
        program.busy_timeout(Duration::ZERO).unwrap();
        let mut refused = false;
        let kept = place.empty("kept");
        place
            .fs
            .replace(&place.path("x"), &place.path("new"), &kept, &mut || {
                refused =
                    program.execute("INSERT INTO t (x) VALUES (1)", []).is_err_and(|error| is_busy(&error));
                Ok(true)
            })
            .unwrap();
        assert!(refused, "{setup}: it was written to");
        assert_eq!(rows(&program), 70);
    }
}

#[test]
fn a_writer_in_a_transaction_is_waited_for_and_nothing_is_lost() {
    for setup in [WAL, ROLLBACK] {
        let place = Place::new();
        drop(place.database("new", ROLLBACK, 70));
        let program = place.database("x", setup, 20);
        program.execute_batch("BEGIN IMMEDIATE; INSERT INTO t (x) VALUES (1)").unwrap();
        let asked = &mut || panic!("it is in use");
        let done = place.fs.replace(&place.path("x"), &place.path("new"), &place.empty("kept"), asked);
        assert!(matches!(done, Err(DatabaseFault::Busy)), "{setup}: {done:?}");
        program.execute_batch("COMMIT").unwrap();
        assert_eq!(rows(&program), 21);
    }
}

#[test]
fn pages_of_another_size_come_once_nobody_has_it_open() {
    let place = Place::new();
    drop(place.database("new", "PRAGMA page_size = 8192", 70));
    let program = place.database("x", WAL, 20);
    let replace = |kept: &str| {
        place.fs.replace(&place.path("x"), &place.path("new"), &place.empty(kept), &mut || Ok(true))
    };
    assert!(matches!(replace("kept"), Err(DatabaseFault::Open(_))));
    assert_eq!(rows(&program), 20);
    drop(program);
    assert!(replace("kept2").unwrap());
    assert_eq!(rows_at(&place.path("x")), 70);
}

#[test]
fn a_damaged_database_is_neither_copied_nor_put_in_place() {
    let place = Place::new();
    drop(place.database("x", ROLLBACK, 200));
    let good = std::fs::read(place.path("x")).unwrap();
    let mut bad = good.clone();
    bad[4096 * 3..4096 * 4].fill(0xaa);
    std::fs::write(place.path("bad"), &bad).unwrap();
    let copied = place.fs.snapshot(&place.path("bad"), &place.empty("copy"));
    assert!(matches!(copied, Err(DatabaseFault::Damaged(_))), "{copied:?}");
    let asked = &mut || panic!("it is damaged");
    let done = place.fs.replace(&place.path("x"), &place.path("bad"), &place.empty("kept"), asked);
    assert!(matches!(done, Err(DatabaseFault::BadSource(_))), "{done:?}");
    assert!(std::fs::read(place.path("x")).unwrap() == good);
}

#[test]
fn a_transaction_that_a_crash_cut_short_is_not_in_the_snapshot() {
    let place = Place::new();
    let program = place.database("x", "PRAGMA cache_size = 1", 20);
    // Pages are written before the commit, since the cache holds none.
    program.execute_batch("BEGIN").unwrap();
    add(&program, 500);
    // Of a program that was killed here, these are left, and no lock.
    for name in ["x", "x-journal"] {
        std::fs::copy(place.path(name), place.path(&name.replace('x', "crashed"))).unwrap();
    }
    place.fs.snapshot(&place.path("crashed"), &place.empty("copy")).unwrap();
    assert_eq!(rows_at(&place.path("copy")), 20);
}

#[test]
fn folding_leaves_nothing_beside_a_database_unless_somebody_reads() {
    let place = Place::new();
    let program = place.database("x", WAL, 20);
    let reader = Connection::open(place.path("x")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    add(&program, 1);
    assert!(matches!(place.fs.fold(&place.path("x")), Err(DatabaseFault::Busy)));
    reader.execute_batch("COMMIT").unwrap();
    place.fs.fold(&place.path("x")).unwrap();
    assert_eq!(std::fs::metadata(place.path("x-wal")).unwrap().len(), 0);
    assert_eq!(rows(&program), 21);
}

#[test]
fn no_link_is_followed() {
    let place = Place::new();
    drop(place.database("x", ROLLBACK, 3));
    std::os::unix::fs::symlink(place.path("x"), place.path("link")).unwrap();
    let copied = place.fs.snapshot(&place.path("link"), &place.empty("copy"));
    assert!(matches!(copied, Err(DatabaseFault::Disk(_))), "{copied:?}");
}
