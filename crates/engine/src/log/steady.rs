//! Reads of objects that the way here may damage.

use bytes::Bytes;

use super::LogError;
use crate::model::Digest;
use crate::remote::{Remote, RemoteError, Span};

/// Number of reads of an object whose bytes are damaged differently each time: then the network
/// damages them.
const READS: usize = 3;

/// Result of reading an object until it can be opened, or has the same bytes twice.
pub(super) enum Steady<T> {
    /// It can be opened.
    Opened(T),
    /// It cannot, and these are the bytes that it has in the bucket.
    Wrong(LogError, Bytes),
    /// Each read gave other bytes: nothing is known of it.
    Unsteady,
}

/// Reads and opens an object. One that is damaged twice in the same way is damaged in the bucket.
pub(super) async fn read_steadily<T>(
    remote: &dyn Remote,
    key: &str,
    span: Span,
    open: impl Fn(&Bytes) -> Result<T, LogError>,
) -> Result<Steady<T>, RemoteError> {
    let mut before = None;
    for _ in 0..READS {
        let bytes = remote.get(key, span.clone()).await?;
        let digest = Digest::of(&bytes);
        match open(&bytes) {
            Ok(opened) => return Ok(Steady::Opened(opened)),
            Err(error) if before == Some(digest) => return Ok(Steady::Wrong(error, bytes)),
            Err(error) => {
                tracing::debug!(%error, "an object is read again: the way here may have damaged it");
            }
        }
        before = Some(digest);
    }
    Ok(Steady::Unsteady)
}
