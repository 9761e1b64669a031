use super::*;

fn hold(id: &str, reject: bool) -> HoldDocument {
    HoldDocument {
        id: id.repeat(16).parse().unwrap(),
        reason: format!("{id} files were deleted"),
        items: vec![],
        next: format!("cogzy-vault approve {id}"),
        approving: "it goes".to_owned(),
        reject: reject.then(|| format!("cogzy-vault approve --reject {id}")),
        rejecting: "it comes back".to_owned(),
    }
}

#[test]
fn several_holds_are_told_with_both_ways_and_the_one_that_was_asked_for_stays() {
    let open = [hold("1", true), hold("2", true), hold("3", false)];
    let failed = pick(&open, &Args { reject: true, ..Args::default() }).unwrap_err();
    for told in ["approve 1    it goes", "approve --reject 2    it comes back", "3 holds are open"] {
        assert!(failed.message.contains(told), "{told:?}: {}", failed.message);
    }
    let next = failed.next.unwrap();
    assert!(next.contains("`cogzy-vault approve --reject --all`"), "{next}");
    assert!(!next.contains("approve ID"), "what was to be rejected would pass: {next}");
}

#[test]
fn all_holds_are_decided_at_once_but_for_filters_that_are_changed_back() {
    let open = [hold("1", true), hold("2", true), hold("3", false)];
    let all = |reject| pick(&open, &Args { all: true, reject, ..Args::default() }).unwrap();
    assert_eq!(all(false), [open[0].id, open[1].id, open[2].id]);
    assert_eq!(all(true), [open[0].id, open[1].id]);
    let filter = Args { hold: Some("3".to_owned()), reject: true, all: false };
    assert!(pick(&open, &filter).unwrap_err().next.unwrap().contains("it comes back"));
}
