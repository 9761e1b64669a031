//! The contract of remotes over each of them, and their failures told apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::clock::{Clock, SystemClock, SystemEntropy};
use cogzy_engine::remote::{
    FolderRemote, Limited, MemoryRemote, Meter, Metered, Remote, RemoteErrorKind, RemoteUrl, Retry,
    RetryPolicy, Span, list_all,
};
use cogzy_s3::{S3Options, S3Remote};
use cogzy_testkit::fresh_folder;
use cogzy_vault::assemble::open;

use crate::remote_answers::parrot;
use crate::support::contract::contract;
use crate::support::foreign::ForeignBucket;
use crate::support::s3_server::{BUCKET, KEY_ID, Loss, S3Server, SECRET, bucket_url, options};

/// All of any object of these tests.
pub const ALL: Span = Span::UpTo(1 << 20);

async fn s3(server: &S3Server) -> S3Remote {
    S3Remote::open(&server.url("users/me"), &server.options()).await.unwrap()
}

/// A remote at an endpoint that is not ours to configure.
pub async fn s3_at(endpoint: &str) -> S3Remote {
    S3Remote::open(&bucket_url(BUCKET, ""), &options(endpoint, KEY_ID, SECRET)).await.unwrap()
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&MemoryRemote::default()).await;
}

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = fresh_folder();
    let root = folder.path().join("remote");
    let url = RemoteUrl::Folder(root.clone());
    let entropy = Arc::new(SystemEntropy);
    let missing = open(&url, &S3Options::default(), entropy.clone()).await.unwrap_err();
    assert_eq!(missing.kind, RemoteErrorKind::Unplugged);
    FolderRemote::create(&root, entropy.clone()).await.unwrap();
    contract(&open(&url, &S3Options::default(), entropy).await.unwrap()).await;
}

#[tokio::test]
async fn s3_keeps_the_contract_at_the_root_of_a_bucket_and_below_a_prefix() {
    let server = S3Server::start().await;
    let other = S3Remote::open(&server.url("users/you"), &server.options()).await.unwrap();
    other.put("k", Bytes::from_static(b"not mine")).await.unwrap();
    contract(&s3(&server).await).await;

    let server = S3Server::start().await;
    let url = RemoteUrl::Bucket(server.url(""));
    contract(&open(&url, &server.options(), Arc::new(SystemEntropy)).await.unwrap()).await;
}

#[tokio::test]
async fn the_decorators_keep_the_contract() {
    let meter = Meter::default();
    let inner: Arc<dyn Remote> = Arc::new(MemoryRemote::with_clock(Arc::new(SystemClock::new())));
    let remote = Metered::new(Limited::new(inner, 3), meter.clone());
    let policy = RetryPolicy { attempts: 2, base: Duration::ZERO, max: Duration::ZERO };
    contract(&Retry::new(remote, policy, Arc::new(SystemEntropy))).await;
    assert!(meter.read().requests > 1000);
}

/// rclone, MinIO, Garage or moto, started by CI.
#[tokio::test]
async fn a_foreign_server_keeps_the_contract() {
    if let Some(remote) = foreign("contract").await {
        contract(&remote).await;
    }
}

/// A place of its own in the bucket that the environment names, if it does.
pub async fn foreign(purpose: &str) -> Option<Arc<dyn Remote>> {
    let prefix = format!("{purpose}-{}", SystemClock::new().now_ms());
    Some(ForeignBucket::of_environment()?.remote(&prefix).await)
}

/// The in-process server, as the program uses it.
pub async fn in_process(server: &S3Server) -> Arc<dyn Remote> {
    Arc::new(Retry::new(s3(server).await, RetryPolicy::default(), Arc::new(SystemEntropy)))
}

#[tokio::test]
async fn a_wrong_key_is_told_from_a_key_that_may_not() {
    let server = S3Server::start().await;
    for (id, secret) in [("nobody", SECRET), (KEY_ID, "wrong")] {
        let remote = S3Remote::open(&server.url(""), &options(&server.endpoint(), id, secret)).await.unwrap();
        let error = remote.list("", None).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::BadCredentials, "{error}");
        assert!(!format!("{remote:?}").contains(secret));
        assert!(
            !error.to_string().contains(secret) && error.to_string().contains(&server.endpoint()),
            "{error}"
        );
    }
    let remote = s3(&server).await;
    for operation in ["PutObject", "GetObject", "HeadObject", "ListObjectsV2"] {
        server.forbid(operation);
    }
    for (error, capability) in [
        (remote.put("k", Bytes::new()).await.unwrap_err(), "writeFiles"),
        (remote.get("k", ALL).await.unwrap_err(), "readFiles"),
        (remote.head("k").await.unwrap_err(), "readFiles"),
        (remote.list("", None).await.unwrap_err(), "listFiles"),
    ] {
        assert_eq!(error.kind, RemoteErrorKind::Forbidden, "{error}");
        assert!(error.to_string().contains(capability), "{error}");
    }
}

#[tokio::test]
async fn a_missing_bucket_is_told_from_a_missing_object() {
    let server = S3Server::start().await;
    let remote = S3Remote::open(&bucket_url("another-bucket", ""), &server.options()).await.unwrap();
    for error in [
        remote.list("", None).await.unwrap_err(),
        remote.get("k", ALL).await.unwrap_err(),
        remote.put("k", Bytes::new()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, RemoteErrorKind::NoSuchBucket, "{error}");
    }
}

