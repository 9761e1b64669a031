//! The words, pinned.

use super::*;
use cogzy_client::documents::StatusDocument;

const NOW: u64 = 1_800_000_012_000;

fn status(change: impl FnOnce(&mut serde_json::Value)) -> StatusDocument {
    let mut json = serde_json::json!({
        "schema": 1, "state": "in-sync", "vault": "/home/me/cogzy", "remote": "b2://bucket/memory", "user_id": "default",
        "device": { "id": "0123456789abcdef", "name": "laptop" },
        "daemon": { "running": true, "pid": 1, "since": "2027-01-01T00:00:00Z" },
        "generation": 42, "remote_generation": 42, "last_sync": "2027-01-15T08:00:00Z", "files": 2143, "bytes": 280_000_000,
        "pending": { "up": { "files": 0, "bytes": 0 }, "down": { "files": 0, "bytes": 0 } },
        "progress": null, "conflicts": 0, "holds": [], "errors": [], "content": null,
        "transfer": { "requests": 1, "bytes_up": 2, "bytes_down": 3 },
    });
    change(&mut json);
    serde_json::from_value(json).unwrap()
}

fn told(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let lines = lines(&status(change), NOW);
    let tone = |line: &StyledLine| match line.tone {
        Some(Tone::Good) => "good ",
        Some(Tone::Warning) => "warn ",
        Some(Tone::Bad) => "bad  ",
        None => "     ",
    };
    lines.iter().map(|line| format!("{}{}\n", tone(line), line.text)).collect()
}

const FOOT: &str = "       generation 42 · b2://bucket/memory · /home/me/cogzy\n";

fn expect(change: impl FnOnce(&mut serde_json::Value), words: &str) {
    assert_eq!(told(change), format!("{words}{FOOT}"));
}

#[test]
fn in_sync_is_one_verdict() {
    expect(|_| {}, "good ✓ in sync · 2,143 files · 12 s ago\n");
    expect(
        |status| {
            status["last_sync"] = serde_json::Value::Null;
            status["files"] = 1.into();
        },
        "good ✓ in sync · 1 file · never synced\n",
    );
}

#[test]
fn progress_says_how_far_and_how_long() {
    let progress = |json: &str| {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        move |status: &mut serde_json::Value| {
            status["state"] = "syncing".into();
            status["progress"] = json;
        }
    };
    expect(
        progress(
            r#"{"phase":"upload","files_done":45,"files_total":100,"bytes_done":12400000,"bytes_total":80000000,"seconds_left":171}"#,
        ),
        "warn ⟳ uploading 45/100 · 12.4/80 MB · 3 min left\n",
    );
    expect(
        progress(
            r#"{"phase":"apply","files_done":1,"files_total":2,"bytes_done":0,"bytes_total":0,"seconds_left":null}"#,
        ),
        "warn ⟳ applying 1/2\n",
    );
    expect(|status| status["state"] = "syncing".into(), "warn ⟳ comparing both sides\n");
}

#[test]
fn open_decisions_come_with_their_commands() {
    expect(
        |status| status["conflicts"] = 2.into(),
        "warn ! 2 conflicts kept: `cogzy-vault conflicts`\n       otherwise in sync · 2,143 files · 12 s ago\n",
    );
    let hold = "0123456789abcdef";
    expect(
        |status| {
            status["state"] = "held".into();
            status["conflicts"] = 1.into();
            status["pending"]["up"] = serde_json::json!({ "files": 3, "bytes": 1_200_000 });
            status["holds"] = serde_json::json!([{
                "id": hold, "reason": "group nodes would shrink", "items": ["group:nodes"],
                "next": format!("cogzy-vault approve {hold}"), "approving": "it goes to the backup",
                "reject": format!("cogzy-vault approve --reject {hold}"), "rejecting": "it comes back here",
            }]);
        },
        "warn ! 1 change held, waiting for you · 2,143 files · synced 12 s ago
       to send: 3 files, 1.2 MB
warn ! 1 conflict kept: `cogzy-vault conflicts`
warn ! held: group nodes would shrink
       next: cogzy-vault approve 0123456789abcdef    it goes to the backup
         or: cogzy-vault approve --reject 0123456789abcdef    it comes back here
",
    );
}

