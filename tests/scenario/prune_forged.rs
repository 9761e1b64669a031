//! Prune commits that no device made, and devices that keep less than others: nothing goes that
//! anybody keeps.

use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::log::{Prepared, parse_commit_key, parse_pack_key};
use cogzy_engine::model::{Commit, CommitKey, PackId, Prune, VaultId};
use cogzy_engine::remote::Remote;
use cogzy_engine::sync::{Retention, Unwatched};
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, assert_sound, edits, point, prune, version};
use crate::support::device::Device;
use crate::support::forged;

const GRACE: Duration = Duration::from_secs(7 * 24 * 3600);
const NAMES: [&str; 5] = ["a1", "a2", "a3", "a4", "a5"];

/// A device that keeps everything.
async fn keeper(folder: &std::path::Path) -> (Bucket, Device) {
    let bucket = Bucket::new();
    let mut one = bucket.device(folder, "one").await;
    one.retention = Retention { generations: 100, age: 365 * DAY, grace: GRACE };
    one.restart();
    (bucket, one)
}

/// The same with five generations of one file.
async fn world(folder: &std::path::Path) -> (Bucket, Device) {
    let (bucket, mut one) = keeper(folder).await;
    edits(&mut one, "traces/a.json", &NAMES).await;
    bucket.pass(8 * DAY);
    (bucket, one)
}

fn head(bucket: &Bucket) -> CommitKey {
    bucket.remote.dump().keys().filter_map(|key| parse_commit_key(key)).max().unwrap()
}

fn packs(bucket: &Bucket) -> Vec<PackId> {
    bucket.packs().iter().filter_map(|key| parse_pack_key(key)).collect()
}

fn vault(bucket: &Bucket) -> VaultId {
    let header = bucket.remote.dump().into_keys().find(|key| key.starts_with("vault-")).unwrap();
    header["vault-".len()..].trim_end_matches(".json").parse().unwrap()
}

async fn put(bucket: &Bucket, forged: Prepared) -> CommitKey {
    bucket.remote.put(&format!("commits/{}", forged.key), forged.bytes).await.unwrap();
    forged.key
}

pub async fn forge(bucket: &Bucket, change: impl FnOnce(&mut Commit)) -> CommitKey {
    put(bucket, forged::commit(vault(bucket), &[head(bucket)], change)).await
}

/// Prunes again and again, over so long a time that all that may go has gone; then every generation
/// is still there.
async fn nothing_is_lost(bucket: &Bucket, one: &mut Device, folder: &std::path::Path) {
    for _ in 0..4 {
        one.sync().await;
        prune(one).await;
        bucket.pass(8 * DAY);
    }
    assert_sound(one).await;
    let mut new = bucket.device(folder, "new").await;
    new.sync().await;
    assert_eq!(new.read("traces/a.json"), Some(version("a5")), "a new device gets what stands");
    for (generation, name) in (1..).zip(NAMES) {
        one.engine().restore(&point(generation), &[], true, &Unwatched).await.unwrap();
        assert_eq!(one.read("traces/a.json"), Some(version(name)), "generation {generation}");
    }
}

#[tokio::test]
async fn a_sweep_of_what_nobody_marked_takes_nothing() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let swept = packs(&bucket);
    // The horizon of the one is no generation before its own; that of the other is.
    let seq = head(&bucket).seq + 1;
    for horizon in [seq, seq - 1] {
        let swept = swept.clone();
        let prune = Prune { horizon: Some(horizon), swept, ..Prune::default() };
        let forged = forged::commit(vault(&bucket), &[at(&bucket, seq - 1)], |commit| commit.prune = prune);
        put(&bucket, forged).await;
    }
    // And a merge of it with itself, as it were, that says so.
    let parents = [head(&bucket), at(&bucket, 5)];
    let merge = forged::commit(vault(&bucket), &parents, |commit| commit.prune.swept = swept);
    put(&bucket, merge).await;
    nothing_is_lost(&bucket, &mut one, folder.path()).await;
}

/// The commit of a generation.
fn at(bucket: &Bucket, seq: u64) -> CommitKey {
    let keys = bucket.remote.dump().into_keys().filter_map(|key| parse_commit_key(&key));
    keys.filter(|key| key.seq == seq).min().unwrap()
}

#[tokio::test]
async fn a_mark_and_a_sweep_by_a_stranger_delete_nothing_that_is_kept() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let all = packs(&bucket);
    let marked = all.clone();
    forge(&bucket, |commit| commit.prune.marked = marked).await;
    bucket.pass(30 * DAY);
    let horizon = Some(head(&bucket).seq);
    forge(&bucket, |commit| commit.prune = Prune { horizon, swept: all, ..Prune::default() }).await;
    let before = bucket.packs();
    one.sync().await;
    prune(&mut one).await;
    assert!(before.is_subset(&bucket.packs()), "nobody here knew that they were to go");
    nothing_is_lost(&bucket, &mut one, folder.path()).await;
}

