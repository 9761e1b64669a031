//! The contract that every remote keeps, whatever it is made of.

use bytes::Bytes;
use cogzy_engine::remote::{Remote, RemoteErrorKind, Span, list_all};
use futures_util::future::try_join_all;

/// All of any object of this test.
const ALL: Span = Span::UpTo(2_000_000);

/// Holds `remote`, which must be empty, to the contract of `cogzy_engine::remote`.
pub async fn contract(remote: &dyn Remote) {
    an_empty_remote_lists_nothing(remote).await;
    objects_come_back_whole_and_in_parts(remote).await;
    more_than_is_asked_for_is_refused(remote).await;
    an_empty_object_is_an_object(remote).await;
    what_is_not_there_is_not_found(remote).await;
    a_repeated_put_changes_nothing(remote).await;
    listings_are_in_byte_order_and_cut_where_asked(remote).await;
    what_is_deleted_is_gone(remote).await;
    its_clock_is_the_one_that_dates_objects(remote).await;
    concurrent_puts_all_arrive_and_are_listed_over_several_pages(remote).await;
}

async fn keys(remote: &dyn Remote, prefix: &str, after: Option<&str>) -> Vec<String> {
    let objects = list_all(remote, prefix, after).await.unwrap();
    objects.into_iter().map(|object| object.key).collect()
}

async fn an_empty_remote_lists_nothing(remote: &dyn Remote) {
    let page = remote.list("", None).await.unwrap();
    assert!(page.objects.is_empty() && !page.more, "the contract wants an empty remote: {page:?}");
}

async fn objects_come_back_whole_and_in_parts(remote: &dyn Remote) {
    // Long enough for several frames of whatever carries it, and without a period that could hide a
    // shift.
    let body: Bytes = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    remote.put("whole/object-1", body.clone()).await.unwrap();
    assert_eq!(remote.get("whole/object-1", ALL).await.unwrap(), body);

    let size = body.len();
    for range in [0..1, 0..size, 1..size, size - 1..size, 1000..200_000] {
        let asked = range.start as u64..range.end as u64;
        assert_eq!(
            remote.get("whole/object-1", Span::Part(asked)).await.unwrap(),
            body.slice(range.clone()),
            "{range:?}"
        );
    }
    let size = size as u64;
    for beyond in [size - 1..size + 1, size..size + 1, size + 5..size + 9, 7..7] {
        let error = remote.get("whole/object-1", Span::Part(beyond.clone())).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Malformed, "{beyond:?}: {error}");
    }

    let head = remote.head("whole/object-1").await.unwrap().unwrap();
    assert_eq!((head.key.as_str(), head.size), ("whole/object-1", size));
    // A HEAD may round to whole seconds what a listing tells to the millisecond.
    let listed = remote.list("whole/", None).await.unwrap().objects.remove(0);
    assert_eq!((listed.key.as_str(), listed.size), ("whole/object-1", size));
    assert!((listed.modified_ms - head.modified_ms).abs() <= 1000, "{listed:?} {head:?}");
}

async fn more_than_is_asked_for_is_refused(remote: &dyn Remote) {
    let size = remote.head("whole/object-1").await.unwrap().unwrap().size;
    assert_eq!(remote.get("whole/object-1", Span::UpTo(size)).await.unwrap().len() as u64, size);
    for limit in [size - 1, 1, 0] {
        let error = remote.get("whole/object-1", Span::UpTo(limit)).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::TooLarge { limit }, "{error}");
        let said = error.to_string();
        assert!(said.contains("whole/object-1") && said.contains(&limit.to_string()), "{said}");
        assert!(!error.kind.retryable() && !error.kind.offline(), "it does not get smaller");
    }
}

async fn an_empty_object_is_an_object(remote: &dyn Remote) {
    remote.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(remote.get("empty", ALL).await.unwrap(), Bytes::new());
    assert_eq!(remote.head("empty").await.unwrap().unwrap().size, 0);
    assert_eq!(keys(remote, "empty", None).await, ["empty"]);
    assert_eq!(remote.get("empty", Span::Part(0..1)).await.unwrap_err().kind, RemoteErrorKind::Malformed);
}

