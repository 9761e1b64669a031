//! Recipes that give other bytes, brought by somebody who knows a content before it is sent: nobody
//! is halted, the commit is named, and who has the file brings the recipe that is true.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::model::{Change, CommitKey, Digest, Entry, Recipe, RecipeOf, VaultPath};
use cogzy_engine::sync::{Unwatched, Weight};
use cogzy_testkit::fresh_folder;

use crate::prune::{Bucket, DAY, edits, prune, version};
use crate::prune_forged::forge;
use crate::support::device::Device;
use crate::support::history;

/// The file that somebody brings, and its content.
const FORGED: &str = "traces/forged.json";
const CONTENT: &str = "b1";

/// Commits a file with this content, and with a recipe of as many bytes that are there.
async fn misname(bucket: &Bucket, path: &str) -> CommitKey {
    let (whole, other) = (version(CONTENT), version("a1"));
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let recipe = state.recipes.get(&Digest::of(&other)).unwrap().clone();
    claim(bucket, path, &whole, recipe).await
}

async fn claim(bucket: &Bucket, path: &str, whole: &[u8], recipe: Recipe) -> CommitKey {
    let digest = Digest::of(whole);
    let entry = Entry { digest, size: whole.len() as u64, mtime_ms: 0, mode: 0o644, rows: None };
    forge(bucket, |commit| {
        commit.changes = vec![Change { path: VaultPath::new(path).unwrap(), entry: Some(entry) }];
        commit.recipes = vec![RecipeOf { digest, recipe }];
    })
    .await
}

/// Two devices that have synced a file, whose chunks somebody else names.
async fn two(folder: &Path) -> (Bucket, [Device; 2]) {
    let bucket = Bucket::new();
    let mut one = bucket.device(folder, "one").await;
    let mut two = bucket.device(folder, "two").await;
    edits(&mut one, "traces/a.json", &["a1"]).await;
    two.sync().await;
    (bucket, [one, two])
}

async fn assert_sound(device: &mut Device) {
    let verified = device.verify().await;
    assert!(verified.faults.is_empty() && verified.lost.is_empty(), "{verified:?}");
}

#[tokio::test]
async fn a_recipe_of_other_bytes_halts_nobody_and_is_named() {
    let folder = fresh_folder();
    let (bucket, [mut one, mut two]) = two(folder.path()).await;
    let forged = misname(&bucket, FORGED).await;

    one.write("traces/c.json", version("c1"));
    let report = one.sync().await;
    assert_eq!((report.pushed, report.pulled), (1, 0), "{report:?}");
    let told = report.problems.iter().find(|problem| problem.path == FORGED).unwrap();
    assert!(told.weight == Weight::Lasting && told.message.contains("other bytes"), "{told:?}");
    let report = two.sync().await;
    assert_eq!((report.pulled, two.read("traces/c.json")), (1, Some(version("c1"))), "{report:?}");
    for device in [&mut one, &mut two] {
        let aside = device.verify().await.aside;
        let said = aside.iter().find(|aside| aside.key == format!("commits/{forged}")).unwrap();
        assert!(said.why.contains("other bytes"), "{said:?}");
    }

    // It is not fetched again and again.
    let before = two.bytes_down();
    two.sync().await;
    let fetched = two.bytes_down() - before;
    assert!(fetched < 10_000, "{fetched} bytes: a recipe that was tried is not tried again");
}

#[tokio::test]
async fn who_has_the_file_brings_the_true_recipe_and_everybody_finds_it() {
    let folder = fresh_folder();
    let (bucket, [mut one, mut two]) = two(folder.path()).await;
    misname(&bucket, FORGED).await;
    for device in [&mut one, &mut two] {
        device.sync().await;
    }
    one.write("traces/b.json", version(CONTENT));
    assert_eq!(one.sync().await.pushed, 1);
    two.sync().await;
    let mut three = bucket.device(folder.path(), "three").await;
    for device in [&mut two, &mut three, &mut one] {
        let report = device.sync().await;
        assert!(report.problems.is_empty(), "{report:?}");
        for path in ["traces/b.json", FORGED] {
            assert_eq!(device.read(path), Some(version(CONTENT)), "{path}");
        }
    }

    // Long after, when no generation of that time is kept, the state still has the wrong one.
    for at in 0..6 {
        bucket.pass(8 * DAY);
        one.write("traces/a.json", version(&format!("a{at}")));
        one.sync().await;
        prune(&mut one).await;
    }
    let mut four = bucket.device(folder.path(), "four").await;
    four.sync().await;
    assert_eq!(four.files(), one.files(), "no prune took what the true recipe names");
    assert_sound(&mut four).await;
}

#[tokio::test]
async fn a_recipe_of_chunks_that_are_nowhere_is_outdone_too() {
    let folder = fresh_folder();
    let (bucket, [mut one, mut two]) = two(folder.path()).await;
    let whole = version(CONTENT);
    let state = history::Bucket::of(Arc::new(bucket.remote.clone())).head().await;
    let mut recipe = state.recipes.get(&Digest::of(&version("a1"))).unwrap().clone();
    recipe.parts[0].id = Digest::of(b"nowhere");
    claim(&bucket, FORGED, &whole, recipe).await;
    two.sync().await;
    one.write("traces/b.json", whole.clone());
    assert_eq!(one.sync().await.pushed, 1);
    two.sync().await;
    assert_eq!((two.read("traces/b.json"), two.read(FORGED)), (Some(whole.clone()), Some(whole)));
}

#[tokio::test]
async fn a_device_that_had_the_very_file_finds_the_wrong_recipe_and_sends_its_own() {
    let folder = fresh_folder();
    let (bucket, [mut one, mut two]) = two(folder.path()).await;
    // It stands here, and is said to be in the bucket before it was sent.
    one.write(FORGED, version(CONTENT));
    misname(&bucket, FORGED).await;
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read(FORGED), None);

    let verified = one.verify().await;
    let fault = verified.faults.iter().find(|fault| fault.path == FORGED).unwrap();
    assert!(fault.message.contains("other bytes"), "{fault:?}");
    let (after, repaired) = one.engine().repair(&Unwatched).await.unwrap();
    assert!(after.faults.is_empty() && repaired.sent == [FORGED], "{after:?} {repaired:?}");
    two.sync().await;
    assert_eq!(two.read(FORGED), Some(version(CONTENT)));
    let (_, again) = one.engine().repair(&Unwatched).await.unwrap();
    assert!(again.sent.is_empty(), "{again:?}");
}
