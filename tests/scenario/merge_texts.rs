//! Single files that merge line by line: logs that two devices add to, and texts that both edit.

use cogzy_testkit::fresh_folder;

use crate::support::process::Machine;

const LOG: &str = "traces/2026/day.jsonl";
const TEXT: &str = "notes/plan.md";

async fn pair(folder: &std::path::Path) -> [Machine; 2] {
    let pair = ["one", "two"].map(|name| Machine::with_folder(folder, name));
    for machine in &pair {
        machine.good(&["init"]).await;
    }
    pair
}

/// Both sync until nothing moves.
async fn meet([one, two]: &[Machine; 2]) {
    for machine in [one, two, one, two] {
        machine.run(&["sync"]).await;
    }
    assert_eq!(one.files(), two.files());
}

fn text(machine: &Machine, path: &str) -> String {
    String::from_utf8(machine.read(path).unwrap()).unwrap()
}

async fn conflicts(machine: &Machine) -> Vec<serde_json::Value> {
    let listed = machine.good(&["conflicts", "--json"]).await.json();
    listed["conflicts"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_and_texts_that_both_changed_are_merged_unasked() {
    let folder = fresh_folder();
    let pair = pair(folder.path()).await;
    let [one, two] = &pair;
    one.write(TEXT, "# Plan\n\nbuy milk\n\ncall Ada\n\nread\n");
    one.write("traces/old.jsonl", "{\"n\":0}\n");
    meet(&pair).await;

    // A log that both begin, one that both add to, and a text of which each edits its part.
    one.write(LOG, "{\"from\":\"one\"}\n");
    two.write(LOG, "{\"from\":\"two\"}\n");
    one.write("traces/old.jsonl", "{\"n\":0}\n{\"n\":1}\n");
    two.write("traces/old.jsonl", "{\"n\":0}\n{\"n\":2}\n{\"n\":3}\n");
    one.write(TEXT, "# Plan\n\nbuy oats\n\ncall Ada\n\nread\n");
    two.write(TEXT, "# Plan\n\nbuy milk\n\ncall Ada\n\nread\nwrite\n");
    one.sync().await;
    let said = two.good(&["sync"]).await.stdout;
    for path in [LOG, TEXT, "traces/old.jsonl"] {
        assert!(said.contains(&format!("merged: {path}\n")), "{said}");
    }
    meet(&pair).await;
    assert_eq!(text(one, LOG), "{\"from\":\"one\"}\n{\"from\":\"two\"}\n");
    assert_eq!(text(one, "traces/old.jsonl"), "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    assert_eq!(text(one, TEXT), "# Plan\n\nbuy oats\n\ncall Ada\n\nread\nwrite\n");
    assert_eq!(conflicts(one).await, Vec::<serde_json::Value>::new());

    // It is a generation like any other, and is not made again once it is taken back.
    let newest = one.good(&["history", "--json"]).await.json()["generations"][0]["generation"].clone();
    one.good(&["undo", "--yes", &newest.to_string()]).await;
    meet(&pair).await;
    meet(&pair).await;
    let standing = text(one, TEXT) + &text(one, LOG);
    assert!(!(standing.contains("write") && standing.contains("two")), "the undone merge is made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_changed_at_one_place_waits_for_a_person_who_can_still_merge_the_rest() {
    let folder = fresh_folder();
    let mut pair = pair(folder.path()).await;
    let [one, two] = &pair;
    one.write(TEXT, "a\nb\nc\n");
    one.write("traces/log.jsonl", "1\n2\n");
    one.write("notes/other.txt", "a\n");
    meet(&pair).await;
    one.write(TEXT, "a\nB\nc\n");
    two.write(TEXT, "a\nb!\nc\n");
    // Rotated on one side: what is gone there must not come back.
    one.write("traces/log.jsonl", "3\n");
    two.write("traces/log.jsonl", "1\n2\n3\n");
    one.write("notes/other.txt", "a\nb\n");
    two.write("notes/other.txt", "a\nc\n");
    one.sync().await;
    two.good(&["sync"]).await;
    meet(&pair).await;
    assert_eq!((text(two, TEXT), text(two, "traces/log.jsonl")), ("a\nB\nc\n".into(), "3\n".into()));
    let open = conflicts(two).await;
    assert_eq!(open.len(), 3, "{open:?}");
    for conflict in &open {
        let id = conflict["id"].as_str().unwrap();
        let why = match conflict["files"][0]["path"].as_str().unwrap() {
            TEXT => "both versions changed line 2",
            "traces/log.jsonl" => "has changed what was there before",
            _ => "none of `conflict.lines`, `json` and `text` names it",
        };
        two.run(&["conflicts", "resolve", id, "--keep", "merged"]).await.expect(2, &[why]);
        // Of a file that no pattern names it was not tried.
        let shown = two.good(&["conflicts", "show", id]).await.stdout;
        let tried = !why.starts_with("none of");
        assert_eq!(shown.contains("    not merged: ") && shown.contains(why), tried, "{shown}");
    }

    // By hand, with merging off, on the device that has the version.
    for machine in &mut pair {
        machine.set("COGZY_VAULT__CONFLICT__MERGE", "off");
    }
    let [one, two] = &pair;
    one.write("traces/new.jsonl", "one\n");
    two.write("traces/new.jsonl", "two\n");
    one.sync().await;
    two.run(&["sync"]).await;
    let open = conflicts(two).await;
    let new = open.iter().find(|conflict| conflict["files"][0]["path"] == "traces/new.jsonl").unwrap();
    let id = new["id"].as_str().unwrap();
    two.good(&["conflicts", "resolve", id, "--keep", "merged"]).await;
    meet(&pair).await;
    assert_eq!(text(one, "traces/new.jsonl"), "one\ntwo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_texts_are_merged_in_one_generation() {
    let folder = fresh_folder();
    let pair = pair(folder.path()).await;
    let [one, two] = &pair;
    for number in 0..50 {
        one.write(&format!("notes/{number}.md"), format!("{number}\n\nfirst\n\nsecond\n"));
        one.write(&format!("traces/{number}.json"), "{}");
    }
    meet(&pair).await;
    for number in 0..30 {
        one.write(&format!("notes/{number}.md"), format!("{number}\n\nFIRST\n\nsecond\n"));
        two.write(&format!("notes/{number}.md"), format!("{number}\n\nfirst\n\nSECOND\n"));
    }
    // One of them cannot be merged, and holds up none.
    one.write("notes/7.md", "another\n");
    one.sync().await;
    let before = one.sync().await["generation"].as_u64().unwrap();
    let report = two.sync().await;
    assert_eq!(report["merged"].as_array().unwrap().len(), 29, "{report}");
    assert!(report["generation"].as_u64().unwrap() <= before + 2, "a commit lists, and one merges: {report}");
    meet(&pair).await;
    assert_eq!(text(one, "notes/8.md"), "8\n\nFIRST\n\nSECOND\n");
    assert_eq!((text(one, "notes/7.md"), conflicts(one).await.len()), ("another\n".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_is_none_is_named_with_its_key() {
    let folder = fresh_folder();
    let mut machine = Machine::with_folder(folder.path(), "one");
    machine.set("COGZY_VAULT__CONFLICT__TEXT", "[\"notes/{\"]");
    let refused = machine.run(&["init"]).await;
    refused.expect(2, &["conflict.text", "a list of patterns", "notes/{"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_named_merges_key_by_key_and_one_key_that_both_changed_waits() {
    let folder = fresh_folder();
    let pair = pair(folder.path()).await;
    let [one, two] = &pair;
    for machine in &pair {
        machine.configure("[conflict]\njson = [\"settings/*.json\"]\n");
    }
    let (named, clashing, other) = ("settings/app.json", "settings/b.json", "other.json");
    for path in [named, clashing, other] {
        one.write(path, r#"{"font": {"size": 9, "name": "a"}, "dark": false}"#);
    }
    meet(&pair).await;
    for path in [named, other] {
        one.write(path, r#"{"font": {"size": 12, "name": "a"}, "dark": false}"#);
        two.write(path, r#"{"font": {"size": 9, "name": "b"}, "dark": false, "new": 1}"#);
    }
    one.write(clashing, r#"{"font": 1}"#);
    two.write(clashing, r#"{"font": 2}"#);
    one.sync().await;
    two.run(&["sync"]).await;
    meet(&pair).await;
    assert_eq!(text(one, named), r#"{"font": {"size": 12, "name": "b"}, "dark": false, "new": 1}"#);
    assert_eq!(text(one, clashing), r#"{"font": 1}"#);
    let open = conflicts(two).await;
    let mut files: Vec<_> = open.iter().map(|conflict| conflict["item"]["file"].as_str().unwrap()).collect();
    files.sort_unstable();
    assert_eq!(files, [other, clashing], "{open:?}");
}
