use super::*;

fn now(entries: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<String>> {
    entries.iter().map(|(path, error)| ((*path).to_owned(), error.map(str::to_owned))).collect()
}

#[test]
fn a_path_has_one_entry_that_counts_failures_and_survives_a_restart() {
    let database = Arc::new(Database::in_memory().unwrap());
    let mut list = WaitingList::open(Arc::clone(&database));
    list.update(now(&[("a", None), ("b", Some("busy"))]), 10, Some(12)).unwrap();
    list.update(now(&[("a", None), ("b", Some("locked"))]), 20, Some(24)).unwrap();
    let mut list = WaitingList::open(Arc::clone(&database));
    list.update(now(&[("b", Some("locked")), ("c", None)]), 30, None).unwrap();
    let b = Waiting { first_seen_ms: 10, attempts: 3, error: Some("locked".into()), next_retry_ms: None };
    assert_eq!(list.get("b"), Some(&b));
    assert_eq!(list.get("a"), None);
    let stored = database.waiting(usize::MAX).unwrap();
    assert_eq!(stored.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!((stored[0].1.clone(), database.waiting_count().unwrap()), (b, 2));
}
