//! The JSON of each document, pinned: a document that is read and written again is the same to the
//! byte. Scripts and other programs rely on every name here.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Pins `json` as the whole form of a `T`.
fn pin<T: Serialize + DeserializeOwned>(json: &str) {
    let document: T = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    assert_eq!(serde_json::to_string(&document).unwrap(), json);
}

const ID: &str = "4444444444444444444444444444444444444444444444444444444444444444";
const HOLD: &str = r#"{"id":"0123456789abcdef","reason":"deleted here","items":["group:nodes"],"next":"cogzy-vault approve 0123456789abcdef"}"#;
const ERROR: &str = r#"{"path":"traces/a.json","message":"it is busy","attempts":2,"next_retry":null,"next":"cogzy-vault sync"}"#;
const PROGRESS: &str =
    r#"{"phase":"upload","files_done":1,"files_total":2,"bytes_done":3,"bytes_total":4,"seconds_left":5}"#;
const LEFT_OUT: &str = r#""group":"nodes","left_out":["indexes/clusters.json"],"since":"2027-01-01T00:00:00Z","rebuild":{"state":"failed","at":"2027-01-01T00:01:00Z","last_line":"no module named faiss"}"#;
const SYNC: &str = r#"{"schema":1,"generation":7,"pushed":1,"pulled":2,"deleted_local":3,"deleted_remote":4,"conflicts":["4444444444444444444444444444444444444444444444444444444444444444"],"holds":[],"problems":[{"path":"traces/a.json","message":"it is busy","weight":"passing"}],"transfer":{"requests":5,"bytes_up":6,"bytes_down":7}}"#;