#[tokio::test]
async fn a_wish_to_slow_down_is_understood_and_kept() {
    let server = S3Server::start().await;
    let remote = s3(&server).await;
    server.throttle(1, Some(7));
    let error = remote.list("", None).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Throttled { retry_after: Some(Duration::from_secs(7)) });

    let policy = RetryPolicy { attempts: 3, base: Duration::ZERO, max: Duration::from_secs(5) };
    let remote = Retry::new(remote, policy, Arc::new(SystemEntropy));
    server.throttle(2, Some(1));
    let start = tokio::time::Instant::now();
    remote.put("k", Bytes::from_static(b"v")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(2), "two waits of the second that was asked for");
    assert_eq!(server.requests("PutObject"), 3);
}

#[tokio::test]
async fn nobody_there_is_offline() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for endpoint in [free.as_str(), "http://no-such-host.test"] {
        let error = s3_at(endpoint).await.put("k", Bytes::new()).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Offline, "{error}");
        assert!(error.to_string().contains(endpoint), "{error}");
    }
}

#[tokio::test]
async fn silence_leaves_the_outcome_open() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let patience = Duration::from_millis(200);
    let options = S3Options { operation_timeout: patience, ..options(&endpoint, KEY_ID, SECRET) };
    let remote = S3Remote::open(&bucket_url(BUCKET, ""), &options).await.unwrap();
    let error = remote.put("k", Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome, "{error}");

    let promise = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345".to_owned();
    let options = S3Options { endpoint: Some(parrot(promise).await), ..options };
    let remote = S3Remote::open(&bucket_url(BUCKET, ""), &options).await.unwrap();
    let error = remote.get("k", ALL).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::UnknownOutcome, "{error}");
}

/// The message for a user without any credentials, though the words are the SDK's.
#[tokio::test]
async fn no_credentials_are_bad_credentials() {
    let server = S3Server::start().await;
    let options = S3Options {
        key: None,
        profile: Some("a-profile-that-does-not-exist".to_owned()),
        connect_timeout: Duration::from_millis(200),
        ..server.options()
    };
    let error = S3Remote::open(&server.url(""), &options).await.unwrap().list("", None).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::BadCredentials, "{error}");
}

#[tokio::test]
async fn a_lost_answer_leaves_the_outcome_open_and_a_second_put_settles_it() {
    let server = S3Server::start().await;
    let remote = s3(&server).await;
    for (key, how, kind) in [
        ("broken", Loss::Break, RemoteErrorKind::UnknownOutcome),
        ("failed", Loss::Error, RemoteErrorKind::Server),
    ] {
        server.lose_next_put(how);
        let error = remote.put(key, Bytes::from_static(b"v")).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.kind.retryable());
        assert_eq!(remote.get(key, ALL).await.unwrap(), "v", "it had been applied");
        remote.put(key, Bytes::from_static(b"v")).await.unwrap();
    }
    assert_eq!(list_all(&remote, "", None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_put_may_come_late_and_a_listing_be_stale() {
    let server = S3Server::start().await;
    let remote = s3(&server).await;
    server.delay_next_puts(1);
    remote.put("late", Bytes::from_static(b"v")).await.unwrap_err();
    assert_eq!(remote.head("late").await.unwrap(), None);
    server.release_late_puts();
    assert_eq!(remote.get("late", ALL).await.unwrap(), "v");

    remote.put("new", Bytes::new()).await.unwrap();
    server.hide_newest(1);
    let keys: Vec<_> =
        list_all(&remote, "", None).await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["late"]);
    assert!(remote.head("new").await.unwrap().is_some());
    server.hide_newest(0);
    assert_eq!(list_all(&remote, "", None).await.unwrap().len(), 2);
}

/// The server behaves like the stores that prune is for: hidden is not freed, and a version can be.
#[tokio::test]
async fn the_test_bucket_keeps_versions_and_refuses_conditional_puts() {
    let server = S3Server::start().await;
    let remote = S3Remote::open(&server.url(""), &server.options()).await.unwrap();
    remote.put("k", Bytes::from_static(b"v")).await.unwrap();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::v2026_01_12())
        .endpoint_url(server.endpoint())
        .region(aws_sdk_s3::config::Region::from_static("us-east-1"))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(KEY_ID, SECRET, None, None, "test"))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);

    let conditional =
        client.put_object().bucket(BUCKET).key("k").if_none_match("*").send().await.unwrap_err();
    assert_eq!(conditional.raw_response().unwrap().status().as_u16(), 501);
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(remote.head("k").await.unwrap(), None);
    assert_eq!(list_all(&remote, "", None).await.unwrap(), []);

    let all = client.list_object_versions().bucket(BUCKET).prefix("k").send().await.unwrap();
    assert_eq!((all.versions().len(), all.delete_markers().len()), (1, 1), "the bytes are still there");
    let marker = all.delete_markers()[0].version_id().unwrap();
    client.delete_object().bucket(BUCKET).key("k").version_id(marker).send().await.unwrap();
    assert_eq!(remote.get("k", ALL).await.unwrap(), "v");
    let version = all.versions()[0].version_id().unwrap();
    client.delete_object().bucket(BUCKET).key("k").version_id(version).send().await.unwrap();
    let all = client.list_object_versions().bucket(BUCKET).send().await.unwrap();
    assert!(all.versions().is_empty() && all.delete_markers().is_empty());

    // The same calls as prune: every version of exactly this key, and its bytes are free.
    for key in ["k", "k", "k2"] {
        remote.put(key, Bytes::from_static(b"v")).await.unwrap();
    }
    client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    remote.delete("k").await.unwrap();
    let all = client.list_object_versions().bucket(BUCKET).send().await.unwrap();
    let left: Vec<_> = all.versions().iter().filter_map(|version| version.key()).collect();
    assert_eq!((left, all.delete_markers().len()), (vec!["k2"], 0));
    server.forbid("ListObjectVersions");
    let error = remote.delete("k2").await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Forbidden, "what could only be hidden is left alone: {error}");
    assert!(remote.head("k2").await.unwrap().is_some());
}
