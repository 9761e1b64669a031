//! Programs write memories, not files: over the socket, and with `LocalVault`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cogzy_client::changes::memories_since;
use cogzy_client::local_vault::LocalVault;
use cogzy_client::socket::ClientError;
use cogzy_testkit::fresh_folder;
use cogzy_testkit::memories::{self, Memories};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::merge_by_hand::{lay, ten};
use crate::support::daemon::Daemon;
use crate::support::process::{Machine, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

pub(super) async fn kept(folder: &Path) -> (Machine, Daemon) {
    let mut machine = Machine::with_folder(folder, "one");
    for (key, value) in [("POLL_INTERVAL", "1s"), ("SETTLE", "100ms"), ("BATCH_INTERVAL", "100ms")] {
        machine.set(&format!("COGZY_VAULT__SYNC__{key}"), value);
    }
    machine.good(&["init"]).await;
    lay(&machine, &ten());
    machine.sync().await;
    let daemon = Daemon::start(&machine).await;
    (machine, daemon)
}

pub(super) async fn post(machine: &Machine, request: Value) -> (Option<u16>, Value) {
    let header = "content-type: application/json\r\n";
    let answer = socket::ask_with(machine, "POST", "/v1/transactions", header, &request.to_string()).await;
    (answer.status, answer.json())
}

async fn find(machine: &Machine, query: &str) -> Value {
    let answer = socket::ask(machine, "GET", &format!("/v1/memories?group=nodes&{query}")).await;
    assert_eq!(answer.status, Some(200), "{answer:?}");
    answer.json()["memories"].clone()
}

pub(super) fn shown(machine: &Machine) -> Memories {
    let file = |path: &str| machine.read(path).unwrap();
    let index = file("indexes/nodes.index");
    memories::read(&file("corpus/nodes.json"), &file("vectors/nodes.npy"), Some(&index))
}

#[tokio::test(flavor = "multi_thread")]
async fn memories_are_written_over_the_socket_and_reach_the_other_devices_with_vectors_and_index() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let entry = json!({"id": "new", "content": "over the socket"});
    let bytes: Vec<u8> = [9.0_f32; 2].iter().flat_map(|number| number.to_le_bytes()).collect();
    assert_eq!(bytes, [0, 0, 16, 65, 0, 0, 16, 65]);
    let request = json!({
        "transaction_id": "one", "source_id": "test",
        "puts": [
            {"group": "nodes", "entry": entry, "vector": {"base64": "AAAQQQAAEEE="}},
            {"group": "nodes", "entry": {"id": "n1", "content": "changed"}, "vector": [8.0, 8.0]},
        ],
        "deletes": [{"group": "nodes", "id": "n2"}],
    });
    let (status, done) = post(&machine, request.clone()).await;
    assert_eq!((status, done["files"].as_object().unwrap().len()), (Some(200), 3), "{done}");
    assert_eq!(post(&machine, request).await, (status, done), "asked twice, done once");
    let mut expected = ten();
    expected.insert("new".to_owned(), ("over the socket".to_owned(), 9.0));
    expected.insert("n1".to_owned(), ("changed".to_owned(), 8.0));
    expected.remove("n2");
    assert_eq!(shown(&machine), expected);
    machine.good(&["sync"]).await;
    let other = Machine::with_folder(folder.path(), "other");
    other.good(&["init"]).await;
    other.sync().await;
    assert_eq!(shown(&other), expected);
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_that_was_read_before_somebody_changed_it_is_refused_with_what_stands_there() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let found = find(&machine, "ids=n3,nobody,n1&vectors=true").await;
    let ids: BTreeSet<&str> = found.as_array().unwrap().iter().filter_map(|one| one["id"].as_str()).collect();
    assert_eq!(ids, ["n1", "n3"].into());
    let n3 = found.as_array().unwrap().iter().find(|one| one["id"] == "n3").unwrap().clone();
    assert_eq!((&n3["entry"]["own"], &n3["vector"]), (&json!({"of": "the app"}), &json!([3.0, 3.0])));
    // A program without the socket.
    let vault = LocalVault::open(&machine.root).unwrap();
    vault.upsert("nodes", &json!({"id": "n3", "content": "meanwhile"}), None).unwrap();
    let write = |id: &str, expect: Value| {
        let put = json!([{"group": "nodes", "entry": {"id": "n3", "content": "mine"}}]);
        json!({"transaction_id": id, "puts": put, "expect": [expect]})
    };
    let expect =
        json!({"group": "nodes", "id": "n3", "field": "content", "value_digest": n3["fields"]["content"]});
    let (status, refused) = post(&machine, write("two", expect)).await;
    assert_eq!((status, &refused["code"]), (Some(409), &json!("FIELD_CONFLICT")), "{refused}");
    let told = (&refused["id"], &refused["field"], &refused["current"]);
    assert_eq!(told, (&json!("n3"), &json!("content"), &json!("meanwhile")));
    let now = find(&machine, "id=n3").await[0].clone();
    assert_eq!((&now["entry"]["content"], now.get("vector")), (&json!("meanwhile"), None));
    let expect = json!({"group": "nodes", "id": "n3", "value_digest": now["digest"]});
    assert_eq!(post(&machine, write("three", expect)).await.0, Some(200));
    assert_eq!(shown(&machine)["n3"], ("mine".to_owned(), 3.0));
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_makes_no_sense_is_refused_and_says_what_to_do() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let put = |group: &str, entry: Value, vector: Value| json!({"transaction_id": "t", "puts": [{"group": group, "entry": entry, "vector": vector}]});
    for (request, words) in [
        (
            put("none", json!({"id": "a"}), json!(null)),
            "there is no group \"none\": this vault has nodes, episodes",
        ),
        (put("nodes", json!({"content": "a"}), json!(null)), "missing field `id`"),
        (put("nodes", json!({"id": 1.5}), json!(null)), "expected a text or a whole number"),
        (put("nodes", json!({"id": "a"}), json!(null)), "it is new and needs a vector"),
        (put("nodes", json!({"id": "a"}), json!([1.0])), "its vector has 1 elements, and the others 2"),
        (put("nodes", json!({"id": "a"}), json!({"base64": "?"})), "is no base64"),
    ] {
        let before = shown(&machine);
        let (status, refused) = post(&machine, request).await;
        assert_eq!((status, shown(&machine)), (Some(422), before), "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{words}: {refused}");
    }
    let empty = socket::ask(&machine, "GET", "/v1/memories?group=nodes").await;
    assert_eq!(empty.status, Some(400));
    assert_eq!(daemon.terminate().await.0, Some(0));
}

