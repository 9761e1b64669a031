//! A program keeps a copy of the memories, and asks what has changed since: each answer goes on
//! where the one before ended, and what it then has is what the vault has.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::model::Validate;
use cogzy_engine::remote::{MemoryRemote, Remote};
use cogzy_engine::sync::{Generation, MemoriesError, MemoryChanges, Merge, Since, SinceError, SyncError};
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::Memories;
use serde_json::Value;

use super::merge_by_hand::{put, read, ten, write};
use super::prune::{Bucket, DAY, prune};
use crate::support::away::Away;
use crate::support::device::Device;
use crate::support::process::{noise, unit};
use crate::support::sleeper::Sleeper;

/// A program that keeps a copy.
struct App {
    since: Generation,
    knows: Memories,
}

impl App {
    const fn new() -> Self {
        Self { since: Generation::BEGINNING, knows: Memories::new() }
    }

    /// Asks what has changed, page by page. Returns the number of memories that it was told.
    async fn ask(&mut self, device: &mut Device, limit: usize) -> Result<usize, SinceError> {
        let mut asked = question(&self.since, limit);
        let (mut told, mut knows) = (0, self.knows.clone());
        loop {
            let MemoryChanges { until, put, deleted, more } = device.engine().memories_since(&asked).await?;
            told += put.len() + deleted.len();
            assert!(put.len() + deleted.len() <= limit);
            for found in put {
                let entry: Value = serde_json::from_str(&found.entry).unwrap();
                let [vector, again] = found.vector.as_deref().unwrap() else { panic!("{found:?}") };
                assert_eq!(vector, again);
                let memory = (entry["content"].as_str().unwrap().to_owned(), *vector as f32);
                let before = knows.insert(found.id.told().to_owned(), memory.clone());
                assert_ne!(before, Some(memory), "{} was told twice", found.id.told());
            }
            for id in deleted {
                assert!(knows.remove(id.told()).is_some(), "{} was not there", id.told());
            }
            let Some(last) = more else {
                (self.since, self.knows) = (until, knows);
                return Ok(told);
            };
            asked.until.get_or_insert(until);
            asked.after = Some(last);
        }
    }
}

fn question(since: &Generation, limit: usize) -> Since {
    let (group, since) = ("nodes".to_owned(), since.clone());
    Since { group, since, until: None, after: None, limit, vectors: true }
}

async fn two_devices(folder: &Path, remote: &Arc<dyn Remote>) -> (Device, Device) {
    let [mut one, mut two] = ["one", "two"].map(|name| Device::new(folder, name, Arc::clone(remote)));
    for device in [&mut one, &mut two] {
        (device.validate, device.merge) = (Validate::Enforce, Merge::Entries);
        device.join(false).await.unwrap();
        device.enclose_nothing();
    }
    (one, two)
}

