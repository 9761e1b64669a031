use proptest::prelude::*;

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
    let path = |text: &str| VaultPath::new(text).unwrap();
    let first = HashMap::from([(path("a"), cached(1)), (path("b"), cached(2))]);
    let news = |news: &[(&str, Option<u8>)]| {
        news.iter().map(|(text, byte)| (path(text), byte.map(cached))).collect::<BTreeMap<_, _>>()
    };
    database.update_stats(&news(&[("a", Some(1)), ("b", Some(2))]), &[]).unwrap();
    assert_eq!(database.stats().unwrap(), first);
    assert_eq!(database.amount().unwrap(), (2, 6));
    database.update_stats(&news(&[("b", Some(3)), ("c", Some(4)), ("d", Some(5))]), &[path("a")]).unwrap();
    database.update_stats(&news(&[("d", None)]), &[]).unwrap();
    let second = HashMap::from([(path("b"), cached(3)), (path("c"), cached(4))]);
    assert_eq!(database.stats().unwrap(), second);
    let some = BTreeSet::from([path("a"), path("c")]);
    assert_eq!(database.stats_of(&some).unwrap(), HashMap::from([(path("c"), cached(4))]));
}

proptest! {
    /// The rows that are read in pages are those of the whole cache, and what nobody asks for is
    /// gone.
    #[test]
    fn rows_in_pages_are_those_of_the_whole_cache(
        there in prop::collection::btree_set(0_u16..3000, 0..2500),
        asked in prop::collection::btree_set(0_u16..3000, 0..50),
    ) {
        let database = Database::in_memory().unwrap();
        let path = |number: u16| VaultPath::new(&format!("folder/{number}")).unwrap();
        let stat = FileStat { kind: FileKind::File, dev: 1, ino: 7, size: 3, mtime_ns: 5, ctime_ns: 6, mode: 0o644 };
        let cached = |number: u16| Cached { stat, digest: Digest::of(&number.to_le_bytes()), hashed_ns: 9 };
        let news = there.iter().map(|number| (path(*number), Some(cached(*number)))).collect();
        database.update_stats(&news, &[]).unwrap();
        let rows = database.rows();
        // In the order of paths.
        let ordered: BTreeMap<VaultPath, u16> = asked.iter().map(|number| (path(*number), *number)).collect();
        for (path, number) in &ordered {
            prop_assert_eq!(rows.digest_of(path), there.contains(number).then(|| cached(*number)));
        }
        let gone: BTreeSet<VaultPath> = rows.gone().into_iter().collect();
        prop_assert_eq!(gone, there.difference(&asked).map(|number| path(*number)).collect::<BTreeSet<_>>());
    }
}