#[tokio::test]
async fn a_mark_on_what_is_swept_hides_it_from_nobody() {
    for restarts in [false, true] {
        let folder = fresh_folder();
        let (bucket, mut one) = keeper(folder.path()).await;
        edits(&mut one, "traces/a.json", &NAMES[..4]).await;
        // What stands is not among them, so that nothing else stops a prune.
        let old = packs(&bucket);
        edits(&mut one, "traces/a.json", &NAMES[4..]).await;
        bucket.pass(8 * DAY);
        let marks = |commit: &mut Commit| commit.prune.marked.clone_from(&old);
        forge(&bucket, marks).await;
        one.sync().await;
        bucket.pass(8 * DAY);
        forge(&bucket, |commit| commit.prune.swept.clone_from(&old)).await;
        forge(&bucket, marks).await;
        if restarts {
            one.restart();
        }
        nothing_is_lost(&bucket, &mut one, folder.path()).await;
    }
}

#[tokio::test]
async fn a_repair_puts_the_vault_right_that_a_stranger_swept() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let all = packs(&bucket);
    let marked = all.clone();
    forge(&bucket, |commit| commit.prune.marked = marked).await;
    forge(&bucket, |commit| commit.prune.swept = all).await;
    one.sync().await;
    let (verified, _) = one.engine().repair(&Unwatched).await.unwrap();
    assert!(verified.faults.is_empty(), "{verified:?}");
    let mut new = bucket.device(folder.path(), "new").await;
    new.sync().await;
    assert_eq!(new.files(), one.files());
}

#[tokio::test]
async fn a_repair_sends_again_what_a_stranger_swept_and_deleted() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    one.write("traces/b.json", version("b1"));
    one.sync().await;
    let all = packs(&bucket);
    let marked = all.clone();
    forge(&bucket, |commit| commit.prune.marked = marked).await;
    forge(&bucket, |commit| commit.prune.swept = all).await;
    bucket.packs().iter().for_each(|pack| drop(bucket.remote.remove(pack)));
    one.sync().await;
    // A file that has been edited since then is another one, and the rest does not wait for it.
    std::fs::write(one.root.join("traces/b.json"), "not sent yet").unwrap();
    one.engine().repair(&Unwatched).await.unwrap();
    let mut new = bucket.device(folder.path(), "new").await;
    let _waits = new.try_sync().await;
    assert_eq!(new.read("traces/a.json"), Some(version("a5")));
    assert_eq!(new.read("traces/b.json"), None, "nobody has it any more");
    one.sync().await;
    new.sync().await;
    assert_eq!(new.files(), one.files());
}

#[tokio::test]
async fn a_deep_look_names_old_versions_that_a_stranger_swept_and_deleted() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let newest: Vec<String> = bucket.packs().into_iter().collect();
    let held: Vec<PackId> = packs(&bucket);
    one.write("traces/a.json", version("a6"));
    one.sync().await;
    let marked = held.clone();
    forge(&bucket, |commit| commit.prune.marked = marked).await;
    forge(&bucket, |commit| commit.prune.swept = held).await;
    one.sync().await;
    let before = one.engine().verify(true, &Unwatched).await.unwrap();
    assert!(before.faults.is_empty() && before.lost.is_empty(), "they are still there: {before:?}");
    newest.iter().for_each(|pack| drop(bucket.remote.remove(pack)));
    let found = one.engine().verify(true, &Unwatched).await.unwrap();
    let lost: Vec<(u64, u64)> = found.lost.iter().map(|lost| (lost.from, lost.to)).collect();
    assert_eq!(lost, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)], "{found:?}");
    assert_eq!(found.faults.len(), 5, "it is not sound: {:?}", found.faults);
    assert_eq!(found.faults[0].path, "traces/a.json");
    // Giving it up ends the telling. Nobody waits for a device that has said nothing for a year.
    bucket.pass(400 * DAY);
    one.write("traces/b.json", "b");
    one.restart();
    one.sync().await;
    let found = one.engine().verify(true, &Unwatched).await.unwrap();
    one.engine().give_up(&found.lost, &Unwatched).await.unwrap();
    let after = one.engine().verify(true, &Unwatched).await.unwrap();
    assert!(after.faults.is_empty() && after.lost.is_empty() && after.given_up.len() == 5, "{after:?}");
}

