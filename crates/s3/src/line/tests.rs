use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::{KeyPair, S3Remote, Secret};
use cogzy_engine::remote::{Remote, RemoteUrl};

const REFUSAL: &str = "<?xml version=\"1.0\"?><Error><Code>InvalidAccessKeyId</Code></Error>";

fn bucket() -> BucketUrl {
    match "s3://bucket".parse() {
        Ok(RemoteUrl::Bucket(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn options(endpoint: String, stall: Duration) -> S3Options {
    let key = KeyPair { id: Secret::new("id"), secret: Secret::new("secret") };
    S3Options {
        endpoint: Some(endpoint),
        region: Some("us-east-1".to_owned()),
        key: Some(key),
        operation_timeout: stall,
        ..S3Options::default()
    }
}

/// A store that does with each connection what `serve` says. Its endpoint, and a count of
/// connections.
async fn store<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (String, Arc<AtomicU64>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream));
        }
    });
    (endpoint, count)
}

/// Keeps a connection open and says nothing.
async fn silence(stream: TcpStream) {
    let _open = stream;
    std::future::pending::<()>().await;
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\netag: \"1\"\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const STALL: Duration = Duration::from_secs(60);

#[tokio::test]
async fn patience_is_short_for_what_is_small_and_grows_where_it_was_too_short() {
    let line = Line::open(&bucket(), &options("http://localhost:1".to_owned(), STALL)).await.unwrap();
    let patience = |length, moved: &Moved, slips| line.patience(length, moved, slips).as_secs();
    let before = Moved::new(0);
    assert_eq!(patience(0, &before, 0), 60, "credentials may come from a program that asks somebody");
    let small = Moved::begun(0, 0);
    assert_eq!([0, 1, 2, 3, 4].map(|slips| patience(0, &small, slips)), [5, 10, 20, 40, 60]);
    assert_eq!(patience(64 << 10, &small, 0), 5 + 8, "a slow line needs a while for 64 KiB");
    assert_eq!(patience(64 << 10, &Moved::begun(64 << 10, 1), 0), 60, "there is more to hand over");
    assert_eq!(patience(16 << 20, &Moved::begun(16 << 20, 0), 0), 60 + 512, "the system sends what it took");
}

#[tokio::test(start_paused = true)]
async fn a_small_request_waits_seconds_for_its_first_byte_and_the_next_has_a_new_connection() {
    let (endpoint, connections) = store(silence).await;
    let remote = S3Remote::open(&bucket(), &options(endpoint, STALL)).await.unwrap();
    for (number, seconds) in [5, 10, 20].into_iter().enumerate() {
        let started = Instant::now();
        let error = remote.list("", None).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome, "{error}");
        assert_eq!(started.elapsed().as_secs(), seconds);
        assert_eq!(connections.load(Ordering::SeqCst), number as u64 + 1);
    }
}

#[tokio::test]
async fn a_renewal_ends_what_is_under_way() {
    let (endpoint, _) = store(silence).await;
    let remote = Arc::new(S3Remote::open(&bucket(), &options(endpoint, STALL)).await.unwrap());
    let asked = Arc::clone(&remote);
    let call = tokio::spawn(async move { asked.put("k", Bytes::from_static(b"v")).await });
    let ended = async {
        loop {
            // Until the call has begun there is nothing to end.
            remote.renew();
            tokio::task::yield_now().await;
            if call.is_finished() {
                return call.await.unwrap().unwrap_err();
            }
        }
    };
    let error = tokio::time::timeout(FIRST_BYTE, ended).await.expect("it goes on waiting");
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome, "{error}");
}

#[tokio::test]
async fn a_refusal_makes_the_client_new_and_a_missing_object_does_not() {
    for (status, body, anew) in
        [("403 Forbidden", REFUSAL, true), ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", false)]
    {
        let (endpoint, connections) = store(move |mut stream| async move {
            let mut request = [0; 4096];
            while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                drop(stream.write_all(answer(status, body).as_bytes()).await);
            }
        })
        .await;
        let line = Line::open(&bucket(), &options(endpoint, STALL)).await.unwrap();
        let before = line.made().await.unwrap().number;
        for _ in 0..2 {
            let ask = line.ask(Call::new("get", "k"), |client, watch| {
                client.get_object().bucket("bucket").key("k").customize().interceptor(watch).send()
            });
            drop(ask.await.unwrap_err());
        }
        assert_eq!(line.made().await.unwrap().number != before, anew, "{status}");
        assert_eq!(connections.load(Ordering::SeqCst), if anew { 2 } else { 1 }, "{status}");
    }
}

#[tokio::test]
async fn a_put_that_moves_lives_longer_than_any_standstill_may() {
    const LENGTH: usize = 12 << 20;
    let (endpoint, _) = store(async |mut stream: TcpStream| {
        let mut piece = vec![0; 256 << 10];
        let mut taken = 0;
        // The head of the request comes before its body.
        while taken < LENGTH {
            taken += stream.read(&mut piece).await.unwrap_or(LENGTH);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        drop(stream.write_all(answer("200 OK", "").as_bytes()).await);
    })
    .await;
    let stall = Duration::from_millis(800);
    let remote = S3Remote::open(&bucket(), &options(endpoint, stall)).await.unwrap();
    let started = Instant::now();
    remote.put("k", Bytes::from(vec![7; LENGTH])).await.unwrap();
    assert!(started.elapsed() > 2 * stall, "it was too fast to show anything: {:?}", started.elapsed());
}
