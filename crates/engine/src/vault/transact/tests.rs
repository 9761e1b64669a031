use std::fs as disk;
use std::path::{Path, PathBuf};

use super::*;
use crate::fs::{RealFs, RootedFs};
use crate::model::{CommitId, CommitKey, DeviceId, VaultId};
use crate::vault::apply::tests::disk::{Disk, LINUX};
use crate::vault::{MARKER_FORMAT, Marker, MarkerError, Together, together};

mod spelled;

struct World {
    folder: tempfile::TempDir,
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn digest(text: &str) -> Option<Digest> {
    Some(Digest::of(text.as_bytes()))
}

impl World {
    /// A vault with a corpus, its vectors, and a trace.
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["corpus", "vectors", "traces", "sync/incoming"] {
            disk::create_dir_all(world.folder.path().join(folder)).unwrap();
        }
        for (name, text) in
            [("corpus/nodes.json", "old"), ("vectors/nodes.npy", "old rows"), ("traces/t.json", "t")]
        {
            world.write(name, text);
        }
        let (vault, device) = (VaultId::from_bytes([1; 16]), DeviceId::from_bytes([2; 8]));
        let marker = Marker { format: MARKER_FORMAT, vault, device, machine: String::new() };
        marker.write(&RealFs, &world.layout()).unwrap();
        world
    }

    fn layout(&self) -> Layout {
        Layout::new(self.folder.path())
    }

    /// An empty folder that the vault can be moved to.
    fn aside(&self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.folder.path().parent().unwrap()).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        disk::write(self.folder.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        disk::read_to_string(self.folder.path().join(name)).ok()
    }

    /// A request that replaces the corpus and its vectors, makes an index, and deletes the trace:
    /// three groups of files.
    fn request(&self) -> Transaction {
        for (name, text) in [("a", "new"), ("b", "new rows"), ("c", "index")] {
            self.write(&format!("sync/incoming/{name}"), text);
        }
        let writes = [("corpus/nodes.json", "a"), ("vectors/nodes.npy", "b"), ("indexes/faiss.index", "c")];
        Transaction {
            id: "first".into(),
            source: "test".into(),
            expected: [(path("corpus/nodes.json"), digest("old")), (path("indexes/faiss.index"), None)]
                .into(),
            writes: writes.map(|(to, from)| (path(to), path(from))).into(),
            deletes: [path("traces/t.json")].into(),
        }
    }

    fn run(&self, fs: &dyn Fs, request: &Transaction, at: u64) -> Result<Answer, TransactError> {
        let filter = Filter::new(&[], &["logs/**".to_owned()]).unwrap();
        transact(fs, &self.layout(), &filter, request, &ApplyId::new(at, [0; 4]), 1_000)
    }

    fn state(&self) -> [Option<String>; 4] {
        ["corpus/nodes.json", "vectors/nodes.npy", "indexes/faiss.index", "traces/t.json"]
            .map(|name| self.read(name))
    }
}

fn before() -> [Option<String>; 4] {
    [Some("old".into()), Some("old rows".into()), None, Some("t".into())]
}

fn after() -> [Option<String>; 4] {
    [Some("new".into()), Some("new rows".into()), Some("index".into()), None]
}

#[test]
fn all_of_it_is_written_and_the_same_id_is_answered_the_same() {
    let world = World::new();
    let request = world.request();
    let answer = world.run(&RealFs, &request, 1).unwrap();
    assert_eq!(world.state(), after());
    assert_eq!(answer.files.get(&path("corpus/nodes.json")), Some(&digest("new")));
    assert_eq!(answer.files.get(&path("traces/t.json")), Some(&None));
    assert!(
        disk::read_dir(world.layout().incoming()).unwrap().next().is_none(),
        "what was staged is taken away"
    );
    assert!(!world.layout().applying().exists());

    // The second time nothing that it expects holds any more, and nothing is staged.
    world.write("corpus/nodes.json", "edited since");
    assert_eq!(world.run(&RealFs, &request, 2).unwrap(), answer);
    assert_eq!(world.read("corpus/nodes.json").as_deref(), Some("edited since"));
}