#[tokio::test]
async fn a_deep_look_names_what_only_a_branch_had_and_a_stranger_deleted() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    let before = bucket.packs();
    edits(&mut two, "traces/c.json", &["c1"]).await;
    let only: Vec<String> = bucket.packs().difference(&before).cloned().collect();
    edits(&mut two, "traces/c.json", &["c2"]).await;
    // The commits come late: the other device did not see them.
    let late: Vec<(String, Bytes)> =
        bucket.remote.dump().into_iter().filter(|(key, _)| seq(key).is_some_and(|seq| seq > 5)).collect();
    assert_eq!(late.len(), 2);
    late.iter().for_each(|(key, _)| drop(bucket.remote.remove(key)));
    edits(&mut one, "traces/a.json", &["a6", "a7", "a8"]).await;
    for (key, body) in late {
        bucket.remote.put(&key, body).await.unwrap();
    }
    one.restart();
    one.sync().await;
    assert_eq!(one.read("traces/c.json"), Some(version("c2")), "both branches are merged");
    let swept: Vec<PackId> = only.iter().filter_map(|key| parse_pack_key(key)).collect();
    let marked = swept.clone();
    forge(&bucket, |commit| commit.prune.marked = marked).await;
    forge(&bucket, |commit| commit.prune.swept = swept).await;
    one.sync().await;
    only.iter().for_each(|pack| drop(bucket.remote.remove(pack)));
    let found = one.engine().verify(true, &Unwatched).await.unwrap();
    let lost: Vec<(&str, u64, u64)> =
        found.lost.iter().map(|lost| (lost.path.as_str(), lost.from, lost.to)).collect();
    assert_eq!(lost, [("traces/c.json", 6, 6)], "{found:?}");
    assert_eq!(found.faults.len(), 1, "it is not sound: {:?}", found.faults);
    // Giving it up ends the telling.
    bucket.pass(400 * DAY);
    one.write("traces/b.json", "b");
    one.restart();
    one.sync().await;
    one.engine().give_up(&found.lost, &Unwatched).await.unwrap();
    let after = one.engine().verify(true, &Unwatched).await.unwrap();
    assert!(after.faults.is_empty() && after.lost.is_empty() && after.given_up.len() == 1, "{after:?}");
}

/// Generation of a commit by its key.
fn seq(key: &str) -> Option<u64> {
    Some(parse_commit_key(key)?.seq)
}

#[tokio::test]
async fn a_device_deletes_only_what_it_has_known_to_go_for_a_grace_period() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let mut two = bucket.device(folder.path(), "two").await;
    for device in [&mut one, &mut two] {
        device.retention = Retention { generations: 1, age: Duration::ZERO, grace: GRACE };
        device.restart();
    }
    prune(&mut one).await;
    bucket.pass(8 * DAY);
    // What one knows is lost: what it marked itself a grace period ago is as new to it as to two.
    std::fs::remove_file(one.root.join("sync/marked.json")).unwrap();
    let before = bucket.packs();
    two.sync().await;
    for device in [&mut one, &mut two] {
        let pruned = prune(device).await;
        assert_eq!((pruned.freed.objects, bucket.packs()), (0, before.clone()), "{pruned:?}");
    }
    bucket.pass(6 * DAY);
    assert_eq!(prune(&mut two).await.freed.objects, 0);
    bucket.pass(2 * DAY);
    two.restart();
    assert_eq!(prune(&mut two).await.freed.objects, 4, "it is on its disk");
    assert_sound(&mut one).await;
}

#[tokio::test]
async fn what_one_device_keeps_another_one_does_not_free() {
    let folder = fresh_folder();
    let (bucket, mut one) = world(folder.path()).await;
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    two.retention = Retention { generations: 1, age: Duration::ZERO, grace: GRACE };
    two.restart();
    assert_eq!(prune(&mut two).await.marked.objects, 0, "one keeps all of it");
    // A stranger cannot take that back, and neither does a copy of what it says.
    bucket.remote.put(&announced(&bucket, "0-0"), Bytes::new()).await.unwrap();
    assert_eq!(prune(&mut two).await.marked.objects, 0, "one has said more than that");
    one.retention = Retention { generations: 1, age: Duration::ZERO, grace: GRACE };
    one.restart();
    one.write("traces/b.json", "b");
    one.sync().await;
    prune(&mut one).await;
    two.sync().await;
    assert_eq!(prune(&mut two).await.kept_from, 6, "one keeps less now");
}

/// The name of an announcement of the first device that says something else.
fn announced(bucket: &Bucket, keeps: &str) -> String {
    let names = bucket.remote.dump().into_keys().filter(|key| key.starts_with("devices/"));
    let name = names.into_iter().find(|name| name.contains("keep-100-")).unwrap();
    let (before, after) = name.split_once("keep-").unwrap();
    let after = after.split_once('+').map_or_else(String::new, |(_, rest)| format!("+{rest}"));
    format!("{before}keep-{keeps}{after}")
}
