//! Answers that no store gives, and what is made of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cogzy_engine::remote::{Remote, RemoteErrorKind, Span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::remote::{ALL, s3_at};

/// A server that gives every request the same answer, and closes.
pub async fn parrot(answer: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok() {
                    drop(stream.write_all(answer.as_bytes()).await);
                }
            });
        }
    });
    endpoint
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

#[tokio::test]
async fn whatever_answers_without_being_s3_is_no_empty_bucket() {
    for page in ["", "<html>Please log in</html>", "<!DOCTYPE html><html><body>Hotel</body></html>", "{}"] {
        let remote = s3_at(&parrot(answer("200 OK", "content-type: text/html\r\n", page)).await).await;
        for error in [
            remote.list("", None).await.unwrap_err(),
            remote.put("k", Bytes::new()).await.unwrap_err(),
            remote.head("k").await.unwrap_err(),
        ] {
            assert_eq!(error.kind, RemoteErrorKind::WrongEndpoint, "{page:?}: {error}");
        }
    }
    for page in ["", "<html>nginx</html>"] {
        let remote = s3_at(&parrot(answer("404 Not Found", "", page)).await).await;
        let error = remote.get("k", ALL).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::WrongEndpoint, "{page:?}: {error}");
    }
    let moved = answer("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", "");
    let error = s3_at(&parrot(moved).await).await.list("", None).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::WrongEndpoint, "{error}");
    assert!(error.to_string().contains("eu-west-1"), "{error}");
}

#[tokio::test]
async fn a_listing_that_cannot_be_right_is_refused() {
    let listing = |keys: &[&str], more: &str| {
        let objects: String = keys
            .iter()
            .map(|key| {
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
                     <Size>1</Size></Contents>"
                )
            })
            .collect();
        format!("<?xml version=\"1.0\"?><ListBucketResult>{more}{objects}</ListBucketResult>")
    };
    let more = "<IsTruncated>false</IsTruncated>";
    let ask = async |body: String, after| {
        let remote = s3_at(&parrot(answer("200 OK", "", &body)).await).await;
        remote.list("k", after).await.map(|page| page.objects.len()).map_err(|error| error.kind)
    };
    assert_eq!(ask(listing(&["k1", "k2"], more), None).await, Ok(2));
    let encoded = "<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>";
    assert_eq!(ask(listing(&["%6B1"], encoded), None).await, Ok(1));
    let malformed = Err(RemoteErrorKind::Malformed);
    assert_eq!(ask(listing(&["k2", "k1"], more), None).await, malformed);
    assert_eq!(ask(listing(&["j"], more), None).await, malformed);
    assert_eq!(ask(listing(&["k1"], more), Some("k1")).await, malformed, "the store ignores start-after");
    let miscounted = "<IsTruncated>false</IsTruncated><KeyCount>2</KeyCount>";
    assert_eq!(ask(listing(&["k1"], miscounted), None).await, malformed);
    assert_eq!(ask(listing(&["k1"], ""), None).await, Err(RemoteErrorKind::WrongEndpoint));
    let counted = "<IsTruncated>false</IsTruncated><KeyCount>2</KeyCount>";
    assert_eq!(ask(listing(&["k1", "k2"], counted), None).await, Ok(2));
    let cut =
        listing(&["k1", "k2"], counted).split("<Contents><Key>k2").next().unwrap_or_default().to_owned();
    assert_eq!(ask(cut, None).await, malformed, "a torn page");
}

#[tokio::test]
async fn an_answer_of_the_wrong_length_is_refused() {
    for (headers, body, range) in [
        ("", "0123456789", 5..8),
        ("content-range: bytes 4-6/10\r\n", "456", 5..8),
        ("content-range: bytes 5-7/10\r\n", "56", 5..8),
    ] {
        let remote = s3_at(&parrot(answer("206 Partial Content", headers, body)).await).await;
        let error = remote.get("k", Span::Part(range)).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Malformed, "{headers:?}: {error}");
    }
    let cut = answer("200 OK", "", "0123456789").replace("6789", "");
    let error = s3_at(&parrot(cut).await).await.get("k", ALL).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome, "{error}");
    let skewed = "<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code><Message>Too far.</Message>\
                  <RequestTime>20200101T000000Z</RequestTime><ServerTime>2026-01-01T00:00:00Z</ServerTime></Error>";
    let error =
        s3_at(&parrot(answer("403 Forbidden", "", skewed)).await).await.get("k", ALL).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::ClockSkew, "{error}");
    assert!(
        error.to_string().contains("20200101T000000Z") && error.to_string().contains("2026-01-01"),
        "{error}"
    );
}

/// A server that answers and then sends the same piece for ever. It counts what it could send.
async fn endless(head: &'static str, piece: &'static str) -> (String, Arc<AtomicU64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut request = [0; 4096];
                drop(stream.read(&mut request).await);
                let mut wrote = stream.write_all(head.as_bytes()).await;
                let piece = piece.repeat(1 << 10);
                let framed = format!("{:x}\r\n{piece}\r\n", piece.len());
                while wrote.is_ok() {
                    wrote = stream.write_all(framed.as_bytes()).await;
                    count.fetch_add(framed.len() as u64, Ordering::Relaxed);
                }
            });
        }
    });
    (endpoint, sent)
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut_off() {
    const MOST: u64 = 64 << 20;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let promised = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ntransfer-encoding: chunked\r\n\r\n";
    let huge = "HTTP/1.1 200 OK\r\ncontent-length: 2199023255552\r\n\r\n";
    let refusal = "HTTP/1.1 403 Forbidden\r\ntransfer-encoding: chunked\r\n\r\n";
    for (head, kind) in [
        (chunked, None),
        (promised, None),
        (huge, Some(RemoteErrorKind::TooLarge { limit: 1 << 20 })),
        (refusal, None),
    ] {
        let (endpoint, sent) = endless(head, "<Contents>").await;
        let error = s3_at(&endpoint).await.get("k", Span::UpTo(1 << 20)).await.unwrap_err();
        assert!(kind.is_none_or(|kind| error.kind == kind), "{head:?}: {error}");
        assert!(sent.load(Ordering::Relaxed) < MOST, "{head:?}");
    }
    for head in [chunked, refusal] {
        let (endpoint, sent) = endless(head, "<Contents>").await;
        let remote = s3_at(&endpoint).await;
        remote.list("", None).await.unwrap_err();
        remote.put("k", Bytes::new()).await.unwrap_err();
        remote.delete("k").await.unwrap_err();
        remote.server_ms().await.unwrap_err();
        assert!(sent.load(Ordering::Relaxed) < 4 * MOST, "{head:?}");
    }
}