#[test]
fn a_status_document_keeps_its_form() {
    let status = |paused: &str, progress: &str, error: &str| {
        format!(
            concat!(
                r#"{{"schema":1,"state":"in-sync","vault":"/v","remote":"b2://bucket","user_id":"me","#,
                r#""device":{{"id":"0123456789abcdef","name":"laptop"}},"daemon":{{"running":true,"pid":1,"#,
                r#""since":"2027-01-01T00:00:00Z","version":"0.1.0"}},"generation":42,"remote_generation":43,"#,
                r#""last_sync":"2027-01-15T08:00:00Z",{}"files":2,"bytes":3,"#,
                r#""pending":{{"up":{{"files":4,"bytes":5}},"down":{{"files":6,"bytes":7}}}},"#,
                r#""progress":{},"conflicts":8,"holds":[{}],"errors":[{}],"content":null,"#,
                r#""transfer":{{"requests":9,"bytes_up":10,"bytes_down":11}}}}"#
            ),
            paused, progress, HOLD, error
        )
    };
    pin::<StatusDocument>(&status("", "null", ERROR));
    let alarm = ERROR.replace('}', r#","alarm":true}"#);
    pin::<StatusDocument>(&status(r#""paused_until":"2027-01-16T08:00:00Z","#, PROGRESS, &alarm));
}

#[test]
fn a_verdict_has_one_name() {
    for state in State::ALL {
        assert_eq!(serde_json::to_value(state).unwrap(), state.name());
    }
}

#[test]
fn a_health_document_keeps_its_form() {
    pin::<HealthDocument>(r#"{"ok":true,"silent_s":3,"state":"offline","last_sync":null}"#);
}

#[test]
fn a_sync_document_keeps_its_form() {
    pin::<SyncDocument>(SYNC);
}

#[test]
fn a_plan_document_keeps_its_form() {
    let entry = format!(r#"{{"digest":"{ID}","size":1,"mtime_ms":2,"mode":384}}"#);
    let plan = format!(
        concat!(
            r#"{{"steps":[{{"item":{{"group":"nodes"}},"kind":"push","files":[{{"path":"a","from":null,"to":{entry}}}]}},"#,
            r#"{{"item":{{"file":"b"}},"kind":"conflict","conflict":{{"id":"{id}","item":{{"file":"b"}},"#,
            r#""files":[{{"path":"b","entry":null}}],"origin":null}},"files":[]}},"#,
            r#"{{"item":{{"file":"c"}},"kind":"keep-local","files":[]}}],"#,
            r#""waiting":[{{"item":{{"file":"d"}},"why":"it is busy"}}],"holds":[{{"id":"0123456789abcdef","#,
            r#""reason":"group-loss","direction":"outgoing","items":[{{"group":"nodes"}}]}}]}}"#
        ),
        entry = entry,
        id = ID
    );
    pin::<PlanDocument>(&plan);
    pin::<SyncDocument>(&format!(r#"{},"plan":{plan}}}"#, SYNC.strip_suffix('}').unwrap()));
}

#[test]
fn a_content_document_keeps_its_form() {
    pin::<ContentDocument>(concat!(
        r#"{"nodes":2,"episodes":null,"embeddings":[{"path":"vectors/nodes.npy","rows":2,"dim":4,"dtype":"<f4"}],"#,
        r#""indexes":[{"path":"indexes/faiss.index","family":"Flat","rows":2,"dim":4,"bytes":99}]}"#
    ));
}

#[test]
fn a_document_of_another_schema_is_refused() {
    let error = serde_json::from_str::<HoldsDocument>(r#"{"schema":2,"holds":[]}"#).unwrap_err();
    assert!(error.to_string().contains("schema 1"), "{error}");
}

#[test]
fn requests_keep_their_form() {
    pin::<SyncRequest>(r#"{"wait":true,"dry_run":false,"derived":true}"#);
    pin::<PauseRequest>(r#"{"seconds":60}"#);
    pin::<RestoreRequest>(r#"{"generation":null,"at":"2027-01-01T00:00:00Z","paths":["a"],"yes":true}"#);
    pin::<UndoRequest>(r#"{"generation":"7-3fa2","force":true,"yes":false}"#);
    pin::<ResolveRequest>(r#"{"keep":"both","yes":false}"#);
    pin::<ResolveRequest>(r#"{"keep":"the laptop","yes":false}"#);
    for (said, version) in [("mine", KeptVersion::Lost), ("remote", KeptVersion::Stands)] {
        assert_eq!(serde_json::from_str::<KeptVersion>(&format!("{said:?}")).unwrap(), version);
    }
    assert!(serde_json::from_str::<ResolveRequest>(r#"{"keep":""}"#).is_err());
    pin::<DryRunRequest>(r#"{"dry_run":true}"#);
    pin::<VerifyRequest>(r#"{"deep":true,"repair":false}"#);
    let number: UndoRequest = serde_json::from_str(r#"{"generation":7}"#).unwrap();
    let text: UndoRequest = serde_json::from_str(r#"{"generation":"7"}"#).unwrap();
    assert_eq!(number, text);
    for slip in
        [r#"{"generation":"seven"}"#, r#"{"generation":-7}"#, r#"{"generation":true}"#, r#"{"forced":true}"#]
    {
        assert!(serde_json::from_str::<UndoRequest>(slip).is_err(), "{slip} was taken");
    }
}

#[test]
fn a_transaction_keeps_its_form() {
    pin::<TransactionRequest>(&format!(
        r#"{{"transaction_id":"t","source_id":"s","expected":{{"a":"{ID}","b":null}},"writes":[{{"path":"a","staged":"x"}}],"deletes":["b"]}}"#
    ));
    pin::<TransactionDocument>(&format!(
        r#"{{"schema":1,"transaction_id":"t","files":{{"a":"{ID}","b":null}}}}"#
    ));
    pin::<TransactionRequest>(&format!(
        r#"{{"transaction_id":"t","source_id":"s","expected":{{}},"writes":[],"deletes":["b",{{"group":"nodes","id":7}}],"puts":[{{"group":"nodes","entry":{{"id": "n","w":1.50}},"vector":[0.5,-1.0]}},{{"group":"nodes","entry":{{"id":1}},"vector":{{"base64":"AAA="}}}},{{"group":"nodes","entry":{{"id":2}},"vector":{{"staged":"x.npy","row":3}}}}],"expect":[{{"group":"nodes","id":"n","field":"w","value_digest":"{ID}"}},{{"group":"nodes","id":"m","value_digest":null}}]}}"#
    ));
    for slip in [
        r#""expect":[{"group":"g","id":"n"}]"#,
        r#""deletes":[{"group":"g","id":1.5}]"#,
        r#""deletes":[{"group":"g","id":1,"row":2}]"#,
        r#""puts":[{"group":"g"}]"#,
        r#""puts":[{"group":"g","entry":{"id":1},"vector":{"base64":"AAA=","dtype":"<f4"}}]"#,
        r#""puts":[{"group":"g","entry":{"id":1},"vector":{"staged":"x.npy"}}]"#,
        r#""puts":[{"group":"g","entry":{"id":1},"vector":{"staged":"x.npy","row":-1}}]"#,
        r#""puts":[{"group":"g","entry":{"id":1},"vector":{"staged":"x.npy","row":1,"rows":2}}]"#,
    ] {
        let request = format!(r#"{{"transaction_id":"t",{slip}}}"#);
        assert!(serde_json::from_str::<TransactionRequest>(&request).is_err(), "{slip} was taken");
    }
    pin::<MemoriesDocument>(&format!(
        r#"{{"schema":1,"group":"nodes","memories":[{{"id":"n","entry":{{"id": "n","w":1.50}},"digest":"{ID}","fields":{{"w":"{ID}"}},"vector":[0.5]}}]}}"#
    ));
    pin::<MemoryChangesDocument>(&format!(
        r#"{{"schema":1,"group":"nodes","since":"3","generation":7,"until":"7-3fa2","memories":[{{"id":7,"entry":{{"id":7}},"digest":"{ID}","fields":{{}}}}],"deleted":["n",8],"next":null}}"#
    ));
    pin::<FileDocument>(&format!(r#"{{"schema":1,"path":"a","digest":"{ID}"}}"#));
}

#[test]
fn a_refused_transaction_keeps_its_form() {
    pin::<ConflictProblem>(
        r#"{"type":"about:cogzy-vault/conflict","title":"Conflict","status":409,"detail":"d","next":"n","advice":null,"code":"CONFLICT","path":"a","current":null}"#,
    );
    pin::<FieldConflictProblem>(
        r#"{"type":"about:cogzy-vault/conflict","title":"Conflict","status":409,"detail":"d","next":"n","advice":null,"code":"FIELD_CONFLICT","id":"n","field":null,"current":{"id":"n"}}"#,
    );
    pin::<GenerationGoneProblem>(
        r#"{"type":"about:cogzy-vault/generation-gone","title":"Gone","status":410,"detail":"d","next":"n","advice":null,"code":"GENERATION_GONE","generation":"3"}"#,
    );
}

#[test]
fn a_list_of_conflicts_keeps_its_form() {
    pin::<ConflictsDocument>(&format!(
        r#"{{"schema":1,"conflicts":[{{"id":"{ID}","item":{{"file":"a"}},"files":[{{"path":"a","entry":null}}],"origin":{{"device":"laptop","txn":"1.2.0123456789abcdef"}},"here":true}}]}}"#
    ));
}

#[test]
fn a_hold_list_keeps_its_form() {
    pin::<HoldsDocument>(&format!(r#"{{"schema":1,"holds":[{HOLD}]}}"#));
    let ways = concat!(
        r#""approving":"the change goes to the backup and to your other devices","#,
        r#""reject":"cogzy-vault approve --reject 0123456789abcdef","rejecting":"they come back here"}"#
    );
    pin::<HoldDocument>(&HOLD.replace('}', &format!(",{ways}")));
}

#[test]
fn an_outbox_document_keeps_its_form() {
    pin::<OutboxDocument>(
        r#"{"schema":1,"total":1,"waiting":[{"path":"a","first_seen":"2027-01-01T00:00:00Z","attempts":2,"error":"it is busy","next_retry":null}]}"#,
    );
}

#[test]
fn a_problem_keeps_its_form() {
    pin::<Problem>(
        r#"{"type":"about:cogzy-vault/offline","title":"t","status":503,"detail":"d","next":"n","advice":"offline"}"#,
    );
}

#[test]
fn each_kind_of_event_keeps_its_form() {
    let event =
        |body: &str| pin::<EventDocument>(&format!(r#"{{"id":7,"at":"2027-01-01T00:00:00Z",{body}}}"#));
    event(
        r#""event":"change","generation":7,"commit":"7-ab","transaction":null,"device":"laptop","paths":["a"],"files":1"#,
    );
    event(r#""event":"conflict","conflict":"ab","item":"group:nodes","device":null,"next":"n""#);
    event(&format!(r#""event":"hold","hold":{HOLD}"#));
    event(&format!(r#""event":"error","error":{ERROR}"#));
    event(r#""event":"state","state":"in-sync","was":"pending""#);
    event(&format!(r#""event":"left-out",{LEFT_OUT}"#));
    event(&format!(r#""event":"progress","progress":{PROGRESS}"#));
}

#[test]
fn a_page_of_events_keeps_its_form() {
    pin::<EventsDocument>(
        r#"{"schema":1,"events":[{"id":null,"at":"x","event":"state","state":"held","was":"error"}],"newest":9}"#,
    );
}

#[test]
fn a_changes_document_keeps_its_form() {
    pin::<ChangesDocument>(
        r#"{"schema":1,"since":3,"generation":7,"changes":[{"path":"a","deleted":false,"size":1,"digest":"ab","generation":7,"transaction":null,"device":"laptop"}],"next":null}"#,
    );
}

#[test]
fn a_history_document_keeps_its_form() {
    pin::<HistoryDocument>(
        r#"{"schema":1,"generations":[{"generation":7,"commit":"ab","on_line":true,"time":"t","device":"laptop","kind":"sync","of":null,"changed":1,"deleted":2,"bytes":3,"kept":[],"resolved":[]}]}"#,
    );
    pin::<HistoryDocument>(
        r#"{"schema":1,"path":"a","versions":[{"path":"a","generation":7,"commit":"ab","on_line":false,"time":"t","device":null,"kind":"merge","size":null,"digest":null}]}"#,
    );
}

#[test]
fn a_rewrite_document_keeps_its_form() {
    pin::<RewriteDocument>(&format!(
        r#"{{"schema":1,"generation":8,"of":7,"changed":1,"deleted":2,"put_back":3,"beside":["a"],"sync":{SYNC}}}"#
    ));
}

#[test]
fn a_prune_document_keeps_its_form() {
    let none = r#"{"objects":0,"bytes":0}"#;
    pin::<PruneDocument>(&format!(
        r#"{{"schema":1,"dry_run":true,"generation":7,"kept_from":1,"all":{none},"needed":{none},"marked":{none},"repacked":{none},"waiting":{none},"freed":{none},"damaged":0,"stopped":false,"doubtful":0}}"#
    ));
}

#[test]
fn a_reset_document_keeps_its_form() {
    pin::<ResetDocument>(&format!(
        r#"{{"schema":1,"dry_run":false,"generation":7,"fetched":1,"bytes":2,"replaced":3,"deleted":4,"kept":[{{"id":"4444444444444444444444444444444444444444444444444444444444444444","item":{{"file":"a"}},"files":[{{"path":"a","entry":null}}],"origin":null}}],"left":["a: it is busy"],"sync":{SYNC}}}"#
    ));
}

#[test]
fn a_verify_document_keeps_its_form() {
    let verified = r#"{"generation":7,"files":1,"differing":2,"commits":3,"packs":4,"deep":true,"faults":[{"path":"a","message":"m"}]}"#;
    pin::<VerifyDocument>(&format!(r#"{{"schema":1,"verified":{verified}}}"#));
    pin::<VerifyDocument>(&format!(
        r#"{{"schema":1,"verified":{verified},"repaired":{{"files":["a"],"objects":["b"],"partly":[],"dropped":[],"lost":[{{"path":"c","from":1,"to":2}}]}}}}"#
    ));
}