/// Posts requests at the same time; the answers in their order.
async fn post_all(machine: &Machine, requests: Vec<Value>) -> Vec<(Option<u16>, Value)> {
    join_all(requests.into_iter().map(|request| post(machine, request))).await
}

fn put(id: &str, vector: f64) -> Value {
    json!([{"group": "nodes", "entry": {"id": id, "content": id}, "vector": [vector, vector]}])
}

#[tokio::test(flavor = "multi_thread")]
async fn many_programs_that_write_at_once_are_each_answered_by_itself() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let stale = find(&machine, "id=n3").await[0]["digest"].clone();
    let changed = json!({"transaction_id": "before", "puts": [{"group": "nodes", "entry": {"id": "n3", "content": "meanwhile"}}]});
    assert_eq!(post(&machine, changed).await.0, Some(200));
    let write = |number: usize| match number {
        // One was made for another state, one makes no sense, and one is asked for twice.
        7 => json!({"transaction_id": "t7", "puts": put("new-7", 7.0),
                    "expect": [{"group": "nodes", "id": "n3", "value_digest": stale}]}),
        8 => {
            json!({"transaction_id": "t8", "puts": [{"group": "nodes", "entry": {"id": "new-8"}, "vector": [1.0]}]})
        }
        other => json!({"transaction_id": format!("t{other}"), "puts": put(&format!("new-{other}"), 20.0)}),
    };
    let mut requests: Vec<Value> = (0..40).map(write).collect();
    requests.push(write(0));
    let answers = post_all(&machine, requests.clone()).await;
    for (number, (status, answer)) in answers.iter().enumerate() {
        let expected = match number {
            7 => 409,
            8 => 422,
            _ => 200,
        };
        assert_eq!(*status, Some(expected), "{number}: {answer}");
    }
    assert_eq!((&answers[7].1["code"], &answers[7].1["id"]), (&json!("FIELD_CONFLICT"), &json!("n3")));
    assert_eq!(answers[40], answers[0]);
    let mut expected = ten();
    expected.insert("n3".to_owned(), ("meanwhile".to_owned(), 3.0));
    for number in (0..40).filter(|number| ![7, 8].contains(number)) {
        let id = format!("new-{number}");
        expected.insert(id.clone(), (id, 20.0));
    }
    assert_eq!(shown(&machine), expected);
    // Each name is known, also to the next daemon.
    assert_eq!(daemon.terminate().await.0, Some(0));
    let daemon = Daemon::start(&machine).await;
    let again = post_all(&machine, requests[..7].to_vec()).await;
    assert_eq!(again, answers[..7]);
    assert_eq!(shown(&machine), expected);
    assert_eq!(daemon.terminate().await.0, Some(0));
}

