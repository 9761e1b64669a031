//! Conflicts over a group that a person decides by merging: no memory that nobody deleted is lost,
//! and each stands beside its own vector.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::{Conflict, Validate};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Refusal, Rewritten, SyncError, Unwatched};
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::{self, Memories};
use serde_json::json;

use crate::support::daemon::Daemon;
use crate::support::device::Device;
use crate::support::process::Machine;
use crate::support::socket;

const INDEX: &str = "indexes/nodes.index";

pub(super) fn write(device: &Device, memories: &Memories) {
    for (path, bytes) in memories::files(memories) {
        device.write(path, bytes);
    }
}

pub(super) fn read(device: &Device) -> Memories {
    let file = |path: &str| device.read(path);
    let (corpus, matrix) = (file("corpus/nodes.json").unwrap(), file("vectors/nodes.npy").unwrap());
    memories::read(&corpus, &matrix, file(INDEX).as_deref())
}

/// The memories `n0` to `n9`.
pub(super) fn ten() -> Memories {
    (0..10_u8).map(|n| (format!("n{n}"), (format!("memory {n}"), f32::from(n)))).collect()
}

pub(super) fn put(memories: &mut Memories, id: &str, text: &str, vector: f32) {
    memories.insert(id.to_owned(), (text.to_owned(), vector));
}

async fn pair(folder: &Path) -> (Device, Device) {
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let [mut one, mut two] = ["one", "two"].map(|name| Device::new(folder, name, Arc::clone(&remote)));
    for device in [&mut one, &mut two] {
        device.validate = Validate::Enforce;
        device.join(false).await.unwrap();
    }
    (one, two)
}

/// Both have the memories `n0` to `n9`.
async fn agreed(folder: &Path) -> (Device, Device) {
    let (mut one, mut two) = pair(folder).await;
    write(&one, &ten());
    one.sync().await;
    two.sync().await;
    (one, two)
}

async fn merge(device: &mut Device, conflict: &Conflict) -> Result<Rewritten, SyncError> {
    device.pass(Duration::from_secs(10));
    device.engine().merge_conflict(conflict.id, false, &Unwatched).await
}

async fn open(device: &mut Device) -> Conflict {
    let open = device.engine().conflicts().await.unwrap();
    assert_eq!(open.len(), 1);
    open[0].conflict.clone()
}

/// Both write their own version of what both have; two's loses.
async fn clash(one: &mut Device, two: &mut Device, here: &Memories, there: &Memories) -> Conflict {
    write(one, there);
    write(two, here);
    one.sync().await;
    let report = two.sync().await;
    assert_eq!(report.conflicts.len(), 1, "{report:?}");
    one.sync().await;
    open(two).await
}

#[tokio::test]
async fn both_devices_end_with_every_memory_that_nobody_deleted_beside_its_own_vector() {
    let folder = fresh_folder();
    let (mut one, mut two) = agreed(folder.path()).await;
    let (mut here, mut there) = (ten(), ten());
    put(&mut here, "a-here", "new here", 50.0);
    put(&mut here, "n1", "changed here", 51.0);
    put(&mut here, "n5", "clash: here", 55.0);
    here.remove("n2");
    put(&mut there, "z-there", "new there", 60.0);
    put(&mut there, "n3", "changed there", 63.0);
    put(&mut there, "n5", "clash: there", 65.0);
    there.remove("n4");
    let conflict = clash(&mut one, &mut two, &here, &there).await;
    assert_eq!(read(&two), there);

    let merged = merge(&mut two, &conflict).await.unwrap();
    let mut expected = there.clone();
    expected.remove("n2");
    put(&mut expected, "a-here", "new here", 50.0);
    put(&mut expected, "n1", "changed here", 51.0);
    one.sync().await;
    for device in [&mut one, &mut two] {
        assert_eq!(read(device), expected, "{}", device.name);
        assert!(device.engine().conflicts().await.unwrap().is_empty());
        assert!(device.conflicts().is_empty(), "the copy on the disk of {} stays", device.name);
        assert!(!device.sync().await.moved());
    }
    assert_eq!(one.files(), two.files());
    let [lost] = merged.clashes.as_slice() else { panic!("{:?}", merged.clashes) };
    assert_eq!((lost.id.as_deref(), lost.field.as_deref()), (Some("n5"), Some("content")));
    assert_eq!(lost.here.as_deref(), Some("\"clash: here\""));
    assert!(two.verify().await.faults.is_empty());
    // It was decided once and for all.
    let again = merge(&mut one, &conflict).await;
    assert!(matches!(again, Err(SyncError::Refused(Refusal::Decided { .. }))), "{again:?}");
    // The lost version is in the trash.
    let mut trash = std::collections::BTreeMap::new();
    crate::support::device::collect(&two.root, &two.root.join("sync/trash"), &mut trash);
    let lost = cogzy_engine::model::Digest::of(&memories::files(&here)[0].1);
    assert!(trash.values().any(|digest| *digest == lost), "{trash:?}");
}

