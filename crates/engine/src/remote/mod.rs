//! The object-store port: one small trait, its adapters and its decorators.
//!
//! # Contract
//! - Objects are immutable and keys are never reused: a second PUT of a key carries the same bytes.
//!   So every call is idempotent and may be repeated after any error that is
//!   [`RemoteErrorKind::retryable`].
//! - A PUT is atomic: a reader sees the whole object or none. It may be applied *after* its error
//!   was returned ([`RemoteErrorKind::UnknownOutcome`]), at any later time.
//! - A successful GET returns exactly the bytes asked for. They may still be damaged: a caller that
//!   knows the digest checks it.
//! - A GET never holds more bytes than were asked for, whatever the store sends: a [`Span`] always
//!   has an end.
//! - LIST returns keys in byte order, strictly after `after`. A listing may be stale (an object may
//!   be missing for a while after its PUT) but is never torn: a failure in the middle is an error,
//!   never a shorter page.
//! - No conditional PUTs, multipart uploads or metadata are used: B2 answers 501 to the first, and
//!   packs are small enough to do without the second.
//!
//! Keys are relative to the prefix of the remote's URL: ASCII names joined by single slashes.
//!
//! Adapters do not retry; [`Retry`] does. [`Metered`] counts the transfer, repeated calls included.
//! The usual stack is `Retry(Paced(Limited(Metered(adapter))))`. The layers above do not know the
//! store.

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
mod trial;
mod url;

pub use error::{RemoteError, RemoteErrorKind};
pub use folder::FolderRemote;
pub use limit::Limited;
pub use memory::MemoryRemote;
pub use metered::{Meter, Metered, Transfer};
pub use paced::Paced;
pub use retry::{Retry, RetryPolicy};
pub use trial::{Refused, trial};
pub use url::{BucketUrl, RemoteUrl, Store, UrlError};

/// Maximum number of objects in one page of a listing, as in S3.
pub const PAGE: usize = 1000;

/// Maximum number of objects in a whole listing: enough for 30 TB of packs.
pub const MAX_LISTED: usize = 1 << 21;

/// Object as described by a listing or a HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Key relative to the remote's prefix.
    pub key: String,
    /// Length in bytes.
    pub size: u64,
    /// Time of the PUT, in milliseconds since the Unix epoch by the store's clock.
    pub modified_ms: i64,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Objects, by key.
    pub objects: Vec<Object>,
    /// True if more objects follow the last one.
    pub more: bool,
}

/// Bytes that a GET asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// All of the object, if it has no more bytes than this.
    UpTo(u64),
    /// These bytes: not empty, and within the object.
    Part(Range<u64>),
}

impl Span {
    /// These of the bytes of an object.
    ///
    /// # Errors
    /// See [`Remote::get`].
    pub(crate) fn of(&self, key: &str, object: &Bytes) -> Result<Bytes, RemoteError> {
        let size = object.len() as u64;
        let range = match self {
            Self::UpTo(limit) if size <= *limit => return Ok(object.clone()),
            Self::UpTo(limit) => return Err(too_large(key, *limit, Some(size))),
            Self::Part(range) => range,
        };
        let end = usize::try_from(range.end).ok().filter(|end| *end <= object.len());
        match (usize::try_from(range.start), end) {
            (Ok(start), Some(end)) if start < end => Ok(object.slice(start..end)),
            _ => Err(no_such_range(key, range, Some(size))),
        }
    }
}

impl From<Range<u64>> for Span {
    fn from(range: Range<u64>) -> Self {
        Self::Part(range)
    }
}

/// Properties of a store that matter to its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// True if requests cost money and a round trip, so that joining neighbouring reads pays off.
    pub metered: bool,
}

