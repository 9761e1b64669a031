//! Stores with habits of their own: each row of docs/STORES.md, played by the server in this
//! process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::remote::{Remote, RemoteErrorKind, Retry, RetryPolicy, Span, list_all};
use cogzy_s3::{S3Options, S3Remote};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::contract::contract;
use crate::support::process::noise;
use crate::support::s3_server::{BUCKET, Quirk, S3Server, bucket_url};

async fn remote(server: &S3Server) -> S3Remote {
    S3Remote::open(&server.url("users/me"), &server.options()).await.unwrap()
}

/// The whole contract with a store of this habit.
async fn holds_with(quirk: Quirk) {
    let server = S3Server::start().await;
    server.play(quirk);
    contract(&remote(&server).await).await;
}

#[tokio::test]
async fn head_without_a_length_is_looked_up_in_a_listing() {
    holds_with(Quirk::HeadWithoutLength).await;
    let server = S3Server::start().await;
    server.play(Quirk::HeadWithoutLength);
    let remote = remote(&server).await;
    for (key, bytes) in [("empty", ""), ("one", "1"), ("one-more", "22")] {
        remote.put(key, Bytes::from_static(bytes.as_bytes())).await.unwrap();
        assert_eq!(remote.head(key).await.unwrap().unwrap().size, bytes.len() as u64, "{key}");
    }
    assert_eq!(remote.head("missing").await.unwrap(), None);
}

#[tokio::test]
async fn head_without_a_time_is_looked_up_in_a_listing() {
    holds_with(Quirk::HeadWithoutTime).await;
}

#[tokio::test]
async fn get_in_chunks_is_read_to_its_end() {
    holds_with(Quirk::ChunkedGet).await;
    let server = S3Server::start().await;
    server.play(Quirk::ChunkedGet);
    let remote = remote(&server).await;
    remote.put("k", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(remote.get("k", Span::UpTo(10)).await.unwrap(), "0123456789");
    assert_eq!(remote.get("k", Span::Part(2..5)).await.unwrap(), "234");
    let error = remote.get("k", Span::UpTo(9)).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::TooLarge { limit: 9 });
}

/// On such a line a pack of 16 MiB would never come if each attempt began anew.
#[tokio::test]
async fn a_read_goes_on_where_the_connection_broke() {
    let server = S3Server::start().await;
    let policy = RetryPolicy { base: Duration::ZERO, ..RetryPolicy::default() };
    let remote = Retry::new(remote(&server).await, policy, Arc::new(SystemEntropy));
    let bytes = noise("a pack", 12 << 20);
    remote.put("k", Bytes::from(bytes.clone())).await.unwrap();
    server.play(Quirk::BreaksBodies);
    assert!(remote.get("k", Span::Part(5..(12 << 20) - 5)).await.unwrap() == bytes[5..bytes.len() - 5]);
    assert_eq!(server.requests("GetObject"), 12, "nothing is read twice");
    let error = remote.get("k", Span::UpTo(12 << 20)).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome);
}

#[tokio::test]
async fn a_count_of_all_keys_is_no_torn_listing() {
    let server = S3Server::start().await;
    server.play(Quirk::TotalKeyCount);
    let remote = Arc::new(remote(&server).await);
    let keys: Vec<String> = (0..1200).map(|number| format!("k{number:04}")).collect();
    for some in keys.chunks(40) {
        let puts = some.iter().map(|key| remote.put(key, Bytes::new()));
        futures_util::future::try_join_all(puts).await.unwrap();
    }
    let listed = list_all(remote.as_ref(), "", None).await.unwrap();
    assert_eq!(listed.into_iter().map(|object| object.key).collect::<Vec<_>>(), keys);
}

#[tokio::test]
async fn a_bucket_with_object_lock_gets_the_md5_that_it_wants() {
    holds_with(Quirk::WantsMd5).await;
}

/// A large object has no MD5 at first, since the signature covers its bytes.
#[tokio::test]
async fn a_store_that_wants_the_md5_of_large_objects_says_so_once() {
    for wants in [Quirk::WantsMd5, Quirk::WantsMd5Curtly] {
        let server = S3Server::start().await;
        let remote = remote(&server).await;
        let large = Bytes::from(noise("a pack", 2 << 20));
        server.play(Quirk::WantsSignedBodies);
        server.play(Quirk::NoOtherChecksums);
        remote.put("a", large.clone()).await.unwrap();
        assert_eq!(server.requests("PutObject"), 1);
        server.play(wants);
        for (key, requests) in [("b", 3), ("c", 4)] {
            remote.put(key, large.clone()).await.unwrap();
            assert_eq!(server.requests("PutObject"), requests, "{wants:?}");
            assert!(remote.get(key, Span::UpTo(2 << 20)).await.unwrap() == large);
        }
    }
}

#[tokio::test]
async fn a_store_without_newer_checksums_gets_none() {
    holds_with(Quirk::NoOtherChecksums).await;
}

#[tokio::test]
async fn a_store_without_versions_gets_a_plain_delete() {
    let server = S3Server::start().await;
    server.play(Quirk::NoVersions);
    server.keep_no_versions();
    let remote = remote(&server).await;
    remote.put("k", Bytes::from_static(b"v")).await.unwrap();
    remote.delete("k").await.unwrap();
    assert_eq!(remote.head("k").await.unwrap(), None);
}

/// A store behind a path. What was asked for.
#[tokio::test]
async fn an_endpoint_may_have_a_path() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/storage/v1/s3", listener.local_addr().unwrap());
    let options =
        S3Options { endpoint: Some(endpoint), ..crate::support::s3_server::options("", "id", "secret") };
    let remote = S3Remote::open(&bucket_url(BUCKET, "mine"), &options).await.unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let answer = "HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    remote.put("k", Bytes::new()).await.unwrap();
    let asked = asked.await.unwrap();
    assert!(asked.starts_with(&format!("PUT /storage/v1/s3/{BUCKET}/mine/k")), "{asked}");
}
