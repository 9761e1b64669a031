use super::*;

#[test]
fn no_line_is_wider_than_the_terminal_and_none_is_cut() {
    assert_eq!(broken("in sync", 60), ["in sync"]);
    let long = "uploading 1,234/40,000 · 24.1/41.2 MB · 5.2 MB/s · 3 min left";
    let parts = broken(long, 60);
    assert!(parts.len() == 2 && parts.iter().all(|part| part.chars().count() < 60), "{parts:?}");
    assert_eq!(parts.join(" "), long);
    assert_eq!(broken("ééééé", 3), ["éé", "éé", "é"]);
}
