use super::*;

#[test]
fn the_stat_cache_round_trips() {
    let database = Database::in_memory().unwrap();
    let stat = FileStat {
        kind: FileKind::File,
        dev: u64::MAX,
        ino: 7,
        size: 3,
        mtime_ns: -5,
        ctime_ns: i64::MAX,
        mode: 0o644,
    };
    let cached = |byte| Cached { stat, digest: Digest::of(&[byte]), hashed_ns: 9 };
    let path = |text| VaultPath::new(text).unwrap();
    let first = HashMap::from([(path("a"), cached(1)), (path("b"), cached(2))]);
    database.update_stats(&HashMap::new(), &first).unwrap();
    assert_eq!(database.stats().unwrap(), first);
    let second = HashMap::from([(path("b"), cached(3)), (path("c"), cached(4))]);
    database.update_stats(&first, &second).unwrap();
    assert_eq!(database.stats().unwrap(), second);
    let some = BTreeSet::from([path("a"), path("c")]);
    assert_eq!(database.stats_of(&some).unwrap(), HashMap::from([(path("c"), cached(4))]));
}
