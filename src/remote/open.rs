//! From a URL to the remote that it names.

use std::sync::Arc;

use super::{FolderRemote, Remote, RemoteError, RemoteUrl, S3Options, S3Remote};
use crate::clock::Entropy;

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
