//! A vault or a bucket that is missing, emptied, foreign or rolled back: a hold or a plain message,
//! and nothing deleted on either side.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::log::LogError;
use cogzy_engine::plan::Reason;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Advice, SyncError};
use cogzy_testkit::fresh_folder;

use crate::main_path::{World, group_of, world};
use crate::support::away::Away;
use crate::support::device::Device;

#[tokio::test(flavor = "multi_thread")]
async fn emptied_vaults_missing_roots_and_markers_delete_nothing() {
    let World { mut one, mut two, bucket, .. } = world().await;
    (0..30).for_each(|number| one.write(&format!("traces/{number}.json"), format!("trace {number}")));
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    let before = bucket.dump();

    // All files gone, the marker still there.
    let saved = two.files();
    saved.keys().for_each(|path| two.delete(path));
    let report = two.sync().await;
    let reasons: Vec<Reason> = report.holds.iter().map(|hold| hold.reason).collect();
    assert!(reasons.contains(&Reason::MassDelete) && reasons.contains(&Reason::GroupLoss), "{reasons:?}");
    assert_eq!(bucket.dump(), before);
    // Rejected, everything comes back.
    report.holds.iter().for_each(|hold| two.reject(hold.id));
    two.sync().await;
    assert_eq!(two.files(), saved);

    // The marker gone.
    let marker = two.root.join(".cogzy-vault");
    let aside = two.root.with_extension("marker");
    std::fs::rename(&marker, &aside).unwrap();
    let error = two.try_sync().await.unwrap_err();
    assert_eq!(error.advice(), Advice::Stopped);
    std::fs::rename(&aside, &marker).unwrap();

    // The root gone.
    let elsewhere = two.root.with_extension("unmounted");
    std::fs::rename(&two.root, &elsewhere).unwrap();
    let error = two.try_sync().await.unwrap_err();
    assert_eq!(error.advice(), Advice::Stopped);
    assert!(!two.root.exists(), "nothing is made where a disk is to be mounted");
    std::fs::rename(&elsewhere, &two.root).unwrap();
    assert_eq!(two.sync().await.holds.len(), 0);
    assert_eq!(bucket.dump(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_emptied_by_accident_waits_for_approval() {
    let World { mut one, mut two, .. } = world().await;
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    two.write("corpus/nodes.json", "[]");
    two.write("traces/x.json", "goes on");
    let report = two.sync().await;
    assert_eq!(report.holds.len(), 1);
    assert_eq!(report.pushed, 1, "other items go on");
    one.sync().await;
    assert!(one.text("corpus/nodes.json").unwrap().contains("first"));
    // An unrelated save does not change the hold.
    two.write("traces/y.json", "y");
    assert_eq!(two.sync().await.holds[0].id, report.holds[0].id);
    two.approve(report.holds[0].id);
    assert_eq!(two.sync().await.holds.len(), 0);
    // Incoming, the same loss is asked about again.
    let incoming = one.sync().await;
    assert_eq!(incoming.holds.len(), 1);
    one.approve(incoming.holds[0].id);
    one.sync().await;
    assert_eq!(one.text("corpus/nodes.json").unwrap(), "[]");
}

/// Two devices in step with a memory, and their bucket.
async fn in_step(folder: &Path) -> (Device, Device, Arc<Away>) {
    let bucket = Arc::new(Away::default());
    let remote = || Arc::clone(&bucket) as Arc<dyn Remote>;
    let mut one = Device::joined(folder, "one", remote()).await;
    let mut two = Device::joined(folder, "two", remote()).await;
    group_of(&one, "first");
    one.sync().await;
    two.sync().await;
    (one, two, bucket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_counts_that_was_made_while_the_fate_of_a_commit_was_unknown() {
    for keeps in [false, true] {
        let folder = fresh_folder();
        let (mut one, _, bucket) = in_step(folder.path()).await;
        let good = one.files();
        one.write("corpus/nodes.json", "[]");
        let report = one.sync().await;
        one.write("traces/x.json", "goes on");
        bucket.break_with_next_commit(keeps);
        one.try_sync().await.unwrap_err();
        assert!(one.root.join("sync/pending").exists());
        one.reject(report.holds[0].id);
        one.try_sync().await.unwrap_err();
        bucket.set(false);
        let report = one.sync().await;
        assert_eq!((report.holds.len(), report.generation), (0, 2), "{report:?}");
        one.delete("traces/x.json");
        assert_eq!(one.files(), good);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_a_commit_of_unknown_fate_has_carried_out_is_no_answer_to_the_next_question() {
    let folder = fresh_folder();
    let (mut one, mut two, bucket) = in_step(folder.path()).await;
    let delete = async |one: &mut Device| {
        one.delete("corpus/nodes.json");
        let report = one.sync().await;
        one.approve(report.holds[0].id);
        one.sync().await;
    };
    delete(&mut one).await;
    let first = two.sync().await.holds;
    two.reject(first[0].id);
    bucket.break_with_next_commit(true);
    two.try_sync().await.unwrap_err();
    bucket.set(false);
    // The file came back by that commit, and is deleted once more.
    one.sync().await;
    delete(&mut one).await;
    assert_eq!(two.sync().await.holds, first, "it is asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_or_foreign_bucket_stops_the_sync() {
    let World { mut one, bucket, .. } = world().await;
    group_of(&one, "first");
    one.sync().await;
    let files = one.files();
    let objects = bucket.dump();
    objects.keys().for_each(|key| drop(bucket.remove(key)));
    for restart in [false, true] {
        if restart {
            one.restart();
        }
        let error = one.try_sync().await.unwrap_err();
        assert_eq!(error.advice(), Advice::Stopped, "{error}");
        assert_eq!((one.files(), bucket.dump().len()), (files.clone(), 0));
    }
    // Nor does another `init` put anything there: not even when the cache is lost, too.
    one.restart();
    std::fs::remove_file(one.root.join("sync/cache.db")).unwrap();
    let error = one.join(false).await.unwrap_err();
    assert_eq!((error.advice(), bucket.dump().len()), (Advice::Stopped, 0), "{error}");
    let other = MemoryRemote::default();
    let folder = fresh_folder();
    Device::joined(folder.path(), "stranger", Arc::new(other.clone())).await.sync().await;
    one.use_remote(Arc::new(other));
    let error = one.try_sync().await.unwrap_err();
    assert!(
        matches!(error, SyncError::Log(LogError::Foreign { .. } | LogError::RolledBack { .. })),
        "{error}"
    );
    assert_eq!(one.files(), files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_filter_deletes_nothing_and_says_so() {
    let World { mut one, mut two, bucket, .. } = world().await;
    one.write("traces/a.json", "a");
    one.write("notes/n.md", "n");
    one.sync().await;
    two.sync().await;
    let before = bucket.dump();
    two.exclude.push("notes/**".into());
    two.restart();
    let report = two.sync().await;
    assert_eq!(report.holds.len(), 1);
    assert_eq!(report.holds[0].reason, Reason::Filter);
    two.approve(report.holds[0].id);
    assert_eq!(two.sync().await.holds.len(), 0);
    two.write("notes/n.md", "stays here");
    two.sync().await;
    assert_eq!(bucket.dump(), before);
    // The filter goes back: what differs by then is a conflict, and nothing was taken for a
    // deletion.
    two.exclude.pop();
    two.restart();
    let report = two.sync().await;
    assert_eq!((report.conflicts.len(), report.deleted_remote), (1, 0));
    assert_eq!(two.text("notes/n.md").unwrap(), "n");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_a_filter_takes_in_are_synced_like_others_while_it_is_asked_about_those_it_hides() {
    let World { mut one, mut two, .. } = world().await;
    one.write("traces/a.json", "a");
    one.write("logs/a.log", "first");
    one.write("notes/n.md", "n");
    one.sync().await;
    let old = std::mem::replace(&mut one.exclude, vec!["cache/**".into(), "traces/**".into()]);
    let new = one.exclude.clone();
    one.restart();
    let report = one.sync().await;
    assert_eq!((report.holds.len(), report.pushed), (1, 1), "{report:?}");
    two.exclude = vec!["cache/**".into()];
    two.restart();
    one.write("logs/a.log", "second");
    let report = one.sync().await;
    assert_eq!((report.pushed, report.conflicts.len()), (1, 0), "{report:?}");
    two.sync().await;
    assert_eq!(two.text("logs/a.log").as_deref(), Some("second"));
    one.delete("logs/a.log");
    assert_eq!(one.sync().await.deleted_remote, 1);
    assert_eq!((two.sync().await.deleted_local, one.read("logs/a.log")), (1, None));

    // The filter goes back: now the other files are hidden, and wait for a word.
    one.write("logs/a.log", "third");
    one.sync().await;
    one.exclude = old;
    one.restart();
    one.write("logs/a.log", "not to be sent");
    let held = one.sync().await.holds;
    assert_eq!((held.len(), held[0].reason), (1, Reason::Filter));
    assert_eq!(one.sync().await.holds, held, "it goes on waiting");
    two.sync().await;
    assert_eq!(two.text("logs/a.log").as_deref(), Some("third"));
    // Forth again, nothing has happened to them meanwhile.
    one.exclude = new;
    one.restart();
    one.write("logs/a.log", "fourth");
    let report = one.sync().await;
    assert_eq!((report.pushed, report.conflicts.len(), report.holds.len()), (1, 0, 1), "{report:?}");
    one.approve(report.holds[0].id);
    one.sync().await;
    assert_eq!(one.text("logs/a.log").as_deref(), Some("fourth"));
    assert!(!one.sync().await.moved());
}

/// Loses all that a device knows of what was agreed.
fn lose_record(device: &mut Device) {
    device.restart();
    for name in ["cache.db", "cache.db-wal", "cache.db-shm", "last_sync.json"] {
        let _absent = std::fs::remove_file(device.root.join("sync").join(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_had_not_settled_when_the_record_was_lost_is_asked_about_later() {
    let World { mut one, mut two, .. } = world().await;
    one.write("traces/a.json", "first");
    one.sync().await;
    two.sync().await;
    one.write("traces/a.json", "second");
    one.sync().await;
    lose_record(&mut two);
    two.write("traces/a.json", "edited here");
    two.touch("traces/a.json");
    assert_eq!(two.sync_at_once().await.holds.len(), 0, "it has not settled");
    let report = two.sync().await;
    assert_eq!((report.holds.len(), report.conflicts.len()), (1, 0), "{report:?}");
    assert_eq!(two.text("traces/a.json").as_deref(), Some("edited here"));
    two.approve(report.holds[0].id);
    assert_eq!(two.sync().await.conflicts.len(), 1);
    assert_eq!(two.text("traces/a.json").as_deref(), Some("second"));
    // From now on there is a common past: what both add is a conflict, and no question.
    for device in [&mut one, &mut two] {
        device.write("traces/b.json", device.name.clone());
        let report = device.sync().await;
        assert_eq!((report.holds.len(), report.conflicts.len()), (0, usize::from(device.name == "two")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_seen_when_the_record_is_lost_is_asked_about_and_holds_up_no_other() {
    let World { mut one, mut two, .. } = world().await;
    ["a", "b", "c"].iter().for_each(|name| one.write(&format!("traces/{name}.json"), "first"));
    one.sync().await;
    two.sync().await;
    lose_record(&mut two);
    two.delete("traces/a.json");
    std::os::unix::fs::symlink("elsewhere", two.root.join("traces/a.json")).unwrap();
    for round in ["second", "third"] {
        two.write("traces/b.json", round);
        one.write("traces/c.json", round);
        one.sync().await;
        let report = two.sync().await;
        assert_eq!((report.holds.len(), report.pulled), (usize::from(round == "second"), 1), "{report:?}");
        report.holds.iter().for_each(|hold| two.reject(hold.id));
        two.sync().await;
        one.sync().await;
        assert_eq!(one.text("traces/b.json").as_deref(), Some(round));
    }
    two.delete("traces/b.json");
    assert_eq!(two.sync().await.deleted_remote, 1);
    two.delete("traces/a.json");
    two.write("traces/a.json", "seen again");
    let report = two.sync().await;
    assert_eq!((report.holds.len(), report.conflicts.len()), (1, 0), "{report:?}");
    two.reject(report.holds[0].id);
    two.sync().await;
    one.sync().await;
    assert_eq!((one.text("traces/a.json").as_deref(), one.files()), (Some("seen again"), two.files()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_databases_and_records_revert_nothing() {
    let World { mut one, mut two, .. } = world().await;
    one.write("traces/a.json", "a");
    one.write("traces/b.json", "b");
    one.sync().await;
    two.sync().await;
    // The database alone heals by itself.
    two.restart();
    std::fs::write(two.root.join("sync/cache.db"), "no database").unwrap();
    assert!(!two.sync().await.moved());
    // The record too: an unchanged old version is brought up to date, a newer edit waits.
    one.write("traces/a.json", "a, newer");
    one.write("traces/b.json", "b, newer");
    one.sync().await;
    two.write("traces/b.json", "b, edited here");
    lose_record(&mut two);
    let report = two.sync().await;
    assert_eq!(two.text("traces/a.json").unwrap(), "a, newer");
    assert_eq!(two.text("traces/b.json").unwrap(), "b, edited here");
    assert_eq!(report.holds.len(), 1);
    let again = two.sync().await;
    assert_eq!(again.holds, report.holds, "it goes on waiting");
    two.approve(report.holds[0].id);
    let report = two.sync().await;
    assert_eq!((two.text("traces/b.json").unwrap().as_str(), report.conflicts.len()), ("b, newer", 1));
    assert!(!two.sync().await.moved());
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_with_files_on_both_sides_wants_a_word() {
    let World { mut one, bucket, folder, .. } = world().await;
    one.write("traces/a.json", "remote");
    one.write("traces/b.json", "same");
    one.sync().await;
    let mut three = Device::new(folder.path(), "three", Arc::new(bucket.clone()));
    three.write("traces/a.json", "local");
    three.write("traces/b.json", "same");
    three.write("traces/c.json", "only here");
    let joined = three.join(false).await.unwrap();
    let meets = joined.meets.unwrap();
    assert_eq!((meets.same, meets.differing, meets.local_only, meets.remote_only), (1, 1, 1, 0));
    assert!(three.try_sync().await.is_err(), "nothing is joined without the word");
    assert_eq!(three.join(true).await.unwrap().meets, None);
    let report = three.sync().await;
    assert_eq!((report.conflicts.len(), report.holds.len()), (1, 0));
    assert_eq!(three.text("traces/a.json").unwrap(), "remote");
    one.sync().await;
    assert_eq!(one.files(), three.files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_was_rolled_back_can_be_joined_anew() {
    let World { mut one, bucket, .. } = world().await;
    one.write("traces/a.json", "a");
    one.sync().await;
    let old = bucket.dump();
    one.write("traces/a.json", "a, newer");
    one.write("traces/b.json", "b");
    one.sync().await;
    for only_commits in [false, true] {
        for key in bucket
            .dump()
            .keys()
            .filter(|key| !old.contains_key(*key) || (only_commits && key.starts_with("commits/")))
        {
            bucket.remove(key);
        }
        assert_eq!(one.try_sync().await.unwrap_err().advice(), Advice::Stopped);
        one.join(true).await.unwrap();
        let before = one.files();
        let report = one.sync().await;
        assert!(report.holds.is_empty(), "{:?}", report.holds);
        assert_eq!(one.files().len(), before.len(), "joining deletes nothing");
        assert!(!one.sync().await.moved());
        assert_eq!(one.verify().await.faults, vec![]);
    }
}
