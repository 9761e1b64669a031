//! A listing of all commits that is asked for before it is needed: what its caller does meanwhile
//! costs no time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::format::{COMMITS, before_seq};
use super::{Log, LogError};
use crate::remote::{Object, Remote, RemoteError, list_all};

/// A listing on its way. It ends with this value.
#[derive(Debug)]
pub struct Ahead {
    listing: JoinSet<Result<Vec<Object>, RemoteError>>,
    asked: Duration,
}

impl Ahead {
    /// Asks for the listing of a whole refresh, at the time `now` of the caller's clock.
    #[must_use]
    pub fn begin(remote: Arc<dyn Remote>, now: Duration) -> Self {
        let mut listing = JoinSet::new();
        listing.spawn(async move { list_all(remote.as_ref(), COMMITS, Some(&before_seq(0))).await });
        Self { listing, asked: now }
    }

    /// Time at which it was asked for.
    #[must_use]
    pub const fn asked(&self) -> Duration {
        self.asked
    }
}

impl Log {
    /// Objects of the commits of generation `from` and later: those of `ahead`, if these are all.
    pub(super) async fn listing(&self, from: u64, ahead: Option<Ahead>) -> Result<Vec<Object>, LogError> {
        if let Some(Ahead { mut listing, .. }) = ahead.filter(|_| from == 0) {
            match listing.join_next().await {
                Some(Ok(listed)) => return Ok(listed?),
                Some(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                // The runtime is ending.
                Some(Err(_)) | None => {}
            }
        }
        Ok(list_all(self.remote.as_ref(), COMMITS, Some(&before_seq(from))).await?)
    }
}