/// The other device does not know what the losing version came from: the last one that its device
/// sent may have lost itself.
#[tokio::test]
async fn on_another_device_nothing_counts_as_deleted_and_differences_are_clashes() {
    let folder = fresh_folder();
    let (mut one, mut two) = agreed(folder.path()).await;
    let (mut here, there) = (ten(), ten());
    put(&mut here, "n1", "changed here", 51.0);
    put(&mut here, "a-here", "new here", 50.0);
    here.remove("n2");
    let mut there = there;
    there.remove("n4");
    let conflict = clash(&mut one, &mut two, &here, &there).await;
    let merged = merge(&mut one, &conflict).await.unwrap();
    let told: Vec<_> = merged.clashes.iter().map(|clash| clash.id.as_deref()).collect();
    assert_eq!(told, [Some("n1")]);
    let mut expected = ten();
    put(&mut expected, "a-here", "new here", 50.0);
    two.sync().await;
    assert_eq!((read(&one), read(&two)), (expected.clone(), expected));
}

/// Changes that were made meanwhile count as changes of the version that stands.
#[tokio::test]
async fn what_stands_by_then_is_merged_and_a_group_that_is_not_at_rest_is_not() {
    let folder = fresh_folder();
    let (mut one, mut two) = agreed(folder.path()).await;
    let (mut here, mut there) = (ten(), ten());
    put(&mut here, "a-here", "new here", 50.0);
    put(&mut there, "n3", "changed there", 63.0);
    let conflict = clash(&mut one, &mut two, &here, &there).await;
    put(&mut there, "later", "added after the conflict", 70.0);
    write(&two, &there);
    // A half-written group is not sent, so it is not merged either.
    two.write("vectors/nodes.npy", memories::matrix(&[1.0; 13]));
    let refused = merge(&mut two, &conflict).await;
    let Err(SyncError::Refused(Refusal::NotAtRest { why, .. })) = refused else { panic!("{refused:?}") };
    assert!(why.contains("rows"), "{why}");
    write(&two, &there);
    merge(&mut two, &conflict).await.unwrap();
    put(&mut there, "a-here", "new here", 50.0);
    one.sync().await;
    assert_eq!((read(&one), read(&two)), (there.clone(), there));
}

#[tokio::test]
async fn what_cannot_be_merged_is_refused_with_the_reason_and_nothing_changes() {
    let cases: [(&str, &str, Vec<u8>); 3] = [
        ("corpus/nodes.json", "two memories have the id \"n0\"", br#"[{"id":"n0"},{"id":"n0"}]"#.to_vec()),
        ("corpus/nodes.json", "no `id`", br#"[{"content":"x"},{"id":"n1"}]"#.to_vec()),
        ("vectors/nodes.npy", "different kinds", cogzy_testkit::memory::matrix(2, 3, 0.0)),
    ];
    for (path, words, bytes) in cases {
        let folder = fresh_folder();
        let (mut one, mut two) = pair(folder.path()).await;
        let base: Memories = ten().into_iter().take(2).collect();
        write(&one, &base);
        one.sync().await;
        two.sync().await;
        assert_eq!(read(&two), base);
        let (mut here, mut there) = (base.clone(), base.clone());
        put(&mut here, "n1", "changed here", 51.0);
        put(&mut there, "n1", "changed there", 61.0);
        write(&one, &there);
        write(&two, &here);
        // An index of other vectors would not fit.
        [&one, &two].iter().for_each(|device| device.delete(INDEX));
        two.write(path, bytes);
        one.sync().await;
        two.sync().await;
        let conflict = open(&mut two).await;
        let before = two.files();
        let refused = merge(&mut two, &conflict).await;
        let Err(SyncError::Refused(Refusal::NotMerged { why, .. })) = refused else { panic!("{refused:?}") };
        assert!(why.contains(words), "{path}: {why}");
        assert_eq!((two.files(), open(&mut two).await.id), (before, conflict.id));
        assert!(!two.sync().await.moved());
    }
}

#[tokio::test]
async fn a_corpus_without_vectors_is_not_merged() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    let corpus = |text: &str| json!([{"id": "e1", "content": text}]).to_string();
    one.write("corpus/episodes.json", corpus("both"));
    one.sync().await;
    two.sync().await;
    one.write("corpus/episodes.json", corpus("one"));
    two.write("corpus/episodes.json", corpus("two"));
    one.sync().await;
    two.sync().await;
    let conflict = open(&mut two).await;
    let refused = merge(&mut two, &conflict).await;
    let Err(SyncError::Refused(Refusal::NotMerged { why, .. })) = refused else { panic!("{refused:?}") };
    assert!(why.contains("no vectors"), "{why}");
}

#[tokio::test]
async fn a_conflict_over_a_file_is_not_merged() {
    let folder = fresh_folder();
    let (mut one, mut two) = pair(folder.path()).await;
    one.write("notes/a.md", "both");
    one.sync().await;
    two.sync().await;
    one.write("notes/a.md", "one");
    two.write("notes/a.md", "two");
    one.sync().await;
    two.sync().await;
    let conflict = open(&mut two).await;
    let refused = merge(&mut two, &conflict).await;
    assert!(matches!(refused, Err(SyncError::Refused(Refusal::NotMerged { .. }))), "{refused:?}");
}

pub(super) fn lay(machine: &Machine, memories: &Memories) {
    memories::files(memories).into_iter().for_each(|(path, bytes)| machine.write(path, bytes));
}

/// Two machines that have the memories `n0` to `n9`; the second one has these settings.
pub(super) async fn two_machines(folder: &Path, settings: &str) -> [Machine; 2] {
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder, name));
    one.good(&["init"]).await;
    lay(&one, &ten());
    one.sync().await;
    two.good(&["init"]).await;
    two.configure(settings);
    two.sync().await;
    [one, two]
}