/// Changes a few memories of a device as the number tells, and the vector of one alone.
fn change(device: &Device, seed: &str) {
    let mut memories = read(device);
    let number = |what: &str| (unit(&format!("{seed}-{what}")) * 30.0) as u32;
    let (text, vector) = (seed.to_owned(), number("vector") as f32);
    put(&mut memories, &format!("n{}", number("put")), &text, vector);
    // Not the one that has just come: a change has to change something.
    if number("delete") > 15 && number("deleted") != number("put") {
        memories.remove(&format!("n{}", number("deleted")));
    }
    if let Some(memory) = memories.get_mut(&format!("n{}", number("moved"))) {
        memory.1 += 1.0;
    }
    write(device, &memories);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_again_from_where_an_answer_ends_has_what_was_agreed() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let (mut one, mut two) = two_devices(folder.path(), &remote).await;
    let mut app = App::new();
    assert_eq!(app.ask(&mut two, 3).await.unwrap(), 0, "nothing was ever committed");
    write(&one, &ten());
    one.sync().await;
    assert_eq!(app.ask(&mut two, 3).await.unwrap(), 0, "it has not come here yet");
    two.sync().await;
    assert_eq!(app.ask(&mut two, 3).await.unwrap(), 10);
    assert_eq!((&app.knows, app.since.number()), (&ten(), 1));
    for round in 0..24 {
        let seed = format!("round-{round}");
        let is = |what: &str| unit(&format!("{seed}-{what}")) < 0.5;
        if is("one") {
            change(&one, &format!("{seed}-one"));
        }
        one.sync().await;
        let before = app.knows.clone();
        if is("two") {
            change(&two, &format!("{seed}-two"));
            // What is not sent yet is not told, and nothing that was told is taken back by it.
            assert_eq!(app.ask(&mut two, 2).await.unwrap(), 0, "{seed}");
            assert_eq!(app.knows, before, "{seed}");
        }
        two.sync().await;
        if is("restart") {
            two.restart();
        }
        if is("database") {
            two.restart();
            std::fs::remove_file(two.root.join("sync/cache.db")).unwrap();
        }
        app.ask(&mut two, 1 + round % 4).await.unwrap();
        assert_eq!(app.knows, read(&two), "{seed}");
        assert_eq!(app.ask(&mut two, 5).await.unwrap(), 0, "{seed}");
        one.sync().await;
    }
    // Whoever begins anew ends with the same.
    let mut late = App::new();
    late.ask(&mut one, 4).await.unwrap();
    assert_eq!(late.knows, read(&one));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_of_the_same_two_generations_whatever_comes_meanwhile() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let (mut one, _) = two_devices(folder.path(), &remote).await;
    write(&one, &ten());
    one.sync().await;
    let first = one.engine().memories_since(&question(&Generation::BEGINNING, 4)).await.unwrap();
    let mut memories = ten();
    memories.remove("n1");
    put(&mut memories, "n9", "meanwhile", 99.0);
    write(&one, &memories);
    one.sync().await;
    let later = Since {
        until: Some(first.until.clone()),
        after: first.more.clone(),
        ..question(&Generation::BEGINNING, 100)
    };
    let rest = one.engine().memories_since(&later).await.unwrap();
    assert_eq!((rest.until, rest.put.len(), rest.more), (first.until.clone(), 6, None));
    assert!(rest.put.iter().all(|found| !found.entry.contains("meanwhile")), "{:?}", rest.put);
    let next = one.engine().memories_since(&question(&first.until, 100)).await.unwrap();
    assert_eq!((next.put.len(), next.deleted.len()), (1, 1), "{next:?}");
    // Order and spelling are no change.
    let corpus = one.text("corpus/nodes.json").unwrap().replace("\":", "\" : ");
    one.write("corpus/nodes.json", corpus);
    one.sync().await;
    let spelled = one.engine().memories_since(&question(&next.until, 100)).await.unwrap();
    assert!(
        spelled.until != next.until && spelled.put.is_empty() && spelled.deleted.is_empty(),
        "{spelled:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_waits_for_a_person_is_not_told_before_it_is_approved() {
    let folder = fresh_folder();
    let remote: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
    let (mut one, mut two) = two_devices(folder.path(), &remote).await;
    let many: Memories = (0..60_u8).map(|n| (format!("n{n}"), (noted(n), f32::from(n)))).collect();
    write(&one, &many);
    one.sync().await;
    two.sync().await;
    let mut app = App::new();
    app.ask(&mut two, 100).await.unwrap();
    let few: Memories = many.iter().take(5).map(|(id, memory)| (id.clone(), memory.clone())).collect();
    write(&one, &few);
    let held = one.sync().await.holds.remove(0);
    one.approve(held.id);
    one.sync().await;
    let report = two.sync().await;
    let [held] = report.holds.as_slice() else { panic!("it is not held: {report:?}") };
    let known = app.since.clone();
    assert_eq!(app.ask(&mut two, 100).await.unwrap(), 0, "what is held here was told");
    assert_eq!((&app.since, &app.knows), (&known, &many));
    two.approve(held.id);
    two.sync().await;
    assert_eq!(app.ask(&mut two, 100).await.unwrap(), 55);
    assert_eq!(app.knows, few);
}

fn noted(number: u8) -> String {
    noise(&number.to_string(), 40).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_gone(result: Result<MemoryChanges, SinceError>) -> bool {
    matches!(result, Err(SinceError::Gone { .. }))
}

#[tokio::test]
async fn a_generation_that_is_unknown_or_was_pruned_is_told_to_be_gone() {
    let folder = fresh_folder();
    let bucket = Bucket::new();
    let mut one = bucket.device(folder.path(), "one").await;
    let mut memories = ten();
    for round in 0..6_u8 {
        put(&mut memories, "n3", &noted(round), f32::from(round));
        write(&one, &memories);
        one.sync().await;
    }
    let ask = async |device: &mut Device, since: &str| {
        device.engine().memories_since(&question(&since.parse().unwrap(), 100)).await
    };
    assert_eq!(ask(&mut one, "2").await.unwrap().put.len(), 1);
    for unknown in ["7", "99", "3-0000000000000000"] {
        assert!(is_gone(ask(&mut one, unknown).await), "{unknown}");
    }
    for _ in 0..3 {
        bucket.pass(8 * DAY);
        prune(&mut one).await;
    }
    let mut two = bucket.device(folder.path(), "two").await;
    two.sync().await;
    assert!(is_gone(ask(&mut two, "2").await));
    assert_eq!(ask(&mut two, "0").await.unwrap().put.len(), 10, "all memories can be read anew");
    // The device that has its table can tell all the same.
    assert_eq!(ask(&mut one, "2").await.unwrap().put.len(), 1);
    let none = Since { group: "none".to_owned(), ..question(&Generation::BEGINNING, 1) };
    let none = one.engine().memories_since(&none).await;
    assert!(matches!(none, Err(SinceError::Memories(MemoriesError::NoCollection(_)))), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_asks_regularly_needs_no_network_and_leaves_no_files() {
    let folder = fresh_folder();
    let away = Arc::new(Away::default());
    let remote: Arc<dyn Remote> = Arc::clone(&away) as _;
    let (mut one, mut two) = two_devices(folder.path(), &remote).await;
    write(&one, &ten());
    one.sync().await;
    two.sync().await;
    let mut app = App::new();
    app.ask(&mut two, 100).await.unwrap();
    change(&one, "first");
    one.sync().await;
    two.sync().await;
    away.set(true);
    let asked = two.requests();
    app.ask(&mut two, 2).await.unwrap();
    assert_eq!((&app.knows, two.requests()), (&read(&two), asked), "something was asked of the remote");
    // A program writes: what was agreed is here as a table alone.
    let agreed = app.knows.clone();
    change(&two, "unsent");
    assert_eq!(app.ask(&mut two, 100).await.unwrap(), 0);
    // One that never asked has to wait for the network.
    let error = App::new().ask(&mut two, 100).await.unwrap_err();
    let SinceError::Sync(error @ SyncError::Log(_)) = error else { panic!("{error}") };
    assert!(error.to_string().contains("cannot be reached") || error.next().contains("network"), "{error}");
    away.set(false);
    let mut late = App::new();
    late.ask(&mut two, 100).await.unwrap();
    assert_eq!(late.knows, agreed, "it is told what was agreed, and not what is not sent yet");
    let left = std::fs::read_dir(two.root.join("sync/incoming")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "what was fetched to be read is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_generations_of_one_number_each_answer_names_its_own() {
    let (mut outranked, mut rounds) = (0, 0);
    while outranked < 2 && rounds < 40 {
        rounds += 1;
        let folder = fresh_folder();
        let bucket: Arc<dyn Remote> = Arc::new(MemoryRemote::default());
        let line = Arc::new(Sleeper::over(Arc::clone(&bucket)));
        let (mut one, _) = two_devices(folder.path(), &bucket).await;
        let mut two = Device::joined(folder.path(), "three", Arc::clone(&line) as Arc<dyn Remote>).await;
        two.merge = Merge::Entries;
        two.restart();
        write(&one, &ten());
        one.sync().await;
        two.sync().await;
        change(&one, &format!("one-{rounds}"));
        change(&two, &format!("two-{rounds}"));
        line.falls_asleep();
        two.try_sync().await.unwrap_err();
        one.sync().await;
        let [mut ours, mut theirs] = [App::new(), App::new()];
        ours.ask(&mut one, 100).await.unwrap();
        theirs.ask(&mut two, 100).await.unwrap();
        assert_eq!((ours.since.number(), &ours.knows), (2, &read(&one)));
        line.wakes_up();
        // Its commit is sent again: now there are two of that number.
        for _ in 0..3 {
            for (device, app) in [(&mut two, &mut theirs), (&mut one, &mut ours)] {
                let before = app.since.clone();
                device.sync().await;
                let by_number = question(&"2".parse().unwrap(), 100);
                let by_number = device.engine().memories_since(&by_number).await;
                let exact = device.engine().memories_since(&question(&before, 100)).await.unwrap();
                outranked += u32::from(by_number.is_ok_and(|told| before.number() == 2 && told != exact));
                app.ask(device, 100).await.unwrap();
                assert_eq!(app.knows, read(device), "round {rounds}");
            }
        }
        assert_eq!(read(&one), read(&two));
    }
    assert!(outranked >= 2, "no commit lost a race in {rounds} rounds");
}
