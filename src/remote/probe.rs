//! A look at a remote without changing anything there, for whoever looks for a fault.

use std::sync::Arc;

use super::{FolderRemote, Remote, RemoteError, RemoteUrl, S3Options, S3Remote};
use crate::clock::Entropy;

/// What a remote says of itself.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Whom it was asked of: an endpoint, or a folder.
    pub endpoint: String,
    /// Whether it can be listed.
    pub listed: Result<(), RemoteError>,
    /// The store's clock, in milliseconds since the Unix epoch, where it has one.
    pub server_ms: Option<i64>,
    /// Whether it keeps every version of an object, where it tells.
    pub versioned: Option<bool>,
}

/// Asks the remote at `url`.
///
/// # Errors
/// Where it cannot even be opened; see [`super::open`].
pub async fn probe(url: &RemoteUrl, s3: &S3Options, entropy: Arc<dyn Entropy>) -> Result<Probe, RemoteError> {
    match url {
        RemoteUrl::Bucket(url) => Ok(S3Remote::open(url, s3).await?.probe().await),
        RemoteUrl::Folder(root) => {
            let remote = FolderRemote::open(root, entropy).await?;
            let listed = remote.list("commits/", None).await.map(drop);
            let endpoint = root.display().to_string();
            Ok(Probe { endpoint, listed, server_ms: None, versioned: Some(false) })
        }
    }
}
