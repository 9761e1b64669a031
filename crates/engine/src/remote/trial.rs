//! A trial of a store: one small object is written, read, listed and deleted again.
//!
//! A store, or the rights of its key, may allow one of these and not another, which otherwise shows
//! only weeks later, when a prune wants to delete. Nothing depends on the object: what a store does
//! not let go of stays below `probe/`, where nothing is ever looked for.

use bytes::Bytes;

use super::{Remote, RemoteError, RemoteErrorKind, Span};
use crate::clock::{Entropy, random};

/// Bytes of the object.
const BODY: &[u8] = b"cogzy-vault tries what this store takes";

/// Call of a trial that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Nothing can be written.
    Writing(RemoteError),
    /// The object cannot be read, or reads as another.
    Reading(RemoteError),
    /// The object is not listed.
    Listing(RemoteError),
    /// The object cannot be deleted.
    Deleting(RemoteError),
}

/// Tries a store. Returns what it refuses for good, in the order of the calls.
///
/// # Errors
/// Failures of another kind: the store cannot be reached or does not know the key.
pub async fn trial(remote: &dyn Remote, entropy: &dyn Entropy) -> Result<Vec<Refused>, RemoteError> {
    let key = format!("probe/{:016x}", u64::from_le_bytes(random(entropy)));
    if let Some(refused) = refused(remote.put(&key, Bytes::from_static(BODY)).await, Refused::Writing)? {
        return Ok(vec![refused]);
    }
    let all = [
        refused(read(remote, &key).await, Refused::Reading)?,
        refused(remote.list(&key, None).await, Refused::Listing)?,
        refused(remote.delete(&key).await, Refused::Deleting)?,
    ];
    Ok(all.into_iter().flatten().collect())
}

async fn read(remote: &dyn Remote, key: &str) -> Result<(), RemoteError> {
    let (whole, part) = (BODY.len() as u64, 6..11);
    let read = remote.get(key, Span::UpTo(whole)).await?;
    if read != BODY || remote.get(key, Span::Part(part)).await? != BODY.get(6..11).unwrap_or_default() {
        return Err(RemoteError::new(RemoteErrorKind::Malformed, "get", key));
    }
    Ok(())
}

fn refused<T>(
    tried: Result<T, RemoteError>,
    what: fn(RemoteError) -> Refused,
) -> Result<Option<Refused>, RemoteError> {
    match tried {
        Ok(_) => Ok(None),
        Err(error) if is_refusal(error.kind) => Ok(Some(what(error))),
        Err(error) => Err(error),
    }
}

const fn is_refusal(kind: RemoteErrorKind) -> bool {
    matches!(kind, RemoteErrorKind::Forbidden | RemoteErrorKind::Other | RemoteErrorKind::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;
    use crate::remote::MemoryRemote;

    #[tokio::test]
    async fn a_store_that_takes_everything_is_left_as_it_was() {
        let store = MemoryRemote::default();
        assert_eq!(trial(&store, &SystemEntropy).await.unwrap(), []);
        assert_eq!(store.list("", None).await.unwrap().objects, []);
    }
}
