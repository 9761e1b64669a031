mod missing;
mod places;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs as disk;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::fs::{ReadFile, RealFs, WriteFile};
use crate::model::{DeviceId, Digest, FileKind};
use crate::vault::MARKER_FORMAT;

const VAULT: VaultId = VaultId::from_bytes([1; VaultId::LEN]);
/// Time long after all writes of the tests.
const LATER: i64 = 4_000_000_000_000_000_000;

struct Vault {
    dir: tempfile::TempDir,
    filter: Filter,
    cache: HashMap<VaultPath, Cached>,
}

impl Vault {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let device = DeviceId::from_bytes([2; DeviceId::LEN]);
        let marker = Marker { format: MARKER_FORMAT, vault: VAULT, device, machine: String::new() };
        marker.write(&RealFs, &Layout::new(dir.path())).unwrap();
        let filter = Filter::new(&[], &["cache/**".into()]).unwrap();
        Self { dir, filter, cache: HashMap::new() }
    }

    fn layout(&self) -> Layout {
        Layout::new(self.dir.path())
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        disk::create_dir_all(path.parent().unwrap()).unwrap();
        disk::write(path, text).unwrap();
    }

    fn options(&self) -> ScanOptions<'_> {
        ScanOptions {
            vault: VAULT,
            filter: &self.filter,
            cache: &self.cache,
            now_ns: LATER,
            settle: Duration::from_secs(2),
            rehash_before: 0,
            threads: NonZeroUsize::MIN,
            prefer: Some(&|_| false),
            snapshots: None,
            progress: &|_| {},
        }
    }

    fn scan(&self) -> Scan {
        scan(&RealFs, &self.layout(), &self.options()).unwrap()
    }
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

/// What an empty cache knows after a scan.
fn known(scan: Scan) -> HashMap<VaultPath, Cached> {
    scan.news.into_iter().filter_map(|(path, cached)| Some((path, cached?))).collect()
}

fn paths(scan: &Scan) -> Vec<&str> {
    scan.files.keys().map(VaultPath::as_str).collect()
}

fn problem(path: &str, kind: ProblemKind) -> Problem {
    Problem { path: path.into(), kind }
}

/// Disk that runs an action, or fails, when a path is touched.
struct Trap<'a> {
    at: PathBuf,
    on_open: &'a (dyn Fn() + Sync),
    list_fails: bool,
}

impl std::fmt::Debug for Trap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trap")
    }
}

