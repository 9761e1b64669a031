//! A corpus never reaches another device without the vectors and the index that belong to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::fs::RealFs;
use cogzy_engine::model::{Digest, Item, Keep, Validate};
use cogzy_engine::plan::{Direction, Reason};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::state::Database;
use cogzy_engine::sync::{Refusal, Report, Request, SyncError, Unwatched, Weight};
use cogzy_engine::vault::Layout;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memory::{corpus, entries, index, matrix, rows, vectors};

use crate::support::device::{Device, WritesThen};

pub struct World {
    remote: Arc<dyn Remote>,
    folder: Arc<tempfile::TempDir>,
    pub one: Device,
    pub two: Device,
}

/// Two devices that have joined one vault whose groups want `validate`.
pub async fn world(validate: Validate) -> World {
    let folder = Arc::new(fresh_folder());
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let mut one = Device::new(folder.path(), "one", Arc::clone(&remote));
    one.validate = validate;
    one.join(false).await.unwrap();
    let mut two = Device::joined(folder.path(), "two", Arc::clone(&remote)).await;
    one.folder = Some(Arc::clone(&folder));
    two.folder = Some(Arc::clone(&folder));
    World { remote, folder, one, two }
}

pub fn write_group(device: &Device, count: usize, text: &str) {
    device.write("corpus/nodes.json", corpus(count, text));
    device.write("vectors/nodes.npy", matrix(count, 8, 0.5));
    device.write("indexes/faiss.index", index(count, 8, 0.5));
}

/// Nodes, rows and vectors of a vault, which must agree.
fn counts(device: &Device) -> Option<usize> {
    let read = |path| device.read(path);
    let nodes = entries(&read("corpus/nodes.json")?);
    assert_eq!(rows(&read("vectors/nodes.npy").unwrap()), nodes, "{}", device.name);
    assert_eq!(vectors(&read("indexes/faiss.index").unwrap()), nodes, "{}", device.name);
    Some(nodes)
}

