//! What can go wrong with a remote, sorted by what the caller must do.

use std::time::Duration;

/// A failed call: what kind of failure, of which operation, on which key, and the words of the layer below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}{}{key}: {kind}{}", if .key.is_empty() { "" } else { " " }, .detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
pub struct RemoteError {
    /// What the caller must do.
    pub kind: RemoteErrorKind,
    /// Which call: `put`, `get`, `head` or `list`; `open` where the remote could not even be set up.
    pub operation: &'static str,
    /// Key or prefix of the call.
    pub key: String,
    /// What the store or the layer below said, free of credentials.
    pub detail: Option<String>,
}

/// Kinds of failure, each with its own cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteErrorKind {
    /// The object is not there.
    #[error("there is no such object")]
    NotFound,
    /// No connection could be made: no network, name not resolved, refused.
    #[error("the remote cannot be reached")]
    Offline,
    /// The connection broke or the time ran out after the request went out. A PUT may or may not have been applied, and may
    /// yet be applied later.
    #[error("no answer came in time; whether the request was applied is unknown")]
    UnknownOutcome,
    /// The store asks for fewer requests.
    #[error("the remote asks to slow down")]
    Throttled {
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The store failed (5xx). Of a PUT that says no more than [`RemoteErrorKind::UnknownOutcome`] does: it may be applied.
    #[error("the remote had an internal error")]
    Server,
    /// The endpoint answers, but not as an S3 store, or names another region.
    #[error("the endpoint or region is wrong")]
    WrongEndpoint,
    /// The key id or the secret is not accepted, or none is configured.
    #[error("the remote does not accept the credentials")]
    BadCredentials,
    /// The key is good but may not do this.
    #[error("the key lacks the capability for this")]
    Forbidden,
    /// The bucket, or the folder of a `file://` remote, does not exist.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// A cap, a quota or the disk is used up.
    #[error("a cap or quota of the remote is used up")]
    QuotaExceeded,
    /// This machine's clock is too far off for the store to accept a signature.
    #[error("this machine's clock is too far off")]
    ClockSkew,
    /// The answer is not what was asked for: shorter, longer, or of no known form.
    #[error("the answer is malformed")]
    Malformed,
    /// Anything else that will not get better by itself.
    #[error("the remote refused")]
    Other,
}

impl RemoteErrorKind {
    /// Whether the same call may succeed if it is simply made again a little later. Calls are idempotent (objects are
    /// immutable and keys unique), so this holds for a PUT of unknown outcome too.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::Offline | Self::UnknownOutcome | Self::Throttled { .. } | Self::Server | Self::Malformed
        )
    }

    /// Whether the remote is out of reach for now: a state to wait out, not a failure.
    #[must_use]
    pub const fn offline(self) -> bool {
        matches!(self, Self::Offline | Self::UnknownOutcome | Self::Throttled { .. } | Self::Server)
    }
}

impl RemoteError {
    /// A failure of `operation` on `key`.
    #[must_use]
    pub fn new(kind: RemoteErrorKind, operation: &'static str, key: &str) -> Self {
        Self { kind, operation, key: key.to_owned(), detail: None }
    }

    /// The same, with what the layer below said.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