async fn what_is_not_there_is_not_found(remote: &dyn Remote) {
    for key in ["missing", "whole", "whole/object", "whole/object-1/below"] {
        let error = remote.get(key, ALL).await.unwrap_err();
        assert_eq!(
            (error.kind, error.operation, error.key.as_str()),
            (RemoteErrorKind::NotFound, "get", key)
        );
        assert_eq!(
            remote.get(key, Span::Part(0..1)).await.unwrap_err().kind,
            RemoteErrorKind::NotFound,
            "{key}"
        );
        assert_eq!(remote.head(key).await.unwrap(), None, "{key}");
    }
}

async fn a_repeated_put_changes_nothing(remote: &dyn Remote) {
    for _ in 0..2 {
        remote.put("twice", Bytes::from_static(b"same")).await.unwrap();
    }
    assert_eq!(remote.get("twice", ALL).await.unwrap(), "same");
    assert_eq!(keys(remote, "twice", None).await, ["twice"]);
}

async fn listings_are_in_byte_order_and_cut_where_asked(remote: &dyn Remote) {
    // Below o/: in byte order `-` < `.` < `/` < digits < letters, over the whole key and not name
    // by name.
    let sorted = ["o/a-b", "o/a.b", "o/a/0", "o/a/b/c", "o/a/b0", "o/a0", "o/aa/z", "o/b"];
    for key in sorted.iter().rev() {
        remote.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    assert_eq!(keys(remote, "o/", None).await, sorted);
    for (prefix, after, left) in [
        ("o/", Some("o/a/0"), &sorted[3..]),
        ("o/", Some("o/a/1"), &sorted[3..]),
        ("o/", Some("o/b"), &sorted[8..]),
        ("o/", Some("a"), &sorted[..]),
        ("o/a/b", None, &sorted[3..5]),
        ("o/a/", Some("o/a/b"), &sorted[3..5]),
        ("o/a", Some("o/a/b/c"), &sorted[4..7]),
        ("o/a/0", None, &sorted[2..3]),
        ("o/c", None, &[]),
        ("p", Some("o/b"), &[]),
    ] {
        assert_eq!(keys(remote, prefix, after).await, left, "below {prefix:?} after {after:?}");
    }
}

async fn what_is_deleted_is_gone(remote: &dyn Remote) {
    for key in ["gone/a", "gone/a-b", "gone/ab"] {
        remote.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    for _ in 0..2 {
        remote.delete("gone/a").await.unwrap();
        assert_eq!(remote.head("gone/a").await.unwrap(), None);
    }
    assert_eq!(keys(remote, "gone/", None).await, ["gone/a-b", "gone/ab"], "only what was asked for");
    remote.delete("gone/never").await.unwrap();
}

async fn its_clock_is_the_one_that_dates_objects(remote: &dyn Remote) {
    let before = remote.server_ms().await.unwrap();
    remote.put("dated", Bytes::new()).await.unwrap();
    let dated = remote.head("dated").await.unwrap().unwrap().modified_ms;
    let after = remote.server_ms().await.unwrap();
    // Either may be rounded down to a whole second.
    assert!(before - 1000 <= dated && dated <= after + 1000, "{before} {dated} {after}");
}

async fn concurrent_puts_all_arrive_and_are_listed_over_several_pages(remote: &dyn Remote) {
    let wanted: Vec<_> = (0..1005).map(|number| format!("many/{:02x}/{number:04}", number / 100)).collect();
    let body = |key: &str| Bytes::copy_from_slice(key.as_bytes());
    for batch in wanted.chunks(16) {
        try_join_all(batch.iter().map(|key| remote.put(key, body(key)))).await.unwrap();
    }
    let first = remote.list("many/", None).await.unwrap();
    assert!(first.more && first.objects.len() <= 1000);
    assert_eq!(keys(remote, "many/", None).await, wanted);
    assert_eq!(keys(remote, "many/", Some(&wanted[3])).await, wanted[4..]);
    // Objects that fill a page exactly leave no further page.
    let rest = remote.list("many/", Some(&wanted[4])).await.unwrap();
    assert_eq!((rest.objects.len(), rest.more), (1000, false));
    for key in wanted.iter().step_by(200) {
        assert_eq!(remote.get(key, ALL).await.unwrap(), body(key));
    }
}
