use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;

use super::*;
use crate::clock::SystemEntropy;
use crate::remote::list_all;

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

async fn fresh() -> (tempfile::TempDir, FolderRemote) {
    let folder = tempfile::tempdir().unwrap();
    let remote = FolderRemote::create(&folder.path().join("a/b"), entropy()).await.unwrap();
    (folder, remote)
}

async fn kind_of_put(remote: &FolderRemote, key: &str) -> RemoteErrorKind {
    remote.put(key, Bytes::from_static(b"x")).await.unwrap_err().kind
}

#[tokio::test]
async fn only_a_created_remote_can_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let error = FolderRemote::open(folder.path(), entropy()).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Unplugged);
    FolderRemote::create(folder.path(), entropy()).await.unwrap();
    let remote = FolderRemote::open(folder.path(), entropy()).await.unwrap();
    assert_eq!(list_all(&remote, "", None).await.unwrap(), []);
    assert_eq!(remote.url(), format!("file://{}", folder.path().display()));
}

#[tokio::test]
async fn an_unmounted_disk_is_not_an_empty_bucket() {
    let (_folder, remote) = fresh().await;
    remote.put("k", Bytes::from_static(b"v")).await.unwrap();
    fs::rename(&remote.root, remote.root.with_extension("away")).unwrap();
    for empty_mount_point in [false, true] {
        if empty_mount_point {
            fs::create_dir(&remote.root).unwrap();
        }
        let errors = [
            remote.list("", None).await.unwrap_err(),
            remote.head("k").await.unwrap_err(),
            remote.get("k", Span::UpTo(9)).await.unwrap_err(),
            remote.put("k", Bytes::new()).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind == RemoteErrorKind::Unplugged), "{errors:?}");
    }
    assert_eq!(fs::read_dir(&remote.root).unwrap().count(), 0, "the mount point must stay empty");
}

#[tokio::test]
async fn no_key_leads_out_of_the_root_or_to_our_own_files() {
    let (folder, remote) = fresh().await;
    for key in [
        "",
        "/",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        "/etc/passwd",
        ".",
        "a\\b",
        "a\0b",
        MARKER,
        "a/.cogzy-tmp-1",
    ] {
        assert_eq!(kind_of_put(&remote, key).await, RemoteErrorKind::Other, "{key:?}");
        assert_eq!(remote.get(key, Span::UpTo(9)).await.unwrap_err().kind, RemoteErrorKind::Other, "{key:?}");
        assert_eq!(remote.head(key).await.unwrap_err().kind, RemoteErrorKind::Other, "{key:?}");
    }
    fs::write(folder.path().join("secret"), "s").unwrap();
    symlink(folder.path().join("secret"), remote.root.join("link")).unwrap();
    symlink(folder.path(), remote.root.join("out")).unwrap();
    assert_eq!(remote.get("link", Span::UpTo(9)).await.unwrap_err().kind, RemoteErrorKind::NotFound);
    assert_eq!(list_all(&remote, "", None).await.unwrap(), []);
}

#[tokio::test]
async fn leftovers_of_a_crash_are_not_listed() {
    let (_folder, remote) = fresh().await;
    remote.put("packs/aa/1", Bytes::from_static(b"v")).await.unwrap();
    fs::write(remote.root.join("packs/aa/.cogzy-tmp-00"), "half").unwrap();
    let keys: Vec<_> =
        list_all(&remote, "", None).await.unwrap().into_iter().map(|object| object.key).collect();
    assert_eq!(keys, ["packs/aa/1"]);
}

#[tokio::test]
async fn leftovers_of_a_crash_go_after_a_day() {
    let (_folder, remote) = fresh().await;
    remote.put("packs/aa/1", Bytes::from_static(b"v")).await.unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    let now_ms = u64::try_from(remote.server_ms().await.unwrap()).unwrap();
    let now = std::time::UNIX_EPOCH + std::time::Duration::from_millis(now_ms);
    let files = [("packs/aa/.cogzy-tmp-00", true), ("packs/aa/.cogzy-tmp-01", false), ("packs/aa/2", true)];
    for (name, old) in files {
        let file = fs::File::create(remote.root.join(name)).unwrap();
        let age = if old { day * 2 } else { day / 2 };
        file.set_modified(now - age).unwrap();
    }
    assert_eq!(remote.clear_leftovers().await.unwrap(), 1);
    let left = files.map(|(name, _)| remote.root.join(name).exists());
    assert_eq!(left, [false, true, true], "a young one may be under way, and objects are no leftovers");
    assert_eq!(remote.clear_leftovers().await.unwrap(), 0);
}

