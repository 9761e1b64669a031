//! A database among the files of an item: every crash, and what another program keeps from
//! happening.

use std::cell::Cell;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cogzy_testkit::fresh_folder_in_memory;
use rusqlite::Connection;

use super::vault::{CONFLICT, path};
use super::*;
use crate::fs::{DatabaseFault, Databases, ReadFile, RootedFs, WriteFile};
use crate::model::{FileKind, FileStat};
use crate::vault::database::{in_parts, snapshot_to};
use crate::vault::hash_stable;

/// A disk whose program is gone before effect `left`.
#[derive(Debug)]
struct Crashing {
    disk: RootedFs,
    left: std::sync::Mutex<Cell<usize>>,
    /// A file that cannot be read, and the error.
    unread: Option<(PathBuf, io::ErrorKind)>,
}

impl Crashing {
    fn new(disk: RootedFs, left: usize) -> Self {
        Self { disk, left: std::sync::Mutex::new(Cell::new(left)), unread: None }
    }

    fn effect(&self) -> io::Result<()> {
        let left = self.left.lock().unwrap();
        match left.get().checked_sub(1) {
            None => Err(io::Error::other("the program is gone")),
            Some(less) => {
                left.set(less);
                Ok(())
            }
        }
    }

    fn reached(&self) -> bool {
        self.left.lock().unwrap().get() == 0
    }
}

