//! The bucket as its own commits tell it, read apart from any device.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::log::{Depth, Log, Snapshot};
use cogzy_engine::model::{CommitKey, Digest, VaultPath};
use cogzy_engine::remote::{Remote, RemoteUrl, list_all};
use cogzy_s3::S3Options;
use cogzy_vault::assemble::open;

use super::no_cache::NoCache;
use super::s3_server::S3Server;

/// The bucket of some machines.
#[derive(Debug, Clone)]
pub struct Bucket(Arc<dyn Remote>);

impl Bucket {
    /// The one in `folder/bucket`.
    pub async fn in_folder(folder: &Path) -> Self {
        let url = RemoteUrl::Folder(folder.canonicalize().unwrap().join("bucket/users/default"));
        Self(open(&url, &S3Options::default(), Arc::new(SystemEntropy)).await.unwrap())
    }

    /// The one on `server`.
    pub async fn on_server(server: &S3Server) -> Self {
        let url = RemoteUrl::Bucket(server.url("memory/users/default"));
        Self(open(&url, &server.options(), Arc::new(SystemEntropy)).await.unwrap())
    }

    /// The one that `remote` reads.
    pub fn of(remote: Arc<dyn Remote>) -> Self {
        Self(remote)
    }

    /// The remote that it lies on.
    pub fn remote(&self) -> Arc<dyn Remote> {
        Arc::clone(&self.0)
    }

    /// Counts the objects whose keys begin so.
    pub async fn count(&self, prefix: &str) -> usize {
        list_all(self.0.as_ref(), prefix, None).await.unwrap().len()
    }

    /// Adds up the bytes of the objects whose keys begin so.
    pub async fn bytes(&self, prefix: &str) -> u64 {
        list_all(self.0.as_ref(), prefix, None).await.unwrap().iter().map(|object| object.size).sum()
    }

    /// The log of all that was ever committed.
    pub async fn log(&self) -> Log {
        let mut log = Log::open(Arc::clone(&self.0), Arc::new(NoCache)).await.unwrap().unwrap();
        log.refresh(Depth::Whole).await.unwrap();
        log
    }

    /// Commits without a child.
    pub async fn heads(&self) -> Vec<CommitKey> {
        self.log().await.graph().heads()
    }

    /// The newest state. There must be one head.
    pub async fn head(&self) -> Arc<Snapshot> {
        let mut log = self.log().await;
        let heads = log.graph().heads();
        assert_eq!(heads.len(), 1, "more than one head");
        log.snapshot(Some(heads[0])).await.unwrap()
    }

    /// Every content that a commit ever had at `path`.
    pub async fn versions(&self, path: &str) -> BTreeSet<Digest> {
        let (mut log, path) = (self.log().await, VaultPath::new(path).unwrap());
        let keys: Vec<CommitKey> = log.graph().iter().map(|(key, _)| key).collect();
        let mut versions = BTreeSet::new();
        for key in keys {
            versions.extend(log.snapshot(Some(key)).await.unwrap().tree.get(&path).map(|entry| entry.digest));
        }
        versions
    }
}
