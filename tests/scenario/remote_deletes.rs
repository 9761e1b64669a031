//! Many objects deleted at once in an S3 store: what goes, what is told of what does not, and what
//! is asked of a store that knows no such request.

use bytes::Bytes;
use cogzy_engine::remote::{Remote, RemoteErrorKind, list_all};
use cogzy_s3::S3Remote;

use crate::support::s3_server::{Quirk, S3Server};

const COUNT: usize = 30;

/// A bucket with packs, each put twice, and others between and beside them.
async fn filled(server: &S3Server) -> (S3Remote, Vec<String>) {
    let remote = S3Remote::open(&server.url("users/me"), &server.options()).await.unwrap();
    let mut doomed = Vec::new();
    for number in 0..COUNT {
        let key = format!("packs/{:02x}/{number:04}", number * 7);
        for body in ["first", "second"] {
            remote.put(&key, Bytes::from_static(body.as_bytes())).await.unwrap();
        }
        remote.put(&format!("{key}0"), Bytes::from_static(b"begins alike")).await.unwrap();
        doomed.push(key);
    }
    remote.put("packs/other", Bytes::from_static(b"stays")).await.unwrap();
    (remote, doomed)
}

async fn keys(remote: &S3Remote) -> Vec<String> {
    list_all(remote, "", None).await.unwrap().into_iter().map(|object| object.key).collect()
}

fn is_kept(key: &str) -> bool {
    key == "packs/other" || key.len() > "packs/00/0000".len()
}

#[tokio::test]
async fn all_versions_of_many_objects_go_with_few_requests() {
    for page in [1000, 7] {
        let server = S3Server::start().await;
        server.list_versions_by(page);
        let (remote, doomed) = filled(&server).await;
        remote.delete_all(&doomed).await.unwrap();
        let left = keys(&remote).await;
        assert!(left.len() == COUNT + 1 && left.iter().all(|key| is_kept(key)), "{left:?}");
        assert_eq!((server.requests("DeleteObjects"), server.requests("DeleteObject")), (1, 0));
        let pages = server.requests("ListObjectVersions");
        assert!(pages <= (3 * COUNT / page + 2) as u64, "{pages} pages");
        // Nothing came forth from below what was deleted.
        remote.delete_all(&doomed).await.unwrap();
        assert_eq!(server.requests("DeleteObjects"), 1, "there is no version left");
    }
}

#[tokio::test]
async fn what_lies_between_two_keys_is_jumped_over() {
    let server = S3Server::start().await;
    server.list_versions_by(4);
    let (remote, doomed) = filled(&server).await;
    let far = [doomed[0].clone(), doomed[COUNT - 1].clone()];
    remote.delete_all(&far).await.unwrap();
    assert!(server.requests("ListObjectVersions") <= 4, "{}", server.requests("ListObjectVersions"));
    assert_eq!(keys(&remote).await.len(), 2 * COUNT + 1 - 2);
}

#[tokio::test]
async fn an_object_that_stays_is_named_and_all_others_go() {
    let server = S3Server::start().await;
    let (remote, doomed) = filled(&server).await;
    server.lock_against_batches(&format!("users/me/{}", doomed[3]));
    let error = remote.delete_all(&doomed).await.unwrap_err();
    assert_eq!((error.kind, error.key.as_str()), (RemoteErrorKind::Forbidden, doomed[3].as_str()), "{error}");
    assert!(error.to_string().contains("it is locked"), "{error}");
    let left: Vec<String> = keys(&remote).await.into_iter().filter(|key| !is_kept(key)).collect();
    assert_eq!(left, [doomed[3].clone()]);
}

#[tokio::test]
async fn a_store_without_deleteobjects_is_asked_for_it_once() {
    let server = S3Server::start().await;
    server.play(Quirk::NoBatches);
    let (remote, doomed) = filled(&server).await;
    for half in doomed.chunks(COUNT / 2) {
        remote.delete_all(half).await.unwrap();
    }
    assert!(keys(&remote).await.iter().all(|key| is_kept(key)));
    assert_eq!((server.requests("DeleteObjects"), server.requests("DeleteObject")), (1, 2 * COUNT as u64));
}

#[tokio::test]
async fn a_store_that_ignores_versions_gets_a_plain_delete() {
    let server = S3Server::start().await;
    server.keep_no_versions();
    server.play(Quirk::IgnoresVersions);
    let (remote, doomed) = filled(&server).await;
    remote.delete(&doomed[0]).await.unwrap();
    remote.delete_all(&doomed[1..]).await.unwrap();
    let left = keys(&remote).await;
    assert!(left.len() == COUNT + 1 && left.iter().all(|key| is_kept(key)), "{left:?}");
}
