//! A listing of commits that is asked for before it is needed: what its caller does meanwhile costs
//! no time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::format::{COMMITS, before_seq};
use super::start::proved_in;
use super::{LOOK_BACK, Log, LogError, ObjectCache};
use crate::remote::{Object, Remote, RemoteError, list_all};

/// A listing on its way. It ends with this value.
#[derive(Debug)]
pub struct Ahead {
    listing: JoinSet<Result<Vec<Object>, RemoteError>>,
    from: u64,
    asked: Duration,
}

impl Ahead {
    /// Asks for the commits of generation `from` and later, at the time `now` of the caller's
    /// clock.
    #[must_use]
    pub fn begin(remote: Arc<dyn Remote>, from: u64, now: Duration) -> Self {
        let mut listing = JoinSet::new();
        listing.spawn(async move { list_from(remote.as_ref(), from).await });
        Self { listing, from, asked: now }
    }

    /// Time at which it was asked for.
    #[must_use]
    pub const fn asked(&self) -> Duration {
        self.asked
    }
}

impl Log {
    /// First generation that a refresh of depth [`super::Depth::Near`] lists.
    #[must_use]
    pub fn near(&self) -> u64 {
        self.graph.heads().first().map_or(0, |key| key.seq.saturating_sub(LOOK_BACK))
    }

    /// The same of a log that is yet to be opened.
    #[must_use]
    pub fn near_in(cache: &dyn ObjectCache) -> u64 {
        proved_in(cache).map_or(0, |key| key.seq.saturating_sub(LOOK_BACK))
    }

    /// Objects of the commits of generation `from` and later: those of `ahead`, if these are all.
    pub(super) async fn listing(&mut self, from: u64, ahead: Option<Ahead>) -> Result<Vec<Object>, LogError> {
        if let Some(listed) = self.listed.take().filter(|_| from == 0) {
            return Ok(listed);
        }
        if let Some(Ahead { mut listing, .. }) = ahead.filter(|ahead| ahead.from <= from)
            && let Some(listed) = ended(&mut listing).await
        {
            return Ok(listed?);
        }
        Ok(list_from(self.remote.as_ref(), from).await?)
    }
}

/// Lists the commits of generation `from` and later.
pub(super) async fn list_from(remote: &dyn Remote, from: u64) -> Result<Vec<Object>, RemoteError> {
    list_all(remote, COMMITS, Some(&before_seq(from))).await
}

/// What a task has come to. None where the runtime ends.
pub(super) async fn ended<T: 'static>(task: &mut JoinSet<T>) -> Option<T> {
    match task.join_next().await? {
        Ok(came) => Some(came),
        Err(broken) if broken.is_panic() => std::panic::resume_unwind(broken.into_panic()),
        Err(_) => None,
    }
}
