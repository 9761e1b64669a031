//! The object-store port: one small trait, its adapters and its decorators.
//!
//! # Contract
//! - Objects are immutable and keys are never used twice: a PUT of a key that exists already carries the same bytes. So
//!   every call is idempotent and may be repeated after any error that is [`RemoteErrorKind::retryable`].
//! - A PUT is atomic: a reader sees the whole object or none. It may be applied *after* its error was returned
//!   ([`RemoteErrorKind::UnknownOutcome`]), however late.
//! - A GET that succeeds returns exactly the bytes of the range. Bytes may still be damaged: whoever knows the digest checks.
//! - LIST returns keys in byte order, strictly after `after`. A listing may be stale (an object may be missing from it for a
//!   while after its PUT), but is never torn: an error in the middle is an error, never a shorter page.
//! - Nothing here asks for conditional PUTs, multipart uploads or metadata: B2 answers 501 to the first, and packs are small
//!   enough to do without the second.
//!
//! Keys are relative to the prefix of the remote's URL: ASCII names joined by single slashes. No adapter retries by itself; [`Retry`] does, and [`Metered`] counts
//! what goes over the wire, the repeated calls included; the usual pile is `Retry(Paced(Limited(Metered(adapter))))`. No layer above this one knows which store it talks to.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

mod error;
mod folder;
mod limit;
mod memory;
mod metered;
mod paced;
pub mod percent;
mod retry;
mod url;

pub use error::{RemoteError, RemoteErrorKind};
pub use folder::FolderRemote;
pub use limit::Limited;
pub use memory::MemoryRemote;
pub use metered::{Meter, Metered, Transfer};
pub use paced::Paced;
pub use retry::{Retry, RetryPolicy};
pub use url::{BucketUrl, RemoteUrl, Store, UrlError};

/// The most objects in one page of a listing: what S3 gives, and so every adapter.
pub const PAGE: usize = 1000;

/// An object as a listing or a HEAD names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key, relative to the remote's prefix.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When the store took it, in milliseconds since the Unix epoch by the store's clock.
    pub modified_ms: i64,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The objects, by key.
    pub objects: Vec<Object>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// What a store is, as far as its users may care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Requests cost money and a round trip: neighbouring reads are worth joining.
    pub metered: bool,
}

/// What a remote says of itself, for whoever looks for a fault: nothing is changed to learn it.
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

/// An object store below one prefix.
#[async_trait]
pub trait Remote: Send + Sync + Debug {
    /// The remote's URL, free of credentials, for messages.
    fn url(&self) -> String;

    /// What kind of store this is.
    fn capabilities(&self) -> Capabilities;

    /// Stores a whole object.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError>;

    /// Reads an object, or the given range of it (not empty, within the object).
    ///
    /// # Errors
    /// See [`RemoteErrorKind`]; a range that the object does not have is `Malformed`.
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, RemoteError>;

    /// Asks for an object without reading it; none where it does not exist.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError>;

    /// One page of the objects whose key starts with `prefix`, in byte order, strictly after the key `after`.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError>;

    /// Takes an object away so that its bytes are free: where the store keeps versions, all of them. An object that is not there is
    /// as good as deleted. Only a prune does this.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn delete(&self, key: &str) -> Result<(), RemoteError>;

    /// The store's clock, the one that gives objects their time, in milliseconds since the Unix epoch. It may be rounded down to a
    /// whole second.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`]; a store that does not tell the time is `Malformed`.
    async fn server_ms(&self) -> Result<i64, RemoteError>;
}

#[async_trait]
impl<R: Remote + ?Sized> Remote for Arc<R> {
    fn url(&self) -> String {
        (**self).url()
    }

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        (**self).put(key, body).await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, RemoteError> {
        (**self).get(key, range).await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        (**self).head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        (**self).list(prefix, after).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        (**self).delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        (**self).server_ms().await
    }
}

/// The error of a GET for bytes that the object does not have.
#[must_use]
pub fn no_such_range(key: &str, range: &Range<u64>, size: Option<u64>) -> RemoteError {
    let size = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
    RemoteError::new(RemoteErrorKind::Malformed, "get", key)
        .because(format!("the object{size} does not have the bytes {}..{}", range.start, range.end))
}

/// All objects whose key starts with `prefix`, after the key `after`, page by page.
///
/// # Errors
/// Those of [`Remote::list`]; a store that claims more but gives nothing is `Malformed`.
pub async fn list_all(
    remote: &dyn Remote,
    prefix: &str,
    after: Option<&str>,
) -> Result<Vec<Object>, RemoteError> {
    let mut objects: Vec<Object> = Vec::new();
    loop {
        let last = objects.last().map(|object| object.key.clone());
        let page = remote.list(prefix, last.as_deref().or(after)).await?;
        let (grew, more) = (!page.objects.is_empty(), page.more);
        objects.extend(page.objects);
        match (more, grew) {
            (false, _) => return Ok(objects),
            (true, true) => {}
            (true, false) => {
                return Err(RemoteError::new(RemoteErrorKind::Malformed, "list", prefix)
                    .because("the listing goes on but its page is empty"));
            }
        }
    }
}
