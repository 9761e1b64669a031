//! Events and changes, as programs beside the daemon see them.

use std::path::Path;
use std::sync::Arc;

use cogzy_engine::fs::RealFs;
use cogzy_engine::state::Database;
use cogzy_testkit::fresh_folder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, PATIENCE};
use crate::support::socket;

fn hurried(folder: &Path, name: &str) -> Machine {
    let mut machine = Machine::with_folder(folder, name);
    for key in ["POLL_INTERVAL", "POLL_INTERVAL_ACTIVE", "BATCH_INTERVAL"] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), "200ms");
    }
    machine
}

/// `events --follow --json`, line by line.
struct Follower {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    numbers: Vec<u64>,
}

impl Follower {
    fn of(machine: &Machine, since: u64) -> Self {
        let since = since.to_string();
        let mut child =
            machine.command(&["events", "--follow", "--json", "--since", &since]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines, numbers: Vec::new() }
    }

    /// The next event for which `wanted` is true.
    async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let event: Value = serde_json::from_str(&line).unwrap();
                self.numbers.extend(event["id"].as_u64());
                if wanted(&event) {
                    return Some(event);
                }
            }
            None
        });
        found
            .await
            .ok()
            .flatten()
            .unwrap_or_else(|| panic!("it did not come; numbers until then: {:?}", self.numbers))
    }

    async fn change_of(&mut self, path: &str) -> Value {
        let of_path =
            |event: &Value| event["paths"].as_array().is_some_and(|paths| paths.contains(&path.into()));
        self.until(|event| event["event"] == "change" && of_path(event)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_numbered_without_gaps_across_restarts_and_name_what_moved() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| hurried(folder.path(), name));
    one.good(&["init"]).await;
    two.good(&["init"]).await;
    one.run(&["events", "--follow"]).await.expect(6, &["no daemon runs"]);
    let daemon = Daemon::start(&one).await;
    let mut follower = Follower::of(&one, 0);

    one.write("traces/mine.json", "saved here");
    let change = follower.change_of("traces/mine.json").await;
    assert_eq!((&change["device"], &change["files"]), (&"one".into(), &1.into()), "{change}");
    assert!(change["transaction"].is_string() && change["at"].is_string(), "{change}");
    two.sync().await;
    two.write("traces/theirs.json", "saved there");
    two.sync().await;
    let theirs = follower.change_of("traces/theirs.json").await;
    assert_eq!(theirs["device"], "two", "{theirs}");
    assert_eq!(theirs["generation"].as_u64().unwrap(), change["generation"].as_u64().unwrap() + 1);
    // Its own pull is no change that waits.
    socket::until_state(&one, "in-sync").await;

    // Commits made while no daemon ran are announced by the next one, and the numbers go on.
    assert_eq!(daemon.terminate().await.0, Some(0));
    one.write("traces/alone.json", "synced by hand");
    one.sync().await;
    let daemon = Daemon::start(&one).await;
    let last = *follower.numbers.last().unwrap();
    let mut again = Follower::of(&one, last);
    again.change_of("traces/alone.json").await;
    follower.numbers.extend(&again.numbers);
    let gapless: Vec<u64> = (1..=follower.numbers.len() as u64).collect();
    assert_eq!(follower.numbers, gapless);

    // The stream as others read it, resumed; and the page.
    let page =
        socket::ask_with(&one, "GET", "/v1/events?limit=3", "accept: application/json\r\n", "").await.json();
    let numbers: Vec<_> =
        page["events"].as_array().unwrap().iter().map(|event| event["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let refused = socket::ask_with(&one, "GET", "/v1/events", "last-event-id: x\r\n", "").await;
    assert_eq!(refused.status, Some(400), "{refused:?}");
    let listed = one.good(&["events", "--since", &last.to_string(), "--json"]).await.json();
    assert_eq!(listed["events"][0]["id"], last + 1);

    // A follower does not hold up a stop, and learns that no daemon is left.
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_told_once() {
    let folder = fresh_folder();
    let [mut one, two] = ["one", "two"].map(|name| hurried(folder.path(), name));
    one.good(&["init"]).await;
    one.write("traces/a.json", "first");
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    one.write("traces/a.json", "by one");
    one.sync().await;
    two.write("traces/a.json", "by two");
    one.set("COGZY_VAULT__SYNC__RESCAN_INTERVAL", "1s");
    let daemons = [Daemon::start(&one).await, Daemon::start(&two).await];
    for machine in [&one, &two] {
        let mut follower = Follower::of(machine, 0);
        let conflict = follower.until(|event| event["event"] == "conflict").await;
        assert_eq!(
            (&conflict["item"], &conflict["device"]),
            (&"file:traces/a.json".into(), &"two".into()),
            "{conflict}"
        );
        // Some more cycles on both sides.
        machine.write("traces/later.json", &machine.name);
        follower.change_of("traces/later.json").await;
        machine.good(&["sync"]).await;
        let all = machine.good(&["events", "--since", "0", "--json"]).await.json();
        let told = all["events"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["conflict"] == conflict["conflict"]);
        assert_eq!(told.count(), 1, "{all}");
    }
    drop(daemons);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_moved_since_a_generation_is_told_page_by_page() {
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| hurried(folder.path(), name));
    one.good(&["init"]).await;
    for number in 0..25 {
        one.write(&format!("traces/{number:02} é&+#%.json"), format!("{number}"));
    }
    let known = one.sync().await["generation"].as_u64().unwrap();
    two.good(&["init"]).await;
    two.sync().await;
    for number in 5..20 {
        two.write(&format!("traces/{number:02} é&+#%.json"), format!("{number} again"));
    }
    two.delete("traces/24 é&+#%.json");
    two.sync().await;
    let now = one.sync().await["generation"].as_u64().unwrap();
    let since = known.to_string();
    let alone = one.good(&["changes", "--since", &since, "--json"]).await.json();
    let _daemon = Daemon::start(&one).await;
    assert_eq!(one.good(&["changes", "--since", &since, "--json"]).await.json(), alone);
    let changes = alone["changes"].as_array().unwrap();
    let paths: Vec<&str> = changes.iter().map(|moved| moved["path"].as_str().unwrap()).collect();
    let expected = (5..20).chain([24]).map(|number| format!("traces/{number:02} é&+#%.json"));
    assert_eq!(paths, expected.collect::<Vec<_>>());
    assert!(
        changes.iter().all(|moved| moved["device"] == "two" && moved["deleted"] == moved["digest"].is_null())
    );
    assert_eq!(alone["generation"], now);
    let (mut next, mut pages, mut seen) = (format!("/v1/changes?since={since}&limit=3"), 0, Vec::new());
    loop {
        let page = socket::ask(&one, "GET", &next).await.json();
        seen.extend(
            page["changes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|moved| moved["path"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        match page["next"].as_str() {
            Some(further) => next = further.to_owned(),
            None => break,
        }
    }
    assert_eq!((pages, seen), (6, paths.iter().map(|&path| path.to_owned()).collect()));
    let newest = one.good(&["changes", "--since", &now.to_string(), "--json"]).await.json();
    assert_eq!(newest["changes"], serde_json::json!([]));
}

/// The kept events of a kind, after number `since`.
async fn kept(machine: &Machine, since: u64, kind: &str) -> Vec<Value> {
    let all = machine.good(&["events", "--since", &since.to_string(), "--json"]).await.json();
    all["events"].as_array().unwrap().iter().filter(|event| event["event"] == kind).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_remote_that_is_joined_is_no_news() {
    let folder = fresh_folder();
    let [mut one, mut two] = ["one", "two"].map(|name| hurried(folder.path(), name));
    let other = folder.path().canonicalize().unwrap().join("other");
    two.set("COGZY_VAULT__REMOTE", format!("file://{}", other.display()));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write("traces/one.json", "of the first remote");
    let daemon = Daemon::start(&one).await;
    Follower::of(&one, 0).change_of("traces/one.json").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    for round in 0..6 {
        two.write("traces/two.json", format!("round {round}"));
        two.sync().await;
    }
    one.set("COGZY_VAULT__REMOTE", format!("file://{}", other.display()));
    one.good(&["init", "--join"]).await;
    let last = one.good(&["events", "--json"]).await.json()["newest"].as_u64().unwrap();
    one.write("traces/later.json", "of the other remote");
    let daemon = Daemon::start(&one).await;
    let mut follower = Follower::of(&one, last);
    follower.change_of("traces/later.json").await;
    let changes = kept(&one, last, "change").await;
    assert!(changes.len() <= 3, "{changes:#?}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_off_for_days_raises_no_alarm_before_it_has_tried() {
    let folder = fresh_folder();
    let one = hurried(folder.path(), "one");
    one.good(&["init"]).await;
    one.write("traces/a.json", "a");
    one.sync().await;
    let database = Database::open(Arc::new(RealFs), &one.root.join("sync/cache.db")).unwrap();
    database.note("success", 1_000_000).unwrap();
    drop(database);
    let daemon = Daemon::start(&one).await;
    socket::until_state(&one, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    assert_eq!(kept(&one, 0, "error").await, [] as [Value; 0]);
}