/// Setting with which a device leaves its versions to a person.
pub(super) const OFF: &str = "[conflict]\nmerge = \"off\"\n";

/// Two machines with a conflict; the second one's version lost.
async fn machines(folder: &Path) -> (Machine, Machine, String) {
    let [one, two] = two_machines(folder, OFF).await;
    let (mut here, mut there) = (ten(), ten());
    put(&mut here, "a-here", "new here", 50.0);
    put(&mut here, "n5", "clash: here", 55.0);
    put(&mut there, "n5", "clash: there", 65.0);
    lay(&one, &there);
    one.sync().await;
    lay(&two, &here);
    two.sync().await;
    let listed = two.good(&["conflicts", "--json"]).await.json();
    let id = listed["conflicts"][0]["id"].as_str().unwrap().to_owned();
    (one, two, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_what_clashed_and_refuses_with_a_code() {
    let folder = fresh_folder();
    let (one, two, id) = machines(folder.path()).await;
    let shown = two.good(&["conflicts", "show", &id]).await;
    assert!(shown.stderr.contains("--keep merged") || shown.stdout.contains("--keep merged"), "{shown:?}");
    two.run(&["conflicts", "resolve", "ffff", "--keep", "merged"]).await.expect(2, &["no conflict is named"]);
    let done = two.good(&["conflicts", "resolve", &id, "--keep", "merged", "--json"]).await.json();
    let clashes = done["clashes"].as_array().unwrap();
    assert_eq!(clashes.len(), 1, "{done}");
    assert_eq!((&clashes[0]["id"], &clashes[0]["field"]), (&json!("n5"), &json!("content")));
    assert_eq!(clashes[0]["words"], "clash: here");
    one.sync().await;
    assert_eq!(one.files(), two.files());
    let text = String::from_utf8(one.read("corpus/nodes.json").unwrap()).unwrap();
    assert!(text.contains("new here") && text.contains("clash: there") && !text.contains("clash: here"));
}

/// The command would refuse what is not offered.
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_offered_only_where_a_person_may_get_one() {
    let folder = fresh_folder();
    let [one, two] = two_machines(folder.path(), "[conflict]\nmerge = \"entries\"\n").await;
    for (machine, id) in [(&one, "a"), (&two, "b")] {
        machine.write("corpus/episodes.json", format!("[{{\"id\":\"{id}\",\"t\":5}}]"));
        machine.sync().await;
    }
    let listed = two.good(&["conflicts", "--json"]).await.json();
    let id = listed["conflicts"][0]["id"].as_str().unwrap().to_owned();
    let shown = two.good(&["conflicts", "show", &id]).await;
    let said = format!("{}{}", shown.stdout, shown.stderr);
    assert!(said.contains("not merged: ") && said.contains("--keep other"), "{said}");
    assert!(!said.contains("--keep merged"), "{said}");
    two.run(&["conflicts", "resolve", &id, "--keep", "merged"]).await.expect(2, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_merges_a_conflict_over_the_socket() {
    let folder = fresh_folder();
    let (one, two, id) = machines(folder.path()).await;
    let daemon = Daemon::start(&two).await;
    let resource = format!("/v1/conflicts/{id}/resolve");
    let body = json!({"keep": "merged"}).to_string();
    let answer = socket::ask_with(&two, "POST", &resource, "content-type: application/json\r\n", &body).await;
    assert_eq!(answer.status, Some(200), "{answer:?}");
    assert_eq!(answer.json()["clashes"].as_array().map(Vec::len), Some(1));
    let again = two.run(&["conflicts", "resolve", &id, "--keep", "merged"]).await;
    assert_eq!(again.code, Some(2), "{again:?}");
    one.sync().await;
    assert_eq!(one.files(), two.files());
    assert_eq!(daemon.terminate().await.0, Some(0));
}
