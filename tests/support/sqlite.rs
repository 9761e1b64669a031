//! Programs that keep a SQLite database in the vault open, and two machines that share it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cogzy_testkit::fresh_folder;
use rusqlite::{Connection, OpenFlags};

use super::process::Machine;

pub const DB: &str = "memory/mem.db";
pub const WAL: &str = "PRAGMA journal_mode = WAL";
pub const ROLLBACK: &str = "PRAGMA journal_mode = DELETE";
const PARTS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// Two machines that share a vault, and its folder.
pub async fn pair() -> (tempfile::TempDir, Machine, Machine) {
    let folder = fresh_folder();
    let machines = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    for machine in &machines {
        machine.good(&["init"]).await;
        std::fs::create_dir_all(machine.root.join("memory")).unwrap();
    }
    let [one, two] = machines;
    (folder, one, two)
}

/// Two machines that both have a database of so many memories by one name, and the program that has
/// it open on the first.
pub async fn sharing(
    setup: &str,
    name: &str,
    count: usize,
) -> (tempfile::TempDir, Machine, Machine, Connection) {
    let (folder, one, two) = pair().await;
    let program = open(&one.root.join(DB), setup);
    add(&program, name, count);
    one.sync().await;
    two.sync().await;
    (folder, one, two, program)
}

pub fn open(path: &Path, setup: &str) -> Connection {
    let program = Connection::open(path).unwrap();
    program.busy_timeout(Duration::from_secs(20)).unwrap();
    program.execute_batch(setup).unwrap();
    program
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX IF NOT EXISTS i ON t (x)",
        )
        .unwrap();
    program
}

/// Adds so many memories by one name, in one transaction.
pub fn add(program: &Connection, name: &str, count: usize) {
    program.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..count {
        program
            .execute("INSERT INTO t (x) VALUES (?1)", [format!("{name} {number} {}", "x".repeat(300))])
            .unwrap();
    }
    program.execute_batch("COMMIT").unwrap();
}

pub fn count(program: &Connection, name: &str) -> i64 {
    program
        .query_row("SELECT count(*) FROM t WHERE x LIKE ?1", [format!("{name} %")], |row| row.get(0))
        .unwrap()
}

/// Opens a database that must be sound.
pub fn sound(path: &Path) -> Connection {
    let program = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    program.busy_timeout(Duration::from_secs(20)).unwrap();
    let checked: String = program.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(checked, "ok", "{}", path.display());
    program
}

/// The losing versions that a machine keeps of the database.
pub fn losers(machine: &Machine) -> Vec<PathBuf> {
    let kept = std::fs::read_dir(machine.root.join("sync/conflicts")).into_iter().flatten();
    let kept = kept.map(|kept| kept.unwrap().path().join("files").join(DB));
    kept.filter(|file| file.exists()).collect()
}

/// Asserts that two further syncs change nothing anywhere.
pub async fn quiet(machines: [&Machine; 2]) {
    for machine in machines.into_iter().chain(machines) {
        let report = machine.sync().await;
        for change in ["pushed", "pulled", "deleted_local", "deleted_remote"] {
            assert_eq!(report[change], 0, "{} is not at rest: {report}", machine.name);
        }
        assert_eq!(report["problems"].as_array().unwrap().len(), 0, "{report}");
    }
}

/// Asserts that the vault has no file for a part of a database.
pub async fn no_parts(machine: &Machine) {
    let manifest = machine.read("sync/manifest.json").unwrap();
    let manifest = String::from_utf8(manifest).unwrap();
    assert!(manifest.contains(DB), "{manifest}");
    for part in PARTS {
        assert!(!manifest.contains(&format!("{DB}{part}")), "{manifest}");
    }
}
