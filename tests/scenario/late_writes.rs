//! A program writes on into a file of a memory after a newer one has taken its place.
//!
//! What it wrote is kept, and the memory's other files of that moment are not known. So no decision
//! and no merge may put that one file among files of another state.

use std::fs::File;
use std::io::Write;

use cogzy_engine::model::Validate;
use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::next_steps::obey;
use crate::support::process::Machine;

const CORPUS: &str = "corpus/nodes.json";

fn save(machine: &Machine, version: &str) {
    machine.write(CORPUS, format!("corpus {version}\n"));
    machine.write("vectors/nodes.npy", format!("vectors {version}"));
}

/// Two machines with a memory whose corpus was written to on the second after it had been replaced
/// there, and that conflict.
async fn written_late(folder: &std::path::Path) -> ([Machine; 2], Value) {
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder, name));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
        machine.groups(Validate::Off);
        // As for logs: lines of both sides may stand one after the other.
        machine.configure("[conflict]\nlines = [\"corpus/*.json\"]\n");
    }
    save(&one, "A");
    one.sync().await;
    two.sync().await;
    let mut open = File::options().append(true).open(two.root.join(CORPUS)).unwrap();
    save(&one, "B");
    one.sync().await;
    two.sync().await;
    assert_eq!(two.read(CORPUS).unwrap(), b"corpus B\n");
    open.write_all(b"written late\n").unwrap();
    drop(open);
    // A run that waits until this has settled looks at what was displaced when that has, too.
    two.write("traces/later.json", "{}");
    for machine in [&two, &two, &one] {
        machine.run(&["sync"]).await;
    }
    let listed = two.good(&["conflicts", "--json"]).await.json();
    let conflicts = listed["conflicts"].as_array().unwrap().clone();
    assert_eq!(conflicts.len(), 1, "{listed}");
    ([one, two], conflicts[0].clone())
}

fn is_whole(machine: &Machine) {
    let text = |path: &str| String::from_utf8(machine.read(path).unwrap()).unwrap();
    assert_eq!((text(CORPUS).as_str(), text("vectors/nodes.npy").as_str()), ("corpus B\n", "vectors B"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_of_a_memory_is_never_put_back_alone() {
    let folder = fresh_folder();
    let ([one, two], conflict) = written_late(folder.path()).await;
    assert_eq!((&conflict["item"]["file"], &conflict["part_of"]), (&CORPUS.into(), &"nodes".into()));
    let id = conflict["id"].as_str().unwrap();
    let shown = two.good(&["conflicts", "show", id]).await.stdout;
    assert!(
        shown.contains("not put back: it would stand without the other files of the memory \"nodes\""),
        "{shown}"
    );
    for machine in [&two, &one] {
        for keep in ["aside", "merged"] {
            let refused = machine.run(&["conflicts", "resolve", id, "--keep", keep, "--yes"]).await;
            refused.expect(2, &[CORPUS, "without the other files of group nodes", "--keep both"]);
            is_whole(machine);
        }
    }
    // A command that offers what is refused would be a trap.
    for offered in two.good(&["conflicts", "show", id]).await.stderr.lines() {
        assert!(!offered.contains("--keep this") && !offered.contains("--keep merged"), "{offered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_late_can_be_kept_beside_the_memory() {
    let folder = fresh_folder();
    let ([one, two], conflict) = written_late(folder.path()).await;
    let id = conflict["id"].as_str().unwrap();
    let refused = two.run(&["conflicts", "resolve", id, "--keep", "aside", "--json"]).await.json();
    let next = refused["error"]["next"].as_str().unwrap().replace("ID", id);
    assert_eq!(obey(&two, &next).await[0].code, Some(0), "{refused}");
    one.sync().await;
    for machine in [&one, &two] {
        is_whole(machine);
        let beside = machine.files().into_keys().find(|path| path.starts_with("corpus/nodes (")).unwrap();
        assert_eq!(machine.read(&beside).unwrap(), b"corpus A\nwritten late\n");
    }
}

/// What is discarded with a decided conflict is not looked at again.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_another_device_has_decided_stays_until_its_loser_was_looked_at() {
    const NOTE: &str = "traces/note.json";
    let folder = fresh_folder();
    let [one, two] = ["one", "two"].map(|name| Machine::with_folder(folder.path(), name));
    for machine in [&one, &two] {
        machine.good(&["init"]).await;
    }
    one.write(NOTE, "A");
    one.sync().await;
    two.sync().await;
    one.write(NOTE, "B");
    one.sync().await;
    two.write(NOTE, "C");
    let mut open = File::options().append(true).open(two.root.join(NOTE)).unwrap();
    let turn = File::create(two.root.join("sync/trash.lock")).unwrap();
    turn.lock().unwrap(); // Another program looks at the trash, and takes its time.
    two.run(&["sync"]).await;
    one.sync().await;
    one.good(&["conflicts", "resolve", "--all", "--keep", "stands"]).await;
    two.run(&["sync"]).await;
    open.write_all(b", written late").unwrap();
    drop((open, turn));
    for version in ["1", "2", "3"] {
        // A run that waits until this has settled looks at what was displaced when that has, too.
        two.write("traces/later.json", version);
        two.run(&["sync"]).await;
    }
    two.good(&["conflicts", "resolve", "--all", "--keep", "both"]).await;
    let beside = two.files().into_keys().find(|path| path.starts_with("traces/note (")).unwrap();
    assert_eq!(two.read(&beside).unwrap(), b"C, written late");
    assert_eq!(two.read(NOTE).unwrap(), b"B");
}