/// Diagnosis of a remote. Collecting it changes nothing.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Endpoint or folder that answered.
    pub endpoint: String,
    /// Result of a listing.
    pub listed: Result<(), RemoteError>,
    /// The store's clock, in milliseconds since the Unix epoch, if it has one.
    pub server_ms: Option<i64>,
    /// True if the store keeps every version of an object. `None` if unknown.
    pub versioned: Option<bool>,
    /// Days for which the store lets nobody delete a new object (Object Lock); 0 if it has no such
    /// rule. `None` if unknown.
    pub locked_days: Option<u32>,
}

/// An object store below one prefix.
#[async_trait]
pub trait Remote: Send + Sync + Debug {
    /// URL of the remote for messages, without credentials.
    fn url(&self) -> String;

    /// Properties of the store.
    fn capabilities(&self) -> Capabilities;

    /// Stores a whole object.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError>;

    /// Reads an object, or a part of it.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`]. A part outside the object is `Malformed`, an object of more bytes
    /// than the span allows `TooLarge`.
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError>;

    /// Looks up an object without reading it. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError>;

    /// Lists one page of the objects whose key starts with `prefix`, in byte order, strictly after
    /// the key `after`.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError>;

    /// Deletes an object and frees its bytes. If the store keeps versions, it deletes all of them.
    /// Deleting a missing object succeeds. Only a prune calls this.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn delete(&self, key: &str) -> Result<(), RemoteError>;

    /// Deletes objects like [`Remote::delete`], as many at once as the store takes. One that cannot
    /// be deleted keeps the others from nothing, and its error is returned.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        let mut done = Ok(());
        for key in keys {
            match self.delete(key).await {
                // All others would fail alike.
                Err(error) if error.kind.offline() => return Err(error),
                deleted => done = done.and(deleted),
            }
        }
        done
    }

    /// Time of the store's clock, which also dates objects, in milliseconds since the Unix epoch.
    /// It may be rounded down to a whole second.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`]. A store that does not tell the time is `Malformed`.
    async fn server_ms(&self) -> Result<i64, RemoteError>;

    /// Removes what PUTs that were cut short more than a day ago, by the store's clock, left behind
    /// and no listing shows. Returns how much there was. Only a prune calls this.
    ///
    /// # Errors
    /// See [`RemoteErrorKind`].
    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        Ok(0)
    }

    /// Lets go of connections and of what was read of credentials: the next call makes and reads
    /// them anew. A call under way ends with `UnknownOutcome`.
    fn renew(&self) {}
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

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        (**self).get(key, span).await
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

    async fn delete_all(&self, keys: &[String]) -> Result<(), RemoteError> {
        (**self).delete_all(keys).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        (**self).server_ms().await
    }

    async fn clear_leftovers(&self) -> Result<usize, RemoteError> {
        (**self).clear_leftovers().await
    }

    fn renew(&self) {
        (**self).renew();
    }
}

/// Creates the error of a GET for bytes outside the object.
#[must_use]
pub fn no_such_range(key: &str, range: &Range<u64>, size: Option<u64>) -> RemoteError {
    let size = size.map_or_else(String::new, |size| format!(" of {size} bytes"));
    RemoteError::new(RemoteErrorKind::Malformed, "get", key)
        .because(format!("the object{size} does not have the bytes {}..{}", range.start, range.end))
}

/// Creates the error of a GET for an object of more than `limit` bytes.
#[must_use]
pub fn too_large(key: &str, limit: u64, size: Option<u64>) -> RemoteError {
    let error = RemoteError::new(RemoteErrorKind::TooLarge { limit }, "get", key);
    match size {
        Some(size) => error.because(format!("it has {size}")),
        None => error,
    }
}

/// Lists all objects whose key starts with `prefix`, after the key `after`, page by page.
///
/// # Errors
/// Errors of [`Remote::list`]. A store that announces more objects but returns none is `Malformed`;
/// one that lists more than [`MAX_LISTED`] is not believed.
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
        if objects.len() > MAX_LISTED {
            return Err(RemoteError::new(RemoteErrorKind::Other, "list", prefix)
                .because(format!("there are more than {MAX_LISTED} objects: something else writes there")));
        }
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
