//! The composition root: adapters of the ports, chosen by the configuration.

use std::sync::Arc;

use cogzy_engine::clock::Entropy;
use cogzy_engine::remote::{FolderRemote, Probe, Remote, RemoteError, RemoteUrl};
use cogzy_s3::{S3Options, S3Remote};

/// Opens the remote at `url`, without any decorator. A folder must have been made by [`FolderRemote::create`] before; of a
/// bucket nothing is asked yet, so that a machine that is offline can start.
///
/// # Errors
/// See [`FolderRemote::open`] and [`S3Remote::open`].
pub async fn open(
    url: &RemoteUrl,
    s3: &S3Options,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<dyn Remote>, RemoteError> {
    Ok(match url {
        RemoteUrl::Bucket(url) => Arc::new(S3Remote::open(url, s3).await?),
        RemoteUrl::Folder(root) => Arc::new(FolderRemote::open(root, entropy).await?),
    })
}

/// Asks the remote at `url` what it is, and changes nothing there.
///
/// # Errors
/// Where it cannot even be opened; see [`open`].
pub async fn probe(url: &RemoteUrl, s3: &S3Options, entropy: Arc<dyn Entropy>) -> Result<Probe, RemoteError> {
    match url {
        RemoteUrl::Bucket(url) => Ok(S3Remote::open(url, s3).await?.probe().await),
        RemoteUrl::Folder(root) => Ok(FolderRemote::open(root, entropy).await?.probe().await),
    }
}
