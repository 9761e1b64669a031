//! The line to the store: the client, how long it is waited for, and when it is made anew.
//!
//! A request lives as long as it moves. A small one that gets no first byte within seconds is taken
//! to be on a connection that died without a word: a sleep or a change of network leaves such ones
//! behind. Its pool of connections is let go with it, so that the next try does not meet another of
//! them. After a refusal the client goes as well, for its credentials are those of the day it was
//! made.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::watch;
use tokio::time::Instant;

use super::client::{self, S3Options};
use super::errors;
use super::moved::{Moved, Watch};
use cogzy_engine::remote::{BucketUrl, RemoteError, RemoteErrorKind};

/// The first patience for the first byte of an answer. It doubles with each time that it was too
/// short.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// The time between two looks at what has moved.
const ROUND: Duration = Duration::from_secs(1);
/// The number of doublings.
const MAX_SLIPS: u32 = 4;
/// The length up to which a request is small.
const SMALL: u64 = 64 << 10;
/// Bytes that the system takes over at once and sends by itself: nobody sees them move.
const HIDDEN: u64 = 4 << 20;
/// The slowest uplink that is still waited for, in bytes per second.
const SLOWEST: u64 = 8 << 10;

/// A line to one store.
#[derive(Debug)]
pub(super) struct Line {
    url: BucketUrl,
    options: S3Options,
    made: Mutex<Option<Made>>,
    count: AtomicU64,
    renewals: watch::Sender<()>,
    /// Times in a row that the patience for a first byte was too short.
    slips: AtomicU32,
}

/// A client, and its endpoint for messages.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub client: Client,
    pub endpoint: Arc<str>,
    number: u64,
}

/// A call: its name, its key, and the length of its body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub operation: &'static str,
    pub key: &'a str,
    pub length: u64,
}

impl<'a> Call<'a> {
    /// A call without a body.
    pub(super) const fn new(operation: &'static str, key: &'a str) -> Self {
        Self { operation, key, length: 0 }
    }

    pub(super) fn error(self, kind: RemoteErrorKind) -> RemoteError {
        RemoteError::new(kind, self.operation, self.key)
    }
}

impl Line {
    /// A line for the bucket at `url`.
    pub(super) async fn open(url: &BucketUrl, options: &S3Options) -> Result<Self, RemoteError> {
        let line = Self {
            url: url.clone(),
            options: options.clone(),
            made: Mutex::default(),
            count: AtomicU64::new(0),
            renewals: watch::Sender::new(()),
            slips: AtomicU32::new(0),
        };
        line.made().await?;
        Ok(line)
    }

    /// The client, made anew if the last one was let go.
    pub(super) async fn made(&self) -> Result<Made, RemoteError> {
        let kept = self.lock().clone();
        if let Some(made) = kept {
            return Ok(made);
        }
        let (client, endpoint) = client::build(&self.url, &self.options).await?;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Ok(self.lock().get_or_insert(Made { client, endpoint: endpoint.into(), number }).clone())
    }

    /// Lets go of the client, and ends the calls under way.
    pub(super) fn renew(&self) {
        *self.lock() = None;
        self.slips.store(0, Ordering::Relaxed);
        self.renewals.send_replace(());
    }

    /// The endpoint, for messages.
    pub(super) fn endpoint(&self) -> Arc<str> {
        let kept = self.lock();
        match (kept.as_ref(), &self.options.endpoint) {
            (Some(made), _) => Arc::clone(&made.endpoint),
            (None, Some(endpoint)) => endpoint.as_str().into(),
            (None, None) => self.url.to_string().into(),
        }
    }

    /// The longest time in which nothing may move.
    pub(super) const fn stall(&self) -> Duration {
        self.options.operation_timeout
    }

    /// Asks the store. The answer has come as a whole, but for the body of a GET.
    pub(super) async fn ask<T, E, F>(
        &self,
        call: Call<'_>,
        send: impl FnOnce(Client, Watch) -> F,
    ) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let made = self.made().await?;
        let moved = Arc::new(Moved::new(call.length));
        let sent = send(made.client.clone(), Watch::new(Arc::clone(&moved)));
        let answer = self.wait(call, &made, &moved, sent).await?;
        answer.map_err(|error| {
            let error = errors::explain(call.operation, call.key, &made.endpoint, error);
            if matches!(error.kind, RemoteErrorKind::BadCredentials | RemoteErrorKind::Forbidden) {
                self.let_go(&made);
            }
            error
        })
    }

    async fn wait<T>(
        &self,
        call: Call<'_>,
        made: &Made,
        moved: &Moved,
        sent: impl Future<Output = T> + Send,
    ) -> Result<T, RemoteError> {
        let mut renewed = self.renewals.subscribe();
        let mut sent = std::pin::pin!(sent);
        let (started, slips) = (Instant::now(), self.slips.load(Ordering::Relaxed));
        loop {
            let patience = self.patience(call.length, moved, slips);
            // What moves meanwhile changes the patience.
            let look = (moved.last() + patience).min(Instant::now() + ROUND);
            tokio::select! {
                biased;
                answer = &mut sent => {
                    if moved.has_answered() && started.elapsed() < FIRST_BYTE / 2 {
                        self.slips.store(slips.saturating_sub(1), Ordering::Relaxed);
                    }
                    return Ok(answer);
                }
                _ = renewed.changed() => {
                    return Err(call.error(RemoteErrorKind::UnknownOutcome)
                        .because("the connection is given up: the network or the machine has changed"));
                }
                () = tokio::time::sleep_until(look) => {}
            }
            if moved.last() + self.patience(call.length, moved, slips) <= Instant::now() {
                self.slips.store((slips + 1).min(MAX_SLIPS), Ordering::Relaxed);
                self.let_go(made);
                let what = format!("{}: nothing moved for {} s", made.endpoint, patience.as_secs());
                return Err(call.error(RemoteErrorKind::UnknownOutcome).because(what));
            }
        }
    }

    /// The time that may pass without a sign of life.
    fn patience(&self, length: u64, moved: &Moved, slips: u32) -> Duration {
        let stall = self.stall();
        // Credentials may come from a program, and the rest of an answer from a slow store.
        if !moved.has_begun() || moved.has_answered() || moved.unsent() > 0 {
            return stall;
        }
        let first = FIRST_BYTE.saturating_mul(2_u32.saturating_pow(slips)).min(stall);
        let base = if length <= SMALL { first } else { stall };
        base + Duration::from_secs(length.min(HIDDEN) / SLOWEST)
    }

    /// Lets go of a client, unless another has taken its place already.
    fn let_go(&self, made: &Made) {
        let mut kept = self.lock();
        if kept.as_ref().is_some_and(|kept| kept.number == made.number) {
            *kept = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
