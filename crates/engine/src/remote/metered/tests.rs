use super::*;
use crate::remote::MemoryRemote;

#[tokio::test]
async fn requests_and_bytes_are_counted() {
    let meter = Meter::default();
    let remote = Metered::new(MemoryRemote::default(), meter.clone());
    remote.put("k", Bytes::from_static(b"12345")).await.unwrap();
    let before = meter.read();
    assert_eq!(before, Transfer { requests: 1, bytes_up: 5, bytes_down: 0 });

    remote.get("k", Span::Part(1..3)).await.unwrap();
    remote.get("missing", Span::UpTo(9)).await.unwrap_err();
    remote.head("k").await.unwrap();
    remote.list("", None).await.unwrap();
    assert_eq!(meter.read() - before, Transfer { requests: 4, bytes_up: 0, bytes_down: 2 });
    assert_eq!(before - meter.read(), Transfer::default());
}
#[tokio::test]
async fn a_store_that_gives_no_answer_is_silent_and_one_that_refuses_is_not() {
    use crate::remote::RemoteErrorKind as Kind;
    let meter = Meter::default();
    let silent_after = async |outcome: Result<(), Kind>| {
        let outcome = outcome.map_err(|kind| RemoteError::new(kind, "list", ""));
        drop(meter.count(std::future::ready(outcome)).await);
        meter.is_silent()
    };
    assert!(!meter.is_silent());
    assert!(silent_after(Err(Kind::UnknownOutcome)).await);
    assert!(!silent_after(Err(Kind::Forbidden)).await);
    assert!(silent_after(Err(Kind::Offline)).await);
    assert!(!silent_after(Ok(())).await);
}