pub fn invalid(report: &Report) -> Vec<(Weight, &str)> {
    let of_group = report.problems.iter().filter(|problem| problem.path == "group:nodes");
    of_group.map(|problem| (problem.weight, problem.message.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_takes_its_time_never_yields_half_a_generation() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    assert_eq!(one.sync().await.generation, 1);
    two.sync().await;
    assert_eq!(counts(&two), Some(30));
    for round in 1..6 {
        let count = 30 + round * 3;
        let generation = one.sync().await.generation;
        let steps: [&dyn Fn(&Device); 3] = [
            &|device| device.write("corpus/nodes.json", corpus(count, "longer")),
            &|device| device.write("vectors/nodes.npy", matrix(count, 8, 1.5)),
            &|device| device.write("indexes/faiss.index", index(count, 8, 1.5)),
        ];
        for (at, step) in steps.iter().enumerate() {
            step(&one);
            // Far longer than the settle window, killed in between, while the other device sends
            // its own changes.
            for _ in 0..2 {
                one.pass(Duration::from_secs(30));
                one.restart();
                two.write("traces/other.json", format!("{round} {at}"));
                two.sync().await;
                let report = one.sync().await;
                two.sync().await;
                assert_eq!(counts(&two), Some(if at < 2 { count - 3 } else { count }));
                if at < 2 {
                    let found = invalid(&report);
                    let says = if at == 0 { "vectors/nodes.npy has" } else { "indexes/faiss.index has" };
                    assert!(
                        matches!(found.as_slice(), [(Weight::Invalid, text)] if text.contains(says)),
                        "{found:?}"
                    );
                    assert!(
                        found[0].1.contains(&count.to_string())
                            && found[0].1.contains(&(count - 3).to_string())
                    );
                }
            }
        }
        assert!(one.sync().await.problems.is_empty());
        assert!(one.sync().await.generation > generation);
        assert_eq!(counts(&one), Some(count));
    }
    assert_eq!(one.files(), two.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_stays_invalid_becomes_an_error_and_is_still_not_overwritten() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    two.sync().await;
    one.write("corpus/nodes.json", corpus(31, "half done"));
    assert_eq!(invalid(&one.sync().await)[0].0, Weight::Invalid);
    write_group(&two, 40, "from elsewhere");
    two.sync().await;
    one.pass(Duration::from_secs(301));
    one.restart();
    let report = one.sync().await;
    assert_eq!(invalid(&report)[0].0, Weight::Overdue);
    assert!(one.text("corpus/nodes.json").unwrap().contains("half done"));
    // Once it fits, it is an ordinary conflict: the remote wins and nothing is lost.
    write_group(&one, 31, "half done");
    let report = one.sync().await;
    assert_eq!((report.conflicts.len(), invalid(&report)), (1, vec![]));
    assert_eq!((counts(&one), one.conflicts().len()), (Some(40), 1));
    // The clock of the next fault starts anew.
    one.write("corpus/nodes.json", corpus(41, "again"));
    assert_eq!(invalid(&one.sync().await)[0].0, Weight::Invalid);
}

/// Makes a device take a corpus for one of `count` entries: another program with a bug, or an older
/// version of this one.
fn deceive(device: &Device, count: usize) {
    let digest = Digest::of(&device.read("corpus/nodes.json").unwrap());
    let database = Database::open(Arc::new(RealFs), &Layout::new(&device.root).cache_db()).unwrap();
    database.put_fact(&digest, "corpus:nodes", &format!("{{\"is\":\"corpus\",\"count\":{count}}}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_remote_group_counts_as_unchanged_and_can_be_committed_over() {
    let World { mut one, mut two, remote, folder } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    two.sync().await;
    one.write("corpus/nodes.json", corpus(33, "too many"));
    one.write("traces/a.json", "a");
    deceive(&one, 30);
    assert_eq!(one.sync().await.generation, 2, "the device believes what it knows of this content");

    let mut three = Device::joined(folder.path(), "three", remote).await;
    for device in [&mut two, &mut three] {
        let before = counts(device);
        for _ in 0..2 {
            device.sync().await;
            assert_eq!(counts(device), before, "the previous version stays");
            assert_eq!(device.text("traces/a.json").as_deref(), Some("a"), "all else goes on");
        }
        let report = device.sync().await;
        let found = invalid(&report);
        assert!(
            matches!(found.as_slice(), [(Weight::Invalid, text)] if text.contains("has 30 rows, but corpus/nodes.json has 33"))
        );
        assert!(!report.moved());
    }

    write_group(&two, 35, "good again");
    let report = two.sync().await;
    assert_eq!((report.generation, invalid(&report)), (3, vec![]));
    for device in [&mut one, &mut three] {
        let report = device.sync().await;
        assert_eq!((invalid(&report), counts(device)), (vec![], Some(35)), "{}", device.name);
    }
    assert_eq!(one.files(), two.files());
    assert_eq!(three.files(), two.files());
    assert_eq!(two.verify().await.faults, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn warn_tells_and_sends_off_does_not_look() {
    for (validate, told) in [(Validate::Warn, vec![Weight::Warned]), (Validate::Off, vec![])] {
        let World { mut one, mut two, .. } = world(validate).await;
        write_group(&one, 30, "first");
        one.write("corpus/nodes.json", corpus(31, "one more"));
        let report = one.sync().await;
        assert_eq!(report.generation, 1);
        assert_eq!(invalid(&report).iter().map(|(weight, _)| *weight).collect::<Vec<_>>(), told);
        let report = two.sync().await;
        assert_eq!(invalid(&report).iter().map(|(weight, _)| *weight).collect::<Vec<_>>(), told);
        assert_eq!(one.files(), two.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_named_and_nothing_of_them_is_committed() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.sync().await;
    let nan = {
        let mut bytes = matrix(30, 8, 0.5);
        bytes[128 + 4 * 8 * 12..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    let whole = matrix(30, 8, 0.5);
    let pickle = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/objects.npy")).unwrap();
    let cases: [(&str, Vec<u8>, &str); 8] = [
        (
            "vectors/nodes.npy",
            whole[..whole.len() - 1].to_vec(),
            "vectors/nodes.npy is damaged: it is shorter",
        ),
        ("vectors/nodes.npy", b"\x93NUMPY\x01\x00".to_vec(), "byte 8"),
        ("vectors/nodes.npy", pickle, "pickle"),
        ("vectors/nodes.npy", matrix(0, 8, 0.0), "has 0 rows, but corpus/nodes.json has 30 entries"),
        ("vectors/nodes.npy", nan, "row 12, column 0"),
        ("corpus/nodes.json", b"{\"nodes\": [\"\xff\"]}".to_vec(), "not UTF-8 at byte 12"),
        ("corpus/nodes.json", b"{\"nodes\": [1, 2".to_vec(), "ends at byte 15"),
        (
            "indexes/faiss.index",
            index(30, 8, 0.5)[..100].to_vec(),
            "indexes/faiss.index is damaged: it ends at byte 100",
        ),
    ];
    for (path, bytes, says) in cases {
        write_group(&one, 30, "first");
        one.write(path, bytes);
        let report = one.sync().await;
        let found = invalid(&report);
        assert!(
            matches!(found.as_slice(), [(Weight::Invalid, text)] if text.contains(says)),
            "{says}: {found:?}"
        );
        assert_eq!(report.generation, 1);
    }
    two.sync().await;
    assert_eq!(counts(&two), Some(30));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_moves_while_the_others_are_fetched_keeps_its_group_where_it_is() {
    // One that stays as it is in what is fetched, and one that was not there.
    for path in ["vectors/nodes.npy", "indexes/late.index"] {
        let World { mut one, mut two, .. } = world(Validate::Off).await;
        write_group(&one, 30, "first");
        one.sync().await;
        two.sync().await;
        one.write("corpus/nodes.json", corpus(30, "from elsewhere"));
        one.write("traces/a.json", "a");
        one.sync().await;
        two.pass(Duration::from_secs(10));
        let root = two.root.clone();
        let writer = WritesThen(&root, path, matrix(31, 8, 0.5));
        let report = two.engine().cycle(Request::FULL, &writer).await.unwrap();
        assert!(two.text("corpus/nodes.json").unwrap().contains("first"), "{path}: half of it was replaced");
        assert_eq!(two.text("traces/a.json").as_deref(), Some("a"), "all else goes on");
        assert!(report.problems.iter().any(|trouble| trouble.message.contains(path)), "{report:?}");
        two.sync().await;
        one.sync().await;
        assert_eq!(one.files(), two.files(), "{path}");
    }
}

/// The user's files that were opened since this was asked last.
fn read_of_the_vault(device: &Device) -> Vec<PathBuf> {
    let root = device.root.canonicalize().unwrap();
    let ours = [root.join("sync"), root.join(".cogzy-vault")];
    let opened = device.opened.take().into_iter();
    opened.filter(|path| !ours.iter().any(|ours| path.starts_with(ours))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_cycle_reads_no_file() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "first");
    one.write("traces/a.json", "a");
    for device in [&mut one, &mut two] {
        device.sync().await;
        device.sync().await;
        assert!(!read_of_the_vault(device).is_empty(), "nobody looks");
        // A process that goes on, and one that starts.
        device.sync().await;
        assert_eq!(read_of_the_vault(device), Vec::<PathBuf>::new(), "{}", device.name);
        device.restart();
        device.sync().await;
        assert_eq!(read_of_the_vault(device), Vec::<PathBuf>::new(), "{} started anew", device.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_loses_most_of_its_rows_is_held_on_both_sides() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 100, "short");
    one.sync().await;
    two.sync().await;
    // Fewer and longer: no file shrinks by half.
    one.write("corpus/nodes.json", corpus(40, &"long ".repeat(40)));
    one.write("vectors/nodes.npy", matrix(40, 16, 0.5));
    one.write("indexes/faiss.index", index(40, 16, 0.5));
    for (device, direction) in [(&mut one, Direction::Outgoing), (&mut two, Direction::Incoming)] {
        let report = device.sync().await;
        assert_eq!(report.holds.len(), 1, "{}: {report:?}", device.name);
        let hold = &report.holds[0];
        assert_eq!((hold.reason, hold.direction), (Reason::GroupLoss, direction));
        assert!(hold.items.contains(&Item::Group("nodes".into())));
        device.approve(hold.id);
        device.sync().await;
        assert_eq!(counts(device), Some(40));
    }
    assert_eq!(one.files(), two.files());
}

/// A decision for a group that every device would hold back.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_fit_together_is_not_put_back() {
    let World { mut one, mut two, .. } = world(Validate::Enforce).await;
    write_group(&one, 30, "whole");
    one.sync().await;
    two.sync().await;
    one.write("corpus/nodes.json", corpus(31, "half done"));
    one.sync().await;
    // Only a reset takes a half-written memory away, and keeps it.
    one.engine().reset(false, &Unwatched).await.unwrap();
    let generation = one.sync().await.generation;
    let kept = one.engine().conflicts().await.unwrap()[0].conflict.clone();
    // The one device has looked into it before it was kept, the other has never had it.
    for device in [&mut one, &mut two] {
        device.sync().await;
        let refused = device.engine().resolve(kept.id, Keep::Mine, true, &Unwatched).await;
        let Err(SyncError::Refused(Refusal::Unfit { group, faults })) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(group, "nodes");
        assert!(
            faults.contains("vectors/nodes.npy has 30 rows, but corpus/nodes.json has 31 entries"),
            "{faults}"
        );
        assert_eq!(device.sync().await.generation, generation, "something was committed");
        assert_eq!(counts(device), Some(30));
        assert_eq!(device.engine().conflicts().await.unwrap().len(), 1, "it is no longer there to decide");
        let staged = std::fs::read_dir(device.root.join("sync/staging"));
        assert_eq!(
            staged.map_or(0, Iterator::count),
            0,
            "{}: what was fetched to look into it stays",
            device.name
        );
    }
    // Beside the other version it belongs to no group.
    two.engine().resolve(kept.id, Keep::Both, true, &Unwatched).await.unwrap();
    one.sync().await;
    assert_eq!((counts(&one), one.files()), (Some(30), two.files()));
}