#[test]
fn an_id_has_1_to_200_characters() {
    for (length, taken) in [(0, false), (1, true), (200, true), (201, false)] {
        let world = World::new();
        let request = Transaction { id: "ü".repeat(length), ..world.request() };
        assert_eq!(world.run(&RealFs, &request, 1).is_ok(), taken, "{length} characters");
        let now = current(&RealFs, &world.layout(), &path("corpus/nodes.json")).unwrap();
        assert_eq!(now, digest(if taken { "new" } else { "old" }));
        let gone = current(&RealFs, &world.layout(), &path("traces/t.json")).unwrap();
        assert_eq!(gone, if taken { None } else { digest("t") });
    }
}

#[test]
fn what_is_no_longer_as_expected_is_named_and_nothing_is_written() {
    let world = World::new();
    let request = world.request();
    world.write("corpus/nodes.json", "edited meanwhile");
    let Err(TransactError::Conflict { path: named, current }) = world.run(&RealFs, &request, 1) else {
        panic!("it was written over an edit")
    };
    assert_eq!((named, current), (path("corpus/nodes.json"), digest("edited meanwhile")));
    assert_eq!(world.read("vectors/nodes.npy").as_deref(), Some("old rows"));
    let mut exists = world.request();
    world.write("corpus/nodes.json", "old");
    disk::create_dir_all(world.folder.path().join("indexes")).unwrap();
    world.write("indexes/faiss.index", "somebody's");
    assert!(matches!(world.run(&RealFs, &exists, 2), Err(TransactError::Conflict { .. })));
    // A file that it has seen, it may replace.
    exists.expected.insert(path("indexes/faiss.index"), digest("somebody's"));
    world.run(&RealFs, &exists, 3).unwrap();
    assert_eq!(world.state(), after());
}

#[test]
fn what_may_not_be_written_or_is_not_there_is_refused() {
    let world = World::new();
    let refused = |change: &dyn Fn(&mut Transaction)| {
        let mut request = world.request();
        change(&mut request);
        let error = world.run(&RealFs, &request, 1).unwrap_err();
        assert!(matches!(error, TransactError::Refused { .. }), "{error}");
        assert_eq!(world.state(), before());
    };
    for secret in ["config.json", "sync/last_sync.json", ".cogzy-vault", "logs/x", "a/id_rsa"] {
        refused(&|request| drop(request.writes.insert(path(secret), path("a"))));
        refused(&|request| request.deletes.extend([path(secret)]));
    }
    refused(&|request| drop(request.writes.insert(path("traces/x.json"), path("none"))));
    refused(&|request| drop(request.writes.insert(path("traces/t.json"), path("a"))));
    refused(&|request| request.id.clear());
    refused(&|request| (request.writes, request.deletes) = Default::default());
    std::os::unix::fs::symlink("/etc/hostname", world.layout().incoming().join("link")).unwrap();
    refused(&|request| drop(request.writes.insert(path("traces/x.json"), path("link"))));
}

#[test]
fn a_crash_before_any_effect_leaves_all_or_nothing_and_the_repeated_request_ends_it() {
    let mut crashes = 0;
    for at in 0.. {
        let world = World::new();
        let request = world.request();
        let fs = Disk::crashing(LINUX, world.folder.path(), at);
        let result = world.run(&fs, &request, 1);
        if !fs.reached() {
            result.unwrap();
            break;
        }
        crashes += 1;
        // The next start of the syncing program.
        let layout = world.layout();
        if let Some(recovered) = recover(&RealFs, &layout, None).unwrap() {
            settle_transaction(&RealFs, &layout, &recovered).unwrap();
            conclude(&RealFs, &layout).unwrap();
        }
        let state = world.state();
        assert!(state == before() || state == after(), "crash {at}: {state:?}");
        // The program has got no answer, and asks again; its staged files may be gone.
        let answer = match world.run(&RealFs, &request, 2) {
            Err(TransactError::Refused { .. }) => world.run(&RealFs, &world.request(), 3).unwrap(),
            other => other.unwrap(),
        };
        assert_eq!((world.state(), answer.files.len()), (after(), 4), "crash {at}");
    }
    assert!(crashes > 30, "only {crashes} moments to crash at");
}