#[tokio::test]
async fn a_failed_put_leaves_no_file_and_names_the_cause() {
    let (_folder, remote) = fresh().await;
    remote.put("file", Bytes::from_static(b"v")).await.unwrap();
    assert_eq!(kind_of_put(&remote, "file/below").await, RemoteErrorKind::Other);
    remote.put("folder/k", Bytes::from_static(b"v")).await.unwrap();
    assert_eq!(kind_of_put(&remote, "folder").await, RemoteErrorKind::Other);
    assert_eq!(fs::read_dir(&remote.root).unwrap().count(), 3, "marker, file, folder");

    let read_only = |mode| fs::set_permissions(&remote.root, fs::Permissions::from_mode(mode)).unwrap();
    read_only(0o555);
    let result = remote.put("other", Bytes::new()).await;
    read_only(0o755);
    // The superuser may write everywhere.
    assert!(result.is_ok() || result.unwrap_err().kind == RemoteErrorKind::Forbidden);
}

#[test]
fn disk_errors_have_their_kinds() {
    let remote = FolderRemote::at(Path::new("/r"), entropy());
    for (error, kind) in [
        (io::ErrorKind::StorageFull, RemoteErrorKind::QuotaExceeded),
        (io::ErrorKind::QuotaExceeded, RemoteErrorKind::QuotaExceeded),
        (io::ErrorKind::PermissionDenied, RemoteErrorKind::Forbidden),
        (io::ErrorKind::ReadOnlyFilesystem, RemoteErrorKind::Forbidden),
        (io::ErrorKind::TimedOut, RemoteErrorKind::Server),
    ] {
        let told = remote.explain("put", "k", &error.into(), false);
        assert_eq!(told.kind, kind);
        assert!(told.to_string().contains("/r"), "{told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Compares with the naive way: all keys, sorted, filtered.
    #[test]
    fn listings_are_in_byte_order_over_the_whole_key(
        keys in proptest::collection::btree_set("[ab.-]{1,2}(/[ab.-]{1,2}){0,2}", 0..12),
        prefix in "[ab.-]{0,2}(/[ab]{0,1})?",
        after in proptest::option::of("[ab.-]{1,2}(/[ab.-]{1,2}){0,2}"),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (_folder, remote) = fresh().await;
            let mut stored = BTreeSet::new();
            for key in keys {
                // A key that is a folder of another, or is illegal, cannot be stored.
                if remote.put(&key, Bytes::new()).await.is_ok() {
                    stored.insert(key);
                }
            }
            let listed: Vec<_> = list_all(&remote, &prefix, after.as_deref()).await.unwrap();
            let listed: Vec<_> = listed.into_iter().map(|object| object.key).collect();
            let wanted: Vec<_> = stored
                .into_iter()
                .filter(|key| key.starts_with(&prefix) && after.as_ref().is_none_or(|after| key > after))
                .collect();
            assert_eq!(listed, wanted);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn listings_that_hang_keep_a_few_threads_however_often_they_are_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let remote = FolderRemote::create(folder.path(), entropy()).await.unwrap();
    // Stands for the threads of listings on a disk that is asleep.
    let many = u32::try_from(LISTINGS).unwrap();
    let hanging = Arc::clone(&remote.listing).acquire_many_owned(many).await.unwrap();
    for _ in 0..3 {
        let asked = remote.list("commits/", None);
        assert!(tokio::time::timeout(std::time::Duration::from_secs(5), asked).await.is_err());
    }
    let refused = remote.list("commits/", None).await.unwrap_err();
    assert!(refused.to_string().contains("have not ended"), "{refused}");
    drop(hanging);
    assert!(remote.list("commits/", None).await.is_ok());
}