impl Fs for Trap<'_> {
    fn lstat(&self, path: &Path) -> io::Result<FileStat> {
        if self.list_fails && path.parent() == Some(&self.at) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        RealFs.lstat(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        if self.list_fails && path == self.at {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        RealFs.read_dir(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = RealFs.open(path);
        if path == self.at {
            (self.on_open)();
        }
        file
    }
    fn create(&self, _: &Path) -> io::Result<Box<dyn WriteFile>> {
        unreachable!("a scan writes nothing")
    }
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn rename_new(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn hard_link(&self, _: &Path, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn remove_file(&self, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        unreachable!("a scan writes nothing")
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        RealFs.free_space(path)
    }
}

#[test]
fn synced_files_are_found_with_their_entries() {
    let vault = Vault::new();
    vault.put("corpus/nodes.json", "[1]");
    vault.put("traces/a/b.json", "");
    vault.put("config.json", "secret");
    vault.put("cache/big", "x");
    vault.put("sync/last_sync.json", "{}");
    vault.put("corpus/nodes.json.tmp", "half");
    let scan = vault.scan();
    assert_eq!(paths(&scan), ["corpus/nodes.json", "traces/a/b.json"]);
    assert_eq!(scan.problems, []);
    let found = scan.files[&path("corpus/nodes.json")];
    assert_eq!((found.entry.digest, found.entry.size), (Digest::of(b"[1]"), 3));
    assert_eq!(found.entry.mtime_ms, found.stat.mtime_ms());
    assert!(found.settled);
}

#[test]
fn a_missing_vault_is_an_error_and_never_an_empty_scan() {
    let vault = Vault::new();
    let scanned = |layout: &Layout, options: &ScanOptions| scan(&RealFs, layout, options).unwrap_err();
    let missing = scanned(&Layout::new("/nowhere/at/all"), &vault.options());
    assert!(matches!(missing, ScanError::Marker(MarkerError::NoRoot(_))));
    let file = scanned(&Layout::new(vault.layout().marker()), &vault.options());
    assert!(matches!(file, ScanError::Marker(MarkerError::NotAFolder(_))));
    let other = ScanOptions { vault: VaultId::from_bytes([9; VaultId::LEN]), ..vault.options() };
    assert!(matches!(scanned(&vault.layout(), &other), ScanError::Marker(MarkerError::OtherVault { .. })));
    let root = Trap { at: vault.dir.path().into(), on_open: &|| {}, list_fails: true };
    assert!(matches!(scan(&root, &vault.layout(), &vault.options()), Err(ScanError::Io(_))));
    disk::remove_file(vault.layout().marker()).unwrap();
    let unmarked = scanned(&vault.layout(), &vault.options());
    assert!(matches!(unmarked, ScanError::Marker(MarkerError::Missing(_))));
}

#[test]
fn a_disk_that_goes_away_during_the_scan_is_an_error() {
    let vault = Vault::new();
    vault.put("a", "content");
    let unmount = || disk::remove_file(vault.layout().marker()).unwrap();
    let trap = Trap { at: vault.dir.path().join("a"), on_open: &unmount, list_fails: false };
    let scanned = scan(&trap, &vault.layout(), &vault.options());
    assert!(matches!(scanned, Err(ScanError::Marker(MarkerError::Missing(_)))));
}

#[test]
fn unsyncable_paths_are_reported_and_do_not_hide_the_rest() {
    let vault = Vault::new();
    vault.put("good", "x");
    let at = |name: &str| vault.dir.path().join(name);
    disk::create_dir(at("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", at("linked")).unwrap();
    std::os::unix::fs::symlink("elsewhere", at("cache")).unwrap();
    std::os::unix::fs::symlink("good", at(".#good")).unwrap();
    cogzy_testkit::make_pipe(&at("pipe"));
    vault.put("a\nb/c", "x");
    disk::write(vault.dir.path().join(OsString::from_vec(b"z\xff".to_vec())), "x").unwrap();
    let scan = vault.scan();
    assert_eq!(paths(&scan), ["good"]);
    let bad = ProblemKind::BadName(VaultPath::new("a\nb").unwrap_err());
    let expected = [
        problem("a\nb", bad),
        problem("linked", ProblemKind::Symlink),
        problem("pipe", ProblemKind::Special),
        problem("z\u{fffd}", ProblemKind::NotUtf8),
    ];
    assert_eq!(scan.problems, expected);
    assert!(scan.problems[1].covers(&path("linked/below")), "a link in place of a folder is no deletion");
    assert!(scan.problems[1].covers(&path("linked")));
    assert!(!scan.problems[1].covers(&path("linked2")));
}

#[test]
fn a_link_is_told_of_where_an_include_leads_to_its_folder() {
    let mut vault = Vault::new();
    for name in ["traces", "cache", "node_modules", "notes.md"] {
        std::os::unix::fs::symlink("/", vault.dir.path().join(name)).unwrap();
    }
    let mut links = |include: &[&str], exclude: &[&str]| {
        let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        vault.filter = Filter::new(&owned(include), &owned(exclude)).unwrap();
        let scan = vault.scan();
        assert!(scan.problems.iter().all(|problem| problem.kind == ProblemKind::Symlink));
        scan.problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
    };
    assert_eq!(links(&["corpus/**", "traces/**"], &[]), ["traces"]);
    assert_eq!(links(&["*.md"], &["/traces", "cache/**"]), ["notes.md"]);
    assert_eq!(links(&["cache/**"], &["cache", "!cache/keep"]), ["cache"]);
}

#[test]
fn an_unreadable_folder_covers_all_paths_below_it() {
    let vault = Vault::new();
    vault.put("traces/deep/er/a", "x");
    vault.put("b", "x");
    let trap = Trap { at: vault.dir.path().join("traces/deep"), on_open: &|| {}, list_fails: true };
    let scan = scan(&trap, &vault.layout(), &vault.options()).unwrap();
    assert_eq!(paths(&scan), ["b"]);
    assert!(matches!(scan.problems[..], [Problem { kind: ProblemKind::Unreadable(_), .. }]));
    assert!(scan.problems[0].covers(&path("traces/deep/er/a")));
    assert!(!scan.problems[0].covers(&path("traces/deeper")));
}

#[test]
fn a_file_that_changes_during_the_read_is_busy() {
    let vault = Vault::new();
    vault.put("a", "content");
    vault.put("b", "content");
    let edit = || vault.put("a", "other");
    let trap = Trap { at: vault.dir.path().join("a"), on_open: &edit, list_fails: false };
    let first = scan(&trap, &vault.layout(), &vault.options()).unwrap();
    assert_eq!(paths(&first), ["b"]);
    assert_eq!(first.problems, [problem("a", ProblemKind::Busy)]);
    assert!(first.problems[0].covers(&path("a")));
    assert!(!first.news.contains_key(&path("a")));
}

#[test]
fn decomposed_names_are_found_and_can_be_opened() {
    let vault = Vault::new();
    vault.put("e\u{301}/u\u{308}.json", "x");
    vault.put("plain", "x");
    let scan = vault.scan();
    assert_eq!(paths(&scan), ["plain", "é/ü.json"]);
    let real = scan.names.locate(vault.dir.path(), &path("é/ü.json"));
    assert_eq!(disk::read(real).unwrap(), b"x");
    assert_eq!(scan.names.on_disk(&path("plain")), None);
}

#[test]
fn the_known_one_of_two_clashing_names_wins_or_else_the_smaller() {
    let vault = Vault::new();
    vault.put("Nodes.json", "1");
    vault.put("nodes.json", "2");
    vault.put("é", "nfc");
    vault.put("e\u{301}", "nfd");
    vault.put("Dir", "file");
    vault.put("dir/a", "below");
    let first = vault.scan();
    assert_eq!(paths(&first), ["Dir", "Nodes.json", "é"]);
    let clash = |with: &str| ProblemKind::Clash { with: path(with) };
    let expected = [
        problem("dir/a", clash("Dir")),
        problem("nodes.json", clash("Nodes.json")),
        problem("é", clash("é")),
    ];
    assert_eq!(first.problems, expected);
    assert!(first.problems[1].covers(&path("nodes.json")), "a clashing file is not absent");
    assert!(!first.problems[1].covers(&path("Nodes.json")));
    assert!(!first.problems[2].covers(&path("é")), "the other spelling was read");

    let known = |path: &VaultPath| ["nodes.json", "dir/a"].contains(&path.as_str());
    let second =
        scan(&RealFs, &vault.layout(), &ScanOptions { prefer: Some(&known), ..vault.options() }).unwrap();
    assert_eq!(paths(&second), ["dir/a", "nodes.json", "é"]);
}

#[test]
fn only_states_that_no_later_write_can_repeat_are_cached() {
    let mut vault = Vault::new();
    vault.put("a", "content");
    let stat = RealFs.lstat(&vault.dir.path().join("a")).unwrap();
    let settle = 2_000_000_000;
    let at = |vault: &Vault, now_ns| {
        scan(&RealFs, &vault.layout(), &ScanOptions { now_ns, ..vault.options() }).unwrap()
    };
    for (now_ns, settled, cached) in [
        (stat.ctime_ns, false, false),
        (stat.ctime_ns + settle - 1, false, false),
        (stat.ctime_ns + settle, true, true),
        // The clock went back a little, so the file may be being written.
        (stat.ctime_ns - 1_000_000_000, false, false),
        // It went back a lot. A write now would leave another time, so the state may be cached and
        // proves itself next time.
        (stat.ctime_ns - 3_600_000_000_000, false, true),
    ] {
        let scan = at(&vault, now_ns);
        assert_eq!(scan.files[&path("a")].settled, settled, "settled at {now_ns}");
        assert_eq!(scan.news.contains_key(&path("a")), cached, "cached at {now_ns}");
    }
    vault.cache = known(at(&vault, stat.ctime_ns - 3_600_000_000_000));
    assert!(at(&vault, stat.ctime_ns - 3_600_000_000_000).files[&path("a")].settled);
}

#[test]
fn a_cached_file_is_not_read_until_its_entry_is_too_old() {
    let mut vault = Vault::new();
    vault.put("a", "content");
    vault.cache = known(vault.scan());
    // An impossible digest shows that the result came from the cache.
    let planted = Digest::of(b"planted");
    vault.cache.get_mut(&path("a")).unwrap().digest = planted;
    assert_eq!(vault.scan().files[&path("a")].entry.digest, planted);
    let rehash = ScanOptions { rehash_before: LATER + 1, ..vault.options() };
    let again = scan(&RealFs, &vault.layout(), &rehash).unwrap();
    assert_eq!(again.files[&path("a")].entry.digest, Digest::of(b"content"));
    vault.put("a", "changed");
    assert_eq!(vault.scan().files[&path("a")].entry.digest, Digest::of(b"changed"));
}

#[test]
fn progress_is_reported_to_the_end() {
    let vault = Vault::new();
    vault.put("a/b", "12345");
    vault.put("c", "123");
    let told = RefCell::new(Vec::new());
    let progress = |progress| told.borrow_mut().push(progress);
    scan(&RealFs, &vault.layout(), &ScanOptions { progress: &progress, ..vault.options() }).unwrap();
    let end = ScanProgress { files: 2, to_hash: 2, to_hash_bytes: 8, hashed: 2, hashed_bytes: 8 };
    assert_eq!(told.borrow().last(), Some(&end));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any number of threads finds the same as one thread, and every file is found or covered by a
    /// problem.
    #[test]
    fn threads_change_nothing_and_no_file_is_lost(
        files in prop::collection::btree_map("[aAé]{1,2}(/[abB]{1,2}){0,2}", "[xyz]{0,4}", 0..12), threads in 2..5usize,
    ) {
        let vault = Vault::new();
        let mut written = Vec::new();
        for (name, text) in &files {
            let target = vault.dir.path().join(name);
            if disk::create_dir_all(target.parent().unwrap()).is_ok() && disk::write(&target, text).is_ok() {
                written.push((path(name), text));
            }
        }
        let one = vault.scan();
        let threads = NonZeroUsize::new(threads).unwrap();
        let many = scan(&RealFs, &vault.layout(), &ScanOptions { threads, ..vault.options() }).unwrap();
        prop_assert_eq!(&one.files, &many.files);
        prop_assert_eq!(&one.problems, &many.problems);
        prop_assert_eq!(&one.news, &many.news);
        for (path, text) in written {
            match one.files.get(&path) {
                Some(found) => prop_assert_eq!(found.entry.digest, Digest::of(text.as_bytes())),
                None => prop_assert!(one.problems.iter().any(|problem| problem.covers(&path)), "{} is lost", path),
            }
        }
    }
}
