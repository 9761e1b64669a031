//! Objects below `commits/` that no device made: they stop no device, and are reported.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::{CommitId, CommitKey, Digest};
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Retention, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::support::daemon::Daemon;
use crate::support::device::Device as InProcess;
use crate::support::forged;
use crate::support::history::Bucket;
use crate::support::process::Machine;

fn key(seq: u64, name: &str) -> CommitKey {
    CommitKey { seq, id: CommitId::from_bytes(*Digest::of(name.as_bytes()).as_bytes()) }
}

/// Puts garbage, a newer format and an orphan into the bucket. Their names.
async fn put_junk(folder: &Path) -> Vec<String> {
    let vault = Bucket::in_folder(folder).await.log().await.vault().unwrap();
    // Well made, but for its parent, which is not there.
    let orphan = forged::commit(vault, &[key(2, "nobody knows it")], |_| ());
    let junk = [
        (key(2, "garbage"), b"this is no commit".to_vec()),
        (key(9, "newer"), b"CGZcmt\x63\x00\x00{\"zither\": true}".to_vec()),
        (orphan.key, orphan.bytes.to_vec()),
    ];
    let commits = folder.canonicalize().unwrap().join("bucket/users/default/commits");
    for (key, bytes) in &junk {
        std::fs::write(commits.join(key.to_string()), bytes).unwrap();
    }
    junk.iter().map(|(key, _)| format!("commits/{key}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_below_commits_stops_nobody_and_is_told_of() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write("traces/a.json", "a");
    one.sync().await;
    two.sync().await;
    let names = put_junk(folder.path()).await;

    one.write("traces/b.json", "b");
    let report = one.sync().await;
    assert_eq!((&report["pushed"], &report["aside"]["count"]), (&1.into(), &3.into()), "{report}");
    let daemon = Daemon::start(&two).await;
    let report = two.sync().await;
    assert_eq!((two.files(), &report["aside"]["count"]), (one.files(), &3.into()), "{report}");
    let three = Machine::with_folder(folder.path(), "three");
    three.good(&["init", "--join"]).await;
    three.sync().await;
    assert_eq!(three.files(), one.files(), "a new device joins");
    three.write("traces/c.json", "c");
    assert_eq!(three.sync().await["pushed"], 1);
    assert_eq!(one.sync().await["pulled"], 1);

    // Two is asked through its daemon.
    for machine in [&one, &two] {
        let status = machine.run(&["status", "--json"]).await.json();
        let told = status["aside"]["objects"].as_array().unwrap_or_else(|| panic!("{status}"));
        for name in &names {
            let object = told.iter().find(|object| object["key"] == **name);
            let object = object.unwrap_or_else(|| panic!("{name} is not told of: {status}"));
            assert!(object["why"].is_string() && object["since"].is_string(), "{object}");
        }
        assert!(status["aside"]["next"].as_str().unwrap().contains("verify --repair"));
        assert_eq!(status["errors"], serde_json::json!([]), "work goes on");
        let doctor = machine.run(&["doctor"]).await.stdout;
        assert!(names.iter().all(|name| doctor.contains(name)), "{doctor}");
    }
    let words = one.run(&["status"]).await.stdout;
    assert!(words.contains("set aside: 3 objects"), "{words}");
    daemon.terminate().await;
    let words = one.good(&["verify", "--deep"]).await;
    assert!(names.iter().all(|name| words.stdout.contains(name)), "{words:?}");
}

#[tokio::test]
async fn junk_stops_a_prune_for_a_day_and_then_a_repair_ends_the_telling() {
    let (folder, bucket) = (fresh_folder(), MemoryRemote::default());
    let remote = Arc::new(bucket.clone()) as Arc<dyn Remote>;
    let mut one = InProcess::joined(folder.path(), "one", remote).await;
    one.retention = Retention { generations: 1, age: Duration::ZERO, grace: Duration::ZERO };
    one.enclose_nothing();
    for version in ["1", "2"] {
        one.write("traces/a.json", version);
        one.sync().await;
    }
    bucket.put(&format!("commits/{}", key(2, "garbage")), "this is no commit".into()).await.unwrap();
    for dry_run in [true, false] {
        let pruned = one.engine().prune(dry_run, &Unwatched).await.unwrap();
        assert_eq!((pruned.doubtful, pruned.marked.objects, pruned.generation), (1, 0, 2), "{pruned:?}");
    }
    let (verified, repaired) = one.engine().repair(&Unwatched).await.unwrap();
    assert_eq!((verified.aside.len(), repaired.dismissed.len()), (1, 0), "it is too young: {verified:?}");
    one.pass(Duration::from_secs(25 * 3600));
    let pruned = one.engine().prune(false, &Unwatched).await.unwrap();
    assert_eq!((pruned.doubtful, pruned.marked.objects), (0, 1), "{pruned:?}");
    one.restart();
    assert_eq!(one.sync().await.aside.len(), 1, "what is old is told of, too");
    let (verified, repaired) = one.engine().repair(&Unwatched).await.unwrap();
    assert_eq!((verified.aside.len(), repaired.dismissed.len()), (0, 1), "{verified:?}");
    assert_eq!(one.sync().await.aside, []);
    one.restart();
    assert_eq!(one.sync().await.aside, [], "for good");
}