#[test]
fn writes_alone_and_deletes_alone_are_enough_and_nothing_is_not() {
    let world = World::new();
    let both = world.request();
    let only_writes = Transaction { id: "w".into(), deletes: [].into(), ..both.clone() };
    assert_eq!(world.run(&RealFs, &only_writes, 1).unwrap().files.len(), 3);
    let only_deletes = Transaction { id: "d".into(), writes: [].into(), expected: [].into(), ..both };
    assert_eq!(world.run(&RealFs, &only_deletes, 2).unwrap().files.len(), 1);
    assert_eq!(world.state(), after());
}

#[test]
fn a_transaction_names_ten_thousand_paths_and_no_more() {
    for (expected, taken) in [(9_998, true), (9_999, false)] {
        let world = World::new();
        world.write("sync/incoming/a", "new");
        let request = Transaction {
            writes: [(path("corpus/nodes.json"), path("a"))].into(),
            expected: (0..expected).map(|number| (path(&format!("none/{number}")), None)).collect(),
            ..world.request()
        };
        let result = world.run(&RealFs, &request, 1).map(|answer| answer.files.len());
        match result {
            Ok(files) => assert!(taken && files == 2),
            Err(error) => assert!(!taken && error.to_string().contains("more than 10000 paths"), "{error}"),
        }
    }
}

#[test]
fn what_must_be_sent_together_is_noted_and_a_single_path_is_not() {
    let world = World::new();
    let request = world.request();
    let answer = world.run(&RealFs, &request, 1).unwrap();
    let noted = together(&RealFs, &world.layout()).unwrap();
    assert!(
        matches!(&noted[..], [Together { files, done: true, .. }] if *files == answer.files),
        "{noted:?}"
    );
    world.write("sync/incoming/a", "newer");
    let writes = [(path("corpus/nodes.json"), path("a"))].into();
    let single = Transaction {
        id: "second".into(),
        source: "test".into(),
        expected: [].into(),
        writes,
        deletes: [].into(),
    };
    assert_eq!(world.run(&RealFs, &single, 2).unwrap().files.len(), 1, "another id is another transaction");
    assert_eq!(world.read("corpus/nodes.json").as_deref(), Some("newer"));
    assert_eq!(together(&RealFs, &world.layout()).unwrap(), noted);
    let pair = Transaction { id: "third".into(), ..world.request() };
    let pair = Transaction {
        expected: [].into(),
        writes: pair.writes.into_iter().take(2).collect(),
        deletes: [].into(),
        ..pair
    };
    assert_eq!(world.run(&RealFs, &pair, 3).unwrap().files.len(), 2);
    assert_eq!(together(&RealFs, &world.layout()).unwrap().len(), 2);
}

