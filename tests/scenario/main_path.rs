//! Two vaults and a bucket, kept the same.

use std::sync::Arc;

use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_testkit::{amount, fresh_folder};

use crate::remote::{foreign, in_process};
use crate::support::device::Device;
use crate::support::s3_server::S3Server;

pub struct World {
    pub folder: Arc<tempfile::TempDir>,
    pub bucket: MemoryRemote,
    pub one: Device,
    pub two: Device,
}

/// Two devices that have joined one empty vault.
pub async fn world() -> World {
    let folder = Arc::new(fresh_folder());
    let bucket = MemoryRemote::default();
    let remote: Arc<dyn Remote> = Arc::new(bucket.clone());
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", remote).await;
    one.folder = Some(Arc::clone(&folder));
    two.folder = Some(Arc::clone(&folder));
    World { folder, bucket, one, two }
}

pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

pub fn group_of(device: &Device, version: &str) {
    device.write(
        "corpus/nodes.json",
        format!("{{\"nodes\":\"{version}\",\"text\":\"{}\"}}", "memory ".repeat(100)),
    );
    device.write("vectors/nodes.npy", [version.as_bytes(), &bytes(3, 300_000)].concat());
    device.write("indexes/faiss.index", [b"IxFI", version.as_bytes(), &bytes(3, 300_000)].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_here_arrives_there() {
    let World { mut one, mut two, bucket, .. } = world().await;
    group_of(&one, "first");
    one.write("traces/a.json", "a");
    one.write("traces/deep/er/empty.json", "");
    one.write("config.json", "{\"api_keys\":\"sk-SECRET\"}");
    one.write("cache/x.bin", "cached");
    let report = one.sync().await;
    assert_eq!((report.pushed, report.generation), (5, 1));
    let report = two.sync().await;
    assert_eq!((report.pulled, report.generation), (5, 1));
    assert_eq!(one.files(), two.files());
    assert_eq!(one.read("sync/manifest.json"), two.read("sync/manifest.json"));
    for (key, object) in bucket.dump() {
        let found = |needle: &[u8]| object.windows(needle.len()).any(|window| window == needle);
        assert!(
            !found(b"sk-SECRET") && !found(b"config.json") && !found(b"cached"),
            "{key} holds what must stay here"
        );
    }

    two.write("traces/b.json", "b");
    two.delete("traces/a.json");
    let report = two.sync().await;
    assert_eq!((report.pushed, report.deleted_remote), (1, 1));
    let report = one.sync().await;
    assert_eq!((report.pulled, report.deleted_local), (1, 1));
    assert_eq!(one.files(), two.files());
    assert_eq!(one.verify().await.faults, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_further_cycles_only_look() {
    let World { mut one, mut two, bucket, .. } = world().await;
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    let before = (bucket.dump(), one.files(), two.files());
    for device in [&mut one, &mut two] {
        device.sync().await;
        device.restart();
        let requests = device.requests();
        let report = device.sync().await;
        assert!(!report.moved());
        assert_eq!(
            device.requests() - requests,
            1,
            "{}: one listing and no more, also after a restart",
            device.name
        );
    }
    assert_eq!((bucket.dump(), one.files(), two.files()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_keeps_the_losing_group_on_disk_and_in_the_bucket() {
    let World { mut one, mut two, .. } = world().await;
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    group_of(&one, "remote version");
    group_of(&two, "losing version");
    one.sync().await;
    let report = two.sync().await;
    assert_eq!(report.conflicts.len(), 1);
    assert_eq!(two.files(), one.files());
    assert!(two.text("corpus/nodes.json").unwrap().contains("remote version"));
    let conflicts = two.conflicts();
    let conflict = &conflicts[0];
    assert_eq!((conflicts.len(), conflict.files.len()), (1, 3));
    let kept = two.conflict_bytes(conflict, "corpus/nodes.json").unwrap();
    assert!(String::from_utf8(kept).unwrap().contains("losing version"));
    // The other device sees it listed, and the bucket holds its bytes.
    let report = one.sync().await;
    assert_eq!(report.generation, 3);
    assert_eq!(one.verify().await.faults, vec![]);
    let again = two.sync().await;
    assert!(again.conflicts.is_empty() && !again.moved(), "a conflict is kept once");
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_indexes_make_no_conflict_and_chase_nobody() {
    let World { mut one, mut two, bucket, .. } = world().await;
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    for round in 0..3 {
        one.write("indexes/faiss.index", format!("built by one in round {round}"));
        two.write("indexes/faiss.index", format!("built by two in round {round}"));
        let objects = bucket.dump().len();
        for device in [&mut one, &mut two] {
            let report = device.sync().await;
            assert!(!report.moved() && report.conflicts.is_empty());
        }
        assert_eq!(bucket.dump().len(), objects);
    }
    assert_eq!(two.text("indexes/faiss.index").unwrap(), "built by two in round 2");
    // A change of the corpus takes along the index that stands beside it; one without an index
    // leaves room for the first.
    for version in ["second", "third"] {
        one.write("corpus/nodes.json", format!("{version} {}", "memory ".repeat(120)));
        one.sync().await;
        two.sync().await;
    }
    two.write("indexes/faiss.index", "the first index of the second corpus");
    assert_eq!(two.sync().await.pushed, 1);
    one.sync().await;
    assert_eq!(one.text("indexes/faiss.index").unwrap(), "the first index of the second corpus");
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_commit_at_once_end_up_with_one_head() {
    let World { mut one, mut two, .. } = world().await;
    one.sync().await;
    two.sync().await;
    for round in 0..10 {
        one.write(&format!("traces/one-{round}.json"), format!("one {round}"));
        two.write(&format!("traces/two-{round}.json"), format!("two {round}"));
        one.write("traces/both.json", format!("one {round}"));
        two.write("traces/both.json", format!("two {round}"));
        let (left, right) = tokio::join!(one.sync(), two.sync());
        assert!(left.generation > 0 && right.generation > 0);
        let again = [one.sync().await, two.sync().await, one.sync().await];
        assert_eq!(one.files(), two.files(), "round {round}: {left:?} {right:?} {again:?}");
    }
    assert_eq!(one.files().len(), 21);
    let kept = one.conflicts().len() + two.conflicts().len();
    assert!(kept >= 10, "each round's loser is kept, {kept} were");
    assert_eq!(one.verify().await.faults, vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_files_are_sent_and_fetched_by_their_differences() {
    let World { mut one, mut two, .. } = world().await;
    let mut content = bytes(9, 24 << 20);
    one.write("vectors/big.npy", &content);
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read("vectors/big.npy").unwrap(), content);
    content[12 << 20] ^= 1;
    content.extend_from_slice(b"appended");
    one.write("vectors/big.npy", &content);
    let sent = one.sync().await.transfer;
    assert!(sent.bytes_up < 1 << 20, "{} bytes for one changed byte", sent.bytes_up);
    let fetched = two.sync().await.transfer;
    assert!(fetched.bytes_down < 1 << 20, "{} bytes for one changed byte", fetched.bytes_down);
    assert_eq!(two.read("vectors/big.npy").unwrap(), content);
}

/// Whatever stands in the old version, the new one is the right one, and little is fetched for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_old_version_is_not_what_it_was_is_put_together_all_the_same() {
    let World { mut one, mut two, .. } = world().await;
    let mut content = bytes(11, 6 << 20);
    one.write("vectors/big.npy", &content);
    one.sync().await;
    two.sync().await;
    two.sync().await;
    let mut damaged = content.clone();
    damaged[3 << 20] ^= 1;
    let cut_short = content[..4 << 20].to_vec();
    for there in [damaged, cut_short] {
        two.damage_unnoticed("vectors/big.npy", &there);
        content[1 << 20] ^= 1;
        content.extend_from_slice(b"appended");
        one.write("vectors/big.npy", &content);
        one.sync().await;
        let fetched = two.sync().await.transfer;
        assert_eq!(two.read("vectors/big.npy").unwrap(), content);
        assert!(fetched.bytes_down < 4 << 20, "{} bytes", fetched.bytes_down);
        two.sync().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_become_few_objects() {
    let World { mut one, mut two, bucket, .. } = world().await;
    let files = amount(3_000, 10_000);
    (0..files).for_each(|number| {
        one.write(&format!("traces/{}/{number}.json", number % 10), format!("trace {number}"));
    });
    let before = bucket.dump().len();
    one.sync().await;
    assert!(bucket.dump().len() - before < 20, "{} objects", bucket.dump().len() - before);
    let fetched = two.sync().await;
    assert_eq!(fetched.pulled, files);
    assert!(fetched.transfer.requests < 30, "{} requests", fetched.transfer.requests);
}

/// Files are fetched in the order of their names, and lie in packs in that of their age.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_sent_in_turns_are_not_fetched_one_by_one() {
    let World { mut one, mut two, .. } = world().await;
    for first in 0..2 {
        (first..400).step_by(2).for_each(|number| {
            one.write(&format!("notes/{number:03}.txt"), format!("note {number}"));
        });
        one.sync().await;
    }
    let fetched = two.sync().await;
    assert_eq!(fetched.pulled, 400);
    assert!(fetched.transfer.requests < 30, "{} requests", fetched.transfer.requests);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_until_it_has_stood_still() {
    let World { mut one, .. } = world().await;
    one.write("traces/old.json", "settled");
    one.pass(std::time::Duration::from_secs(10));
    // Written "now" by the device's clock: within the settle window.
    one.write("traces/fresh.json", "fresh");
    one.touch("traces/fresh.json");
    let report = one.sync_at_once().await;
    assert_eq!(report.pushed, 1);
    assert!(report.again(), "{:?}", report.problems);
    assert_eq!(one.sync().await.pushed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_became_a_file_there_gives_way_here() {
    let World { mut one, mut two, .. } = world().await;
    one.write("swap/in", "in");
    one.write("stays", "so that it is not all that is lost");
    one.sync().await;
    two.sync().await;
    std::fs::remove_dir_all(one.root.join("swap")).unwrap();
    one.write("swap", "a file");
    one.sync().await;
    two.write("swap/new", "new here");
    let report = two.sync().await;
    assert_eq!((two.text("swap").unwrap().as_str(), report.conflicts.len()), ("a file", 1));
    let conflict = &two.conflicts()[0];
    assert_eq!(two.conflict_bytes(conflict, "swap/new").unwrap(), b"new here");
}

/// The main path over a store on the wire: there and back, a change by its difference, a race, a
/// conflict.
async fn main_path(remote: Arc<dyn Remote>) {
    let folder = fresh_folder();
    let mut one = Device::joined(folder.path(), "one", Arc::clone(&remote)).await;
    let mut two = Device::joined(folder.path(), "two", remote).await;
    group_of(&one, "first");
    (0..200).for_each(|number| one.write(&format!("traces/{number}.json"), format!("trace {number}")));
    one.sync().await;
    two.sync().await;
    assert_eq!(one.files(), two.files());
    for round in 0..5 {
        group_of(&one, &format!("one {round}"));
        group_of(&two, &format!("two {round}"));
        one.write(&format!("traces/one-{round}.json"), "one");
        two.write(&format!("traces/two-{round}.json"), "two");
        tokio::join!(one.sync(), two.sync());
        for _ in 0..2 {
            one.sync().await;
            two.sync().await;
        }
        assert_eq!(one.files(), two.files(), "round {round}");
    }
    assert_eq!(one.files().len(), 3 + 200 + 10);
    assert_eq!(one.verify().await.faults, vec![]);
    let (left, right) = (one.requests(), two.requests());
    assert!(!one.sync().await.moved() && !two.sync().await.moved());
    assert_eq!((one.requests() - left, two.requests() - right), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_path_holds_over_s3() {
    let server = S3Server::start().await;
    main_path(in_process(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_main_path_holds_over_a_foreign_server() {
    if let Some(remote) = foreign("main").await {
        main_path(remote).await;
    }
}
