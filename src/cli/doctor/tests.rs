use std::time::Duration;

use super::*;

#[test]
fn the_document_keeps_its_form() {
    let findings = [Finding::warning("room", "little", "free some")];
    let document =
        DoctorDocument { schema: SchemaVersion, worst: Severity::Warning, findings: &findings, month: None };
    assert_eq!(
        serde_json::to_string(&document).unwrap(),
        r#"{"schema":1,"worst":"warning","findings":[{"check":"room","level":"warning","message":"little","next":"free some"}],"month":null}"#
    );
    let second = Duration::from_secs(1);
    let polls = Polls { usual: second, active: second, idle: second };
    let month = serde_json::to_value(estimate(polls, 1, 0)).unwrap();
    let fields: Vec<_> = month.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "busy_listings",
            "devices",
            "idle_polls",
            "paid_listings",
            "prices_of",
            "puts",
            "requests_usd",
            "storage_usd"
        ]
    );
}