#[test]
fn files_are_put_in_place_under_the_lock_that_others_wait_for() {
    let world = World::new();
    let layout = world.layout();
    let looked = std::sync::atomic::AtomicUsize::new(0);
    let event = |_| {
        if layout.applying().exists() {
            assert!(
                FileLock::try_take(&RealFs, &layout.apply_lock()).unwrap().is_none(),
                "nobody is locked out"
            );
            looked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    };
    world.run(&Disk::disturbed(LINUX, world.folder.path(), 0, &event), &world.request(), 1).unwrap();
    assert!(looked.into_inner() > 4, "files were put in place");
    assert!(FileLock::try_take(&RealFs, &layout.apply_lock()).unwrap().is_some(), "the lock is given back");
}

/// A vault in which a crash came while files were being put in place.
fn cut_short() -> (World, Transaction) {
    let cut = |at| {
        let world = World::new();
        let request = world.request();
        let crashed = world.run(&Disk::crashing(LINUX, world.folder.path(), at), &request, 1).is_err();
        (crashed && world.layout().applying().exists()).then_some((world, request))
    };
    (0..200).find_map(cut).expect("some effect lies between the journal and the end")
}

#[test]
fn a_transaction_that_a_crash_cut_short_is_ended_by_the_next_one() {
    let (world, first) = cut_short();
    let pair = [("traces/a.json", "x"), ("traces/b.json", "y")];
    pair.iter().for_each(|(_, name)| world.write(&format!("sync/incoming/{name}"), name));
    let second = Transaction {
        id: "second".into(),
        source: "test".into(),
        expected: [].into(),
        writes: pair.map(|(to, from)| (path(to), path(from))).into(),
        deletes: [].into(),
    };
    world.run(&RealFs, &second, 2).unwrap();
    assert_eq!(world.state(), after(), "the first one is in place too");
    assert_eq!(world.read("traces/b.json").as_deref(), Some("y"));
    let noted = together(&RealFs, &world.layout()).unwrap();
    assert!(noted.len() == 2 && noted.iter().all(|noted| noted.done), "{noted:?}");
    assert_eq!(world.run(&RealFs, &first, 3).unwrap().files.len(), 4, "and it is known to be done");
}

#[test]
fn a_generation_that_a_crash_cut_short_is_left_to_whoever_syncs() {
    let (world, _) = cut_short();
    let layout = world.layout();
    let journal = Journal::read(&RealFs, &layout.applying()).unwrap().unwrap();
    assert!(matches!(journal.purpose, Purpose::Transaction(_)));
    let commit = Purpose::Generation(CommitKey { seq: 1, id: CommitId::from_bytes([1; 32]) });
    let generation = Journal::new(journal.id, commit, false, journal.items);
    disk::remove_file(layout.applying()).unwrap();
    generation.write(&RealFs, &layout).unwrap();
    let lock = FileLock::try_take(&RealFs, &layout.apply_lock()).unwrap().unwrap();
    assert!(!finish_other(&RealFs, &layout, &lock).unwrap());
    assert!(layout.applying().exists(), "its journal is still there");
}

/// All names below a folder.
fn names(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in disk::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        all.extend(names(&path));
        all.push(path);
    }
    all.sort();
    all
}

#[test]
fn a_place_that_is_no_vault_stays_as_it_is() {
    type Away = fn(&Path, &Path);
    let away: [(&str, Away); 5] = [
        ("nothing is there", |root, aside| disk::rename(root, aside).unwrap()),
        ("an empty folder is there, as where a disk was mounted", |root, aside| {
            disk::rename(root, aside).unwrap();
            disk::create_dir(root).unwrap();
        }),
        ("a copy of the vault is there", |root, aside| {
            disk::rename(root, aside).unwrap();
            disk::create_dir_all(root.join("sync/incoming")).unwrap();
            disk::copy(aside.join(".cogzy-vault"), root.join(".cogzy-vault")).unwrap();
        }),
        ("the marker is gone", |root, _| disk::remove_file(root.join(".cogzy-vault")).unwrap()),
        ("our folder is gone", |root, _| disk::remove_dir_all(root.join("sync")).unwrap()),
    ];
    for (what, away) in away {
        let world = World::new();
        let (root, aside) = (world.folder.path(), world.aside());
        let request = world.request();
        let fs = RootedFs::open(root, root.join("sync"));
        away(root, aside.path());
        let before = [names(root), names(aside.path())];
        let error = world.run(&fs, &request, 1).unwrap_err();
        assert!(matches!(error, TransactError::NoVault(_)), "{what}: {error}");
        assert_eq!([names(root), names(aside.path())], before, "{what}");
    }
}

#[test]
fn a_root_that_is_replaced_meanwhile_is_said_and_the_new_one_is_left_alone() {
    let world = World::new();
    let request = world.request();
    let (root, away) = (world.folder.path(), world.aside());
    let aside = away.path();
    // Once the journal is there, everything is put in place, in the folder that was opened.
    let replace = |_| {
        if root.join("sync/applying").exists() && names(aside).is_empty() {
            disk::rename(root, aside).unwrap();
            disk::create_dir_all(root.join("sync")).unwrap();
        }
    };
    let error = world.run(&Disk::disturbed(LINUX, root, 0, &replace), &request, 1).unwrap_err();
    assert!(matches!(error, TransactError::NoVault(MarkerError::Replaced(_))), "{error}");
    assert_eq!(names(root), [root.join("sync")], "something was written to another folder");
    assert_eq!(disk::read_to_string(aside.join("corpus/nodes.json")).unwrap(), "new");
    disk::remove_dir_all(root).unwrap();
    disk::rename(aside, root).unwrap();
    assert_eq!(world.run(&RealFs, &request, 2).unwrap().files.len(), 4, "the same request ends it");
}