impl Fs for Crashing {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        self.disk.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.disk.read_dir(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        match &self.unread {
            Some((unread, kind)) if unread == path => Err((*kind).into()),
            _ => self.disk.open(path),
        }
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.effect()?;
        self.disk.create(path)
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.create_dir_all(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.exchange(one, other)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.hard_link(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.effect()?;
        self.disk.sync_dir(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
    fn databases(&self) -> Option<&dyn Databases> {
        Some(self)
    }
}

impl Databases for Crashing {
    fn snapshot(&self, from: &Path, to: &Path) -> Result<(), DatabaseFault> {
        self.disk.snapshot(from, to)
    }
    fn fold(&self, path: &Path) -> Result<(), DatabaseFault> {
        self.effect()?;
        self.disk.fold(path)
    }
    fn replace(
        &self,
        path: &Path,
        with: &Path,
        kept: &Path,
        agrees: &mut dyn FnMut() -> io::Result<bool>,
    ) -> Result<bool, DatabaseFault> {
        self.effect()?;
        let done = self.disk.replace(path, with, kept, agrees)?;
        self.effect()?;
        Ok(done)
    }
}

/// A group of a text, a database to be replaced that a program has open, and one to be deleted.
struct Memory {
    folder: tempfile::TempDir,
    program: Connection,
    _of_gone: Connection,
    old: Seen,
    gone: Seen,
    new: Content,
}

const OLD: i64 = 20;
const NEW: i64 = 70;

fn fill(path: &Path, setup: &str, rows: i64) -> Connection {
    let program = Connection::open(path).unwrap();
    program.execute_batch(setup).unwrap();
    program.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, x)").unwrap();
    for _ in 0..rows {
        program.execute("INSERT INTO t (x) VALUES (hex(randomblob(100)))", []).unwrap();
    }
    program
}

fn rows(program: &Connection) -> i64 {
    let sound: String = program.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    program.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

impl Memory {
    fn new(mode: &str) -> Self {
        let folder = fresh_folder_in_memory();
        let root = folder.path().canonicalize().unwrap();
        let disk = RootedFs::open(&root, root.join("sync"));
        let layout = Layout::new(&root);
        let stage = layout.staging_of(&vault::Vault::id());
        disk.create_dir_all(&stage).unwrap();
        std_fs::write(root.join("a.json"), "old text").unwrap();
        std_fs::write(stage.join("0"), "new text").unwrap();
        let of_gone = fill(&root.join("gone.db"), "PRAGMA journal_mode = WAL", OLD);
        let program = fill(&root.join("mem.db"), mode, OLD);
        drop(fill(&stage.join("1"), "PRAGMA journal_mode = DELETE", NEW));
        let seen = |name: &str| {
            let place = root.join(name);
            let stat = disk.lstat(&place).unwrap();
            let scratch = root.join("scratch");
            let content = match in_parts(&disk, &place, &stat).unwrap() {
                Some(_) => snapshot_to(&disk, &place, &scratch).unwrap(),
                None => hash_stable(&disk, &root, name, &stat).unwrap().unwrap(),
            };
            let _none = std_fs::remove_file(scratch);
            Seen { content, stat }
        };
        let stat = disk.lstat(&stage.join("1")).unwrap();
        let new = hash_stable(&disk, &stage, "1", &stat).unwrap().unwrap();
        let (old, gone) = (seen("mem.db"), seen("gone.db"));
        Self { folder, program, _of_gone: of_gone, old, gone, new }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn layout(&self) -> Layout {
        Layout::new(self.root())
    }

    fn disk(&self) -> RootedFs {
        RootedFs::open(self.root(), self.root().join("sync"))
    }

    fn plan(&self) -> ApplyPlan {
        let text = |text: &str| Content {
            digest: crate::model::Digest::of(text.as_bytes()),
            size: text.len() as u64,
        };
        let stat = self.disk().lstat(&self.root().join("a.json")).unwrap();
        let step = |name: &str, old, new: Option<(u32, Content)>| ApplyStep {
            path: path(name),
            on_disk: None,
            old: Some(old),
            new: new.map(|(slot, content)| Staged { slot, content }),
        };
        let steps = vec![
            step("a.json", Seen { content: text("old text"), stat }, Some((0, text("new text")))),
            step("gone.db", self.gone, None),
            step("mem.db", self.old, Some((1, self.new))),
        ];
        let keep = Some(Keeping { id: CONFLICT, record: "record".into() });
        let items = vec![ApplyItem { item: Item::Group("memory".into()), keep, steps }];
        ApplyPlan { id: vault::Vault::id(), purpose: Purpose::Repair, finish: false, items }
    }

    fn apply(&self, fs: &dyn Fs) -> Result<Applied, ApplyError> {
        apply(fs, &self.layout(), self.plan(), None, &mut |_| {})
    }

    /// The states of the three files: true if new.
    fn states(&self) -> [bool; 3] {
        let text = std_fs::read_to_string(self.root().join("a.json")).unwrap();
        [text == "new text", !self.root().join("gone.db").exists(), rows(&self.program) == NEW]
    }

    /// Databases with the old rows in the trash and among conflict copies, by their names.
    fn kept(&self) -> Vec<String> {
        let files = [self.layout().trash(), self.layout().conflicts()]
            .map(|folder| crate::fs::files_below(&self.disk(), &folder).unwrap());
        let old = |file: &&PathBuf| {
            file.to_string_lossy().contains(".db") && rows(&Connection::open(file).unwrap()) == OLD
        };
        let names = files.iter().flatten().filter(old);
        names.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn a_crash_at_any_moment_leaves_all_old_or_all_new_and_nothing_is_lost() {
    for mode in ["PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE"] {
        for at in 0.. {
            let memory = Memory::new(mode);
            let fs = Crashing::new(memory.disk(), at);
            let result = memory.apply(&fs);
            if !fs.reached() {
                assert_eq!(result.unwrap().retry, [], "{mode}");
                assert!(at > 20, "{at} effects are not all");
                break;
            }
            let context = format!("{mode}, effect {at}");
            let recovered = recover(&memory.disk(), &memory.layout(), None).unwrap();
            let done = recovered.is_some_and(|recovered| recovered.applied.retry.is_empty());
            let states = memory.states();
            assert!(states == [done; 3], "{context}: {done} and {states:?}");
            conclude(&memory.disk(), &memory.layout()).unwrap();
            assert_eq!(memory.states(), [done; 3], "{context}");
            if done {
                let mut kept = memory.kept();
                kept.sort();
                assert_eq!(kept, ["gone.db", "mem.db"], "{context}");
                for ending in ["-wal", "-shm"] {
                    assert!(!memory.root().join(format!("gone.db{ending}")).exists(), "{context}: {ending}");
                }
            }
        }
    }
}

#[test]
fn a_database_in_use_takes_the_whole_item_back() {
    for mode in ["PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE"] {
        let memory = Memory::new(mode);
        memory.program.execute_batch("BEGIN IMMEDIATE; INSERT INTO t (x) VALUES ('mine')").unwrap();
        // Of this process: in a rollback journal's transaction it may not be read again meanwhile.
        let applied = memory.apply(&memory.disk()).unwrap();
        assert!(applied.retry[0].1.contains("in use"), "{:?}", applied.retry);
        memory.program.execute_batch("COMMIT").unwrap();
        assert_eq!(rows(&memory.program), OLD + 1);
        assert_eq!(memory.states(), [false; 3], "{mode}");
    }
}

#[test]
fn what_was_committed_after_the_scan_takes_the_whole_item_back() {
    for mode in ["PRAGMA journal_mode = WAL", "PRAGMA journal_mode = DELETE"] {
        let memory = Memory::new(mode);
        let plan = memory.plan();
        memory.program.execute("INSERT INTO t (x) VALUES ('mine')", []).unwrap();
        let applied = apply(&memory.disk(), &memory.layout(), plan, None, &mut |_| {}).unwrap();
        assert!(applied.retry[0].1.contains("changed"), "{:?}", applied.retry);
        assert_eq!(rows(&memory.program), OLD + 1, "{mode}");
        assert_eq!(memory.states(), [false; 3], "{mode}");
    }
}

#[test]
fn a_database_is_not_put_beside_the_wal_of_another() {
    let memory = Memory::new("PRAGMA journal_mode = WAL");
    let mut plan = memory.plan();
    plan.items[0].steps.retain(|step| step.path.as_str() == "mem.db");
    plan.items[0].steps[0].old = None;
    std_fs::remove_file(memory.root().join("mem.db")).unwrap();
    let applied = apply(&memory.disk(), &memory.layout(), plan, None, &mut |_| {}).unwrap();
    assert!(applied.retry[0].1.contains("mem.db-wal of another database"), "{:?}", applied.retry);
    assert!(!memory.root().join("mem.db").exists());
}

#[test]
fn a_damaged_database_makes_way_as_a_file() {
    let mut memory = Memory::new("PRAGMA journal_mode = DELETE");
    let place = memory.root().join("mem.db");
    let mut bytes = std_fs::read(&place).unwrap();
    let end = bytes.len();
    bytes[4096..end].fill(0xaa);
    std_fs::write(&place, &bytes).unwrap();
    let stat = memory.disk().lstat(&place).unwrap();
    let content = hash_stable(&memory.disk(), &memory.root(), "mem.db", &stat).unwrap().unwrap();
    memory.old = Seen { content, stat };
    assert_eq!(memory.apply(&memory.disk()).unwrap().retry, []);
    assert_eq!(rows(&Connection::open(&place).unwrap()), NEW);
    let kept = memory.layout().conflict_file(CONFLICT, &path("mem.db"));
    assert!(std_fs::read(kept).unwrap() == bytes);
}

#[test]
fn a_file_that_nobody_may_read_any_more_waits_and_stops_nothing() {
    use io::ErrorKind::{Other, PermissionDenied};
    for (name, kind) in [("a.json", PermissionDenied), ("mem.db", PermissionDenied), ("a.json", Other)] {
        let memory = Memory::new("PRAGMA journal_mode = DELETE");
        let plan = memory.plan();
        let file = memory.root().join(name);
        // Another one in its place, of the same bytes: it has to be read.
        std_fs::copy(&file, memory.root().join("other")).unwrap();
        std_fs::rename(memory.root().join("other"), &file).unwrap();
        let fs = Crashing { unread: Some((file, kind)), ..Crashing::new(memory.disk(), usize::MAX) };
        let applied = apply(&fs, &memory.layout(), plan, None, &mut |_| {}).unwrap();
        assert_eq!(applied.failed.len(), 1, "{name}, {kind}");
        conclude(&fs, &memory.layout()).unwrap();
        assert!(!memory.layout().applying().exists());
        assert_eq!(memory.states()[..2], [false; 2], "{name}, {kind}");
    }
}

#[test]
fn a_recovery_ends_though_nobody_may_read_a_file_any_more() {
    for at in 0.. {
        let memory = Memory::new("PRAGMA journal_mode = WAL");
        let fs = Crashing::new(memory.disk(), at);
        let _crashed = memory.apply(&fs);
        if !fs.reached() {
            break;
        }
        let locked = memory.root().join("a.json");
        let _not_there = std_fs::set_permissions(&locked, std_fs::Permissions::from_mode(0o200));
        let unread = Some((locked, io::ErrorKind::PermissionDenied));
        let fs = Crashing { unread, ..Crashing::new(memory.disk(), usize::MAX) };
        recover(&fs, &memory.layout(), None).unwrap_or_else(|error| panic!("effect {at}: {error}"));
        conclude(&fs, &memory.layout()).unwrap();
    }
}
