use super::*;
use cogzy_engine::model::{DeviceId, Digest, Hlc, Kept, Origin};

/// A plan with every kind of step, something that waits, and a hold.
fn plan() -> Plan {
    let path = |text: &str| VaultPath::new(text).unwrap();
    let entry = |text: &str, rows| Entry {
        digest: Digest::of(text.as_bytes()),
        size: text.len() as u64,
        mtime_ms: 7,
        mode: 0o600,
        rows,
    };
    let file = |text: &str| Item::File(path(text));
    let kept = vec![Kept { path: path("c"), entry: Some(entry("lost", None)) }];
    let txn = Hlc { wall_ms: 1, logical: 2, device: DeviceId::from_bytes([3; 8]) };
    let origin = Some(Origin { device: "laptop".to_owned(), txn });
    let conflict = Conflict::new(file("c"), kept, origin);
    let step = |item, action, files| Step { item, action, files, agreed: Vec::new() };
    let change = FileStep { path: path("corpus/nodes.json"), from: None, to: Some(entry("[]", Some(0))) };
    let deletion = FileStep { path: path("b"), from: Some(entry("old", None)), to: None };
    Plan {
        steps: vec![
            step(Item::Group("nodes".to_owned()), Action::Push, vec![change]),
            step(file("b"), Action::Pull, vec![deletion]),
            step(file("c"), Action::Conflict(Box::new(conflict)), vec![]),
            step(file("d"), Action::Adopt, vec![]),
            step(Item::Group("episodes".to_owned()), Action::KeepLocal, vec![]),
        ],
        waiting: vec![Waiting {
            item: file("e"),
            why: "it is busy".to_owned(),
            blocked_by: None,
            lasts: false,
        }],
        holds: vec![Hold {
            id: HoldId::from_bytes([4; 8]),
            reason: Reason::MassDelete,
            direction: Direction::Incoming,
            items: BTreeSet::from([file("f"), file("g")]),
            share: Some(Share { files: 2, of: 3, slowly: false, replaced: true }),
        }],
        ..Plan::default()
    }
}

#[test]
fn a_plan_document_has_the_json_of_the_plan_and_reads_it() {
    let (plan, document) = (plan(), PlanDocument::from(&plan()));
    let json = serde_json::to_string(&document).unwrap();
    assert_eq!(json, serde_json::to_string(&plan).unwrap());
    assert_eq!(serde_json::from_str::<PlanDocument>(&json).unwrap(), document);
}
