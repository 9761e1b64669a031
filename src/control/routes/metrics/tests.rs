use std::collections::BTreeSet;

use super::*;
use crate::control::board::tests::status;

#[test]
fn each_metric_is_described_before_its_value_and_one_state_holds() {
    let told =
        StatusDocument { state: State::Offline, last_sync: Some("2026-11-21T12:00:00Z".into()), ..status() };
    let text = text(&told, 7);
    assert!(text.ends_with("# EOF\n"), "{text}");
    let mut described = BTreeSet::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(described.insert(rest.split(' ').next().unwrap().to_owned()), "{line} comes twice");
        } else if !line.starts_with('#') {
            let name = line.split([' ', '{']).next().unwrap();
            assert!(described.contains(name.trim_end_matches("_total")), "{line} is not described");
            line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        }
    }
    let states: Vec<&str> =
        text.lines().filter(|line| line.contains("{cogzy_vault_state=") && line.ends_with(" 1")).collect();
    assert_eq!(states, ["cogzy_vault_state{cogzy_vault_state=\"offline\"} 1"]);
    assert!(text.contains("\ncogzy_vault_events_total 7\n"), "{text}");
    assert!(text.contains("\ncogzy_vault_last_sync_timestamp_seconds 1795262400\n"), "{text}");
}
