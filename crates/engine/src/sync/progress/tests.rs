use super::*;

fn at(phase: Phase, bytes_done: u64) -> Progress {
    Progress { phase, files_done: 0, files_total: 4, bytes_done, bytes_total: 1000 }
}

#[test]
fn the_rest_takes_as_long_as_what_was_done() {
    let second = Duration::from_secs;
    let mut pace = Pace::default();
    assert_eq!(pace.left(&at(Phase::Upload, 0), second(100)), None);
    assert_eq!(pace.left(&at(Phase::Upload, 100), second(101)), None, "too early to tell");
    assert_eq!(pace.left(&at(Phase::Upload, 250), second(110)), Some(second(30)));
    assert_eq!(pace.rate(&at(Phase::Upload, 250), second(110)), Some(25));
    assert_eq!(pace.left(&at(Phase::Upload, 1000), second(140)), Some(Duration::ZERO));
    assert_eq!(pace.left(&at(Phase::Download, 500), second(150)), None, "another phase has its own pace");
    assert_eq!(pace.left(&at(Phase::Download, 750), second(160)), Some(second(10)));
    assert_eq!(
        pace.left(&at(Phase::Download, 100), second(170)),
        None,
        "the same phase again, from its start"
    );
    let other = Progress { bytes_total: 5000, ..at(Phase::Download, 800) };
    assert_eq!(pace.left(&other, second(180)), None, "another total is other work");
}

#[test]
fn files_count_where_bytes_are_not_known() {
    let files = |files_done| Progress { files_done, files_total: 10, ..Progress::default() };
    let mut pace = Pace::default();
    assert_eq!(pace.left(&files(0), Duration::ZERO), None);
    assert_eq!(pace.left(&files(5), Duration::from_secs(5)), Some(Duration::from_secs(5)));
}
