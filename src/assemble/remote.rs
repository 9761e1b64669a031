//! The remote: its adapter, chosen by the URL, and the decorators around it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::time::Duration;

use super::{AssembleError, Assembly, clock, entropy};
use cogzy_client::paths::embedded_remote;
use cogzy_engine::clock::Entropy;
use cogzy_engine::remote::{
    FolderRemote, Limited, Meter, Metered, Paced, Probe, Refused, Remote, RemoteError, RemoteUrl, Retry,
    RetryPolicy, Store, trial,
};
use cogzy_s3::{S3Options, S3Remote};

/// The longest time a probe waits for a connection.
const PROBE_CONNECT: Duration = Duration::from_secs(10);
/// The longest time a probe waits for an answer.
const PROBE_ANSWER: Duration = Duration::from_secs(30);

/// Opens the remote at `url`, without any decorator. A folder must have been made by
/// [`FolderRemote::create`] before; a bucket is not asked anything yet, so that an offline machine
/// can start.
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

/// Probes the remote at `url`, and changes nothing there.
///
/// # Errors
/// If it cannot even be opened; see [`open`].
pub async fn probe(url: &RemoteUrl, s3: &S3Options, entropy: Arc<dyn Entropy>) -> Result<Probe, RemoteError> {
    match url {
        RemoteUrl::Bucket(url) => Ok(S3Remote::open(url, s3).await?.probe().await),
        RemoteUrl::Folder(root) => Ok(FolderRemote::open(root, entropy).await?.probe().await),
    }
}

impl Assembly<'_> {
    /// Makes the folder of a `file://` remote, for `init` and the embedded default; a bucket is not
    /// made.
    ///
    /// # Errors
    /// See [`FolderRemote::create`].
    pub async fn make_remote_folder(&self) -> Result<(), AssembleError> {
        if let RemoteUrl::Folder(root) = self.remote {
            if self.config.remote.is_none() {
                // The vault's files may be for nobody else. Where it cannot be made, the next call
                // says why.
                let beside = embedded_remote(&self.config.vault);
                let _made = DirBuilder::new().mode(0o700).create(beside);
            }
            FolderRemote::create(root, entropy()).await?;
        }
        Ok(())
    }

    /// Probes the remote, and waits for no slow answer.
    ///
    /// # Errors
    /// See [`probe`].
    pub async fn probe(&self) -> Result<Probe, AssembleError> {
        let options = S3Options {
            connect_timeout: PROBE_CONNECT,
            operation_timeout: PROBE_ANSWER,
            ..self.s3_options(self.remote)?
        };
        Ok(probe(self.remote, &options, entropy()).await?)
    }

    /// Tries the remote with a small object. Returns what it refuses.
    ///
    /// # Errors
    /// If it cannot be reached; see [`trial`].
    pub async fn trial(&self) -> Result<Vec<Refused>, AssembleError> {
        let remote = self.decorated_remote(Meter::default()).await?;
        Ok(trial(remote.as_ref(), entropy().as_ref()).await?)
    }

    /// The number of devices that have said in the bucket what they read, this one or not.
    ///
    /// # Errors
    /// If the remote cannot be listed.
    pub async fn devices(&self) -> Result<usize, AssembleError> {
        let remote = open(self.remote, &self.s3_options(self.remote)?, entropy()).await?;
        Ok(cogzy_engine::sync::devices(remote.as_ref()).await?)
    }

    /// The remote at `url`, or the vault's own, for reading plain objects.
    ///
    /// # Errors
    /// If the URL cannot be used, or names a folder other than the vault's remote; see [`open`].
    pub async fn plain_source(&self, url: Option<&str>) -> Result<Arc<dyn Remote>, AssembleError> {
        let url = match url {
            Some(url) => url.parse()?,
            None => self.remote.clone(),
        };
        if let (RemoteUrl::Folder(folder), false) = (&url, url == *self.remote) {
            return Err(AssembleError::FolderSource(folder.clone()));
        }
        let limited =
            Limited::new(open(&url, &self.s3_options(&url)?, entropy()).await?, self.config.s3.concurrency);
        Ok(Arc::new(Retry::new(limited, RetryPolicy::default(), entropy())))
    }

    /// The vault's remote with its decorators, from the inside out: traffic is counted on `meter`,
    /// requests and bytes are kept within their limits, and failed requests are repeated.
    pub(super) async fn decorated_remote(&self, meter: Meter) -> Result<Arc<dyn Remote>, AssembleError> {
        let adapter: Arc<dyn Remote> = match self.remote {
            // A disk that is not mounted yet may come.
            RemoteUrl::Folder(root) => Arc::new(FolderRemote::at(root, entropy())),
            url @ RemoteUrl::Bucket(_) => open(url, &self.s3_options(url)?, entropy()).await?,
        };
        let metered = Metered::new(adapter, meter);
        let limited = Limited::new(metered, self.config.s3.concurrency);
        let limits = &self.config.limits;
        let paced = Paced::new(limited, limits.upload, limits.download, clock());
        Ok(Arc::new(Retry::new(paced, RetryPolicy::default(), entropy())))
    }

    /// The settings for the bucket at `url`. The vault's own are not those of a store of the other
    /// kind, from which something is imported.
    fn s3_options(&self, url: &RemoteUrl) -> Result<S3Options, AssembleError> {
        self.environment.check_aws()?;
        let s3 = &self.config.s3;
        let (kind, ours) = (store(url), store(self.remote));
        let foreign = ours.is_some() && kind != ours;
        let fits = |endpoint: &String| !foreign || kind == Some(Store::B2) && S3Options::is_b2s(endpoint);
        let endpoint = s3.endpoint.clone().filter(fits);
        // B2's endpoint follows from its region, which no other setting names.
        let region = s3.region.clone().filter(|_| !foreign || kind == Some(Store::B2));
        let takes_b2_key = kind == Some(Store::B2) || endpoint.is_some();
        Ok(S3Options {
            endpoint,
            region,
            profile: s3.profile.clone(),
            path_style: s3.path_style.filter(|_| !foreign),
            insecure: s3.insecure,
            // A B2 key is meant for B2, or for whatever endpoint is given; AWS does not know it.
            key: if takes_b2_key { self.environment.b2_key()? } else { None },
            ca_files: self.environment.ca_files(),
            proxied: self.environment.names_a_proxy(),
            connect_timeout: s3.connect_timeout,
            operation_timeout: s3.operation_timeout,
        })
    }
}

/// The kind of store that a bucket is in.
const fn store(url: &RemoteUrl) -> Option<Store> {
    match url {
        RemoteUrl::Bucket(url) => Some(url.store()),
        RemoteUrl::Folder(_) => None,
    }
}

#[cfg(test)]
mod tests;