#[test]
fn an_error_says_when_it_is_tried_again() {
    expect(
        |status| {
            status["state"] = "error".into();
            status["errors"] = serde_json::json!([
                { "path": null, "message": "the remote refuses", "attempts": 3, "next_retry": "2027-01-15T08:02:12Z",
                  "next": "cogzy-vault doctor" },
                { "path": "traces/a.json", "message": "it cannot be read", "attempts": 1, "next_retry": null,
                  "next": "cogzy-vault sync" },
            ]);
        },
        "bad  ✗ the last sync did not go through · 2,143 files · synced 12 s ago
bad  ✗ the remote refuses
       next: cogzy-vault doctor (tried 3 times, next try in 2 min 0 s)
bad  ✗ traces/a.json: it cannot be read
       next: cogzy-vault sync
",
    );
    expect(
        |status| status["state"] = "offline".into(),
        "warn … offline, the remote is out of reach · 2,143 files · synced 12 s ago\n",
    );
}

#[test]
fn what_is_only_waited_for_is_no_problem() {
    expect(
        |status| {
            status["state"] = "error".into();
            status["errors"] = serde_json::json!([
                { "path": "traces/a.json", "message": "it cannot be read", "attempts": 1, "next_retry": null,
                  "next": "cogzy-vault sync" },
                { "path": "b.md", "message": "b.md: it was written a moment ago", "attempts": 1,
                  "next_retry": "2027-01-15T08:00:12Z", "next": "cogzy-vault sync", "waits": true },
            ]);
        },
        "warn ! 1 problem, told below
       otherwise in sync · 2,143 files · synced 12 s ago
bad  ✗ traces/a.json: it cannot be read
       next: cogzy-vault sync
warn … b.md: it was written a moment ago (next try now)
",
    );
}

#[test]
fn of_many_errors_the_first_are_shown_and_the_others_counted() {
    let errors: Vec<_> = (0..30_001)
        .map(|n| serde_json::json!({ "path": format!("traces/{n}"), "message": "m", "attempts": 1, "next_retry": null, "next": "n" }))
        .collect();
    let text = told(|status| status["errors"] = errors.into());
    assert!(text.lines().count() < 50, "{text}");
    assert!(text.contains("traces/19: m") && !text.contains("traces/20:"), "{text}");
    assert!(text.contains("  and 29,981 more paths: `cogzy-vault status --json` lists them"), "{text}");
}

#[test]
fn an_alarm_stands_above_the_verdict() {
    let alarm = crate::daemon::overdue(0, NOW).unwrap();
    expect(
        |status| {
            status["state"] = "offline".into();
            status["errors"] = serde_json::json!([
                alarm,
                { "path": null, "message": "no route to host", "attempts": 0, "next_retry": null, "next": "cogzy-vault doctor" },
            ]);
        },
        "bad  ✗ nothing has been synced for more than a day
       next: `cogzy-vault doctor` finds most causes
warn … offline, the remote is out of reach · 2,143 files · synced 12 s ago
bad  ✗ no route to host
       next: cogzy-vault doctor
",
    );
}

#[test]
fn without_a_daemon_and_in_a_pause_the_next_command_is_named() {
    expect(
        |status| status["state"] = "stopped".into(),
        "warn ■ no daemon runs · 2,143 files · synced 12 s ago
       next: `cogzy-vault service install`, or `cogzy-vault sync` for one cycle now
",
    );
    expect(
        |status| status["state"] = "paused".into(),
        "warn ‖ paused · 2,143 files · synced 12 s ago\n       next: cogzy-vault resume\n",
    );
}

#[test]
fn the_document_has_the_fields_of_the_interface_in_their_order() {
    let document = status(|status| {
        status["progress"] = serde_json::json!({
            "phase": "scan", "files_done": 1, "files_total": 2, "bytes_done": 3, "bytes_total": 4, "seconds_left": null });
        status["errors"] = serde_json::json!([
            { "path": "a", "message": "m", "attempts": 1, "next_retry": null, "next": "n" }]);
    });
    let expected = concat!(
        r#"{"schema":1,"state":"in-sync","vault":"/home/me/cogzy","remote":"b2://bucket/memory","user_id":"default","#,
        r#""device":{"id":"0123456789abcdef","name":"laptop"},"#,
        r#""daemon":{"running":true,"pid":1,"since":"2027-01-01T00:00:00Z"},"generation":42,"remote_generation":42,"#,
        r#""last_sync":"2027-01-15T08:00:00Z","files":2143,"bytes":280000000,"#,
        r#""pending":{"up":{"files":0,"bytes":0},"down":{"files":0,"bytes":0}},"#,
        r#""progress":{"phase":"scan","files_done":1,"files_total":2,"bytes_done":3,"bytes_total":4,"seconds_left":null},"#,
        r#""conflicts":0,"holds":[],"errors":[{"path":"a","message":"m","attempts":1,"next_retry":null,"next":"n"}],"#,
        r#""content":null,"transfer":{"requests":1,"bytes_up":2,"bytes_down":3}}"#,
    );
    assert_eq!(serde_json::to_string(&document).unwrap(), expected);
}