async fn ask(machine: &Machine, resource: &str) -> (Option<u16>, Value) {
    let answer = socket::ask(machine, "GET", resource).await;
    (answer.status, answer.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_follows_the_memories_over_the_socket() {
    let folder = fresh_folder();
    let (machine, daemon) = kept(folder.path()).await;
    let (status, first) = ask(&machine, "/v1/memories?group=nodes&since=0&limit=6&vectors=true").await;
    assert_eq!((status, &first["generation"]), (Some(200), &json!(1)), "{first}");
    assert_eq!(first["memories"].as_array().unwrap().len(), 6);
    assert_eq!(first["memories"][0]["vector"].as_array().unwrap().len(), 2);
    let (status, rest) = ask(&machine, first["next"].as_str().unwrap()).await;
    assert_eq!((status, &rest["until"], &rest["next"]), (Some(200), &first["until"], &Value::Null), "{rest}");
    assert_eq!(rest["memories"].as_array().unwrap().len(), 4);
    let request = json!({"transaction_id": "t", "deletes": [{"group": "nodes", "id": "n2"}],
        "puts": [{"group": "nodes", "entry": {"id": 7, "content": "new"}, "vector": [7.0, 7.0]}]});
    assert_eq!(post(&machine, request).await.0, Some(200));
    machine.good(&["sync"]).await;
    let mut knows = BTreeMap::new();
    let path = socket::path_of(&machine);
    let since = first["until"].as_str().unwrap();
    let until = memories_since(&path, "nodes", since, true, |page| {
        for memory in page.memories {
            knows.insert(memory.id.0.told().to_owned(), memory.vector);
        }
        for id in page.deleted {
            knows.insert(id.0.told().to_owned(), None);
        }
    });
    let until = until.await.unwrap();
    assert_eq!(until.0.number(), 2);
    let expected = [("7".to_owned(), Some(vec![7.0, 7.0])), ("n2".to_owned(), None)];
    assert_eq!(knows, expected.into());
    let (status, gone) = ask(&machine, "/v1/memories?group=nodes&since=99").await;
    let told = (status, &gone["code"], &gone["generation"], &gone["next"]);
    let next = json!("read all memories anew: ask with since=0");
    assert_eq!(told, (Some(410), &json!("GENERATION_GONE"), &json!("99"), &next), "{gone}");
    let gone = memories_since(&path, "nodes", "99", false, |_| {}).await.unwrap_err();
    assert!(gone.is_gone() && matches!(gone, ClientError::Refused(_)), "{gone}");
    for (query, words) in [
        ("since=0&ids=n1", "not both"),
        ("limit=3&ids=n1", "go with since=GENERATION"),
        ("since=seven", "is no generation"),
        ("since=0&after=n1", "expected an id as JSON"),
    ] {
        let (status, refused) = ask(&machine, &format!("/v1/memories?group=nodes&{query}")).await;
        assert_eq!(status, Some(400), "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(words), "{words}: {refused}");
    }
    let (status, refused) = ask(&machine, "/v1/memories?group=none&since=0").await;
    assert_eq!(status, Some(422), "{refused}");
    assert_eq!(daemon.terminate().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_is_told_without_a_network_and_what_is_not_here_is_waited_for() {
    let folder = fresh_folder();
    let mut server = S3Server::start().await;
    let machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    let mut memories = ten();
    for content in ["first", "second"] {
        // More than stands in a commit, which this device keeps.
        let content = format!("{content} {:?}", noise(content, 9000));
        memories.insert("n1".to_owned(), (content, 1.0));
        lay(&machine, &memories);
        machine.sync().await;
    }
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    let asked = server.requests("GET") + server.requests("HEAD");
    let (status, all) = ask(&machine, "/v1/memories?group=nodes&since=0").await;
    assert_eq!((status, all["memories"].as_array().unwrap().len()), (Some(200), 10), "{all}");
    assert_eq!(server.requests("GET") + server.requests("HEAD"), asked, "it asked the bucket");
    server.go_away().await;
    let until = all["until"].as_str().unwrap();
    let (status, none) = ask(&machine, &format!("/v1/memories?group=nodes&since={until}")).await;
    assert_eq!((status, &none["memories"]), (Some(200), &json!([])), "{none}");
    // The old file was in that generation alone.
    let (status, waits) = ask(&machine, "/v1/memories?group=nodes&since=1").await;
    assert_eq!((status, &waits["advice"]), (Some(503), &json!("offline")), "{waits}");
    let (status, again) = ask(&machine, "/v1/memories?group=nodes&since=0").await;
    assert_eq!((status, &again), (Some(200), &all));
    assert_eq!(daemon.terminate().await.0, Some(0));
}
