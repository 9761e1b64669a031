//! Errors of a remote, sorted by the reaction they need.

use std::time::Duration;

/// Failed call: the kind of failure, the operation, the key, and the words of the layer below.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}{}{key}: {kind}{}", if .key.is_empty() { "" } else { " " }, .detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default())]
pub struct RemoteError {
    /// Kind of failure.
    pub kind: RemoteErrorKind,
    /// Name of the call: `put`, `get`, `head`, `list`, `delete` or `time`; `open` if the remote
    /// could not be set up.
    pub operation: &'static str,
    /// Key or prefix of the call.
    pub key: String,
    /// Message of the store or the layer below, free of credentials.
    pub detail: Option<String>,
    /// Beginning of what a `get` of a part asked for, if so much came that it is worth to go on
    /// behind it. Else empty.
    pub came: Box<[u8]>,
}

/// Kinds of failure, each with its own remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RemoteErrorKind {
    /// The object does not exist.
    #[error("there is no such object")]
    NotFound,
    /// The connection could not be made: no network, name not resolved, or refused.
    #[error("the remote cannot be reached")]
    Offline,
    /// The connection broke or timed out after the request went out. A PUT may have been applied,
    /// or may yet be.
    #[error("no answer came in time; whether the request was applied is unknown")]
    UnknownOutcome,
    /// The store asks for fewer requests.
    #[error("the remote asks to slow down")]
    Throttled {
        /// Time that it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The store failed (5xx). Like [`RemoteErrorKind::UnknownOutcome`], this leaves open if a PUT
    /// was applied.
    #[error("the remote had an internal error")]
    Server,
    /// The endpoint answers, but not like an S3 store, or names another region.
    #[error("the endpoint or region is wrong")]
    WrongEndpoint,
    /// The store's certificate is not trusted, or the file with trusted ones cannot be used.
    #[error("the store's certificate is not trusted")]
    Untrusted,
    /// The key id or the secret is not accepted, or none is configured.
    #[error("the remote does not accept the credentials")]
    BadCredentials,
    /// The key is valid but lacks this permission.
    #[error("the key lacks the capability for this")]
    Forbidden,
    /// The bucket does not exist.
    #[error("there is no such bucket")]
    NoSuchBucket,
    /// The folder of a `file://` remote is missing: mostly its disk is not plugged in.
    #[error("the backup folder is missing")]
    Unplugged,
    /// A setting that leads to the remote is missing or impossible.
    #[error("the remote is not fully configured")]
    Unconfigured,
    /// A cap, a quota or the disk is used up.
    #[error("a cap or quota of the remote is used up")]
    QuotaExceeded,
    /// This machine's clock is too far off for the store to accept a signature.
    #[error("this machine's clock is too far off")]
    ClockSkew,
    /// The answer does not match the request: shorter, longer, or of unknown form.
    #[error("the answer is malformed")]
    Malformed,
    /// The object has more bytes than one of its kind may have.
    #[error("the object has more than the {limit} bytes that are allowed for it")]
    TooLarge {
        /// Number of bytes allowed.
        limit: u64,
    },
    /// Any other failure that will not pass by itself.
    #[error("the remote refused")]
    Other,
}

impl RemoteErrorKind {
    /// True if the same call may succeed a little later. Calls are idempotent (objects are
    /// immutable and keys unique), so this includes a PUT of unknown outcome.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(
            self,
            Self::Offline | Self::UnknownOutcome | Self::Throttled { .. } | Self::Server | Self::Malformed
        )
    }

    /// True if the store has refused the call, which was not applied, and will not be by itself.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::Forbidden | Self::QuotaExceeded | Self::Other)
    }

    /// True if fewer calls at once may help: the line or the store could not keep up.
    #[must_use]
    pub const fn crowded(self) -> bool {
        matches!(self, Self::UnknownOutcome | Self::Throttled { .. })
    }

    /// True if the object itself is at fault, and no other object of the remote need be.
    #[must_use]
    pub const fn of_the_object(self) -> bool {
        matches!(self, Self::NotFound | Self::TooLarge { .. })
    }

    /// True if the remote is out of reach for now: a state to wait out, not a failure.
    #[must_use]
    pub const fn offline(self) -> bool {
        matches!(
            self,
            Self::Offline | Self::UnknownOutcome | Self::Throttled { .. } | Self::Server | Self::Unplugged
        )
    }
}

impl RemoteError {
    /// Creates the error of `operation` on `key`.
    #[must_use]
    pub fn new(kind: RemoteErrorKind, operation: &'static str, key: &str) -> Self {
        Self { kind, operation, key: key.to_owned(), detail: None, came: Box::default() }
    }

    /// Adds what has come of a part before the call failed.
    #[must_use]
    pub fn after(mut self, came: impl Into<Box<[u8]>>) -> Self {
        self.came = came.into();
        self
    }

    /// Adds the message of the layer below.
    #[must_use]
    pub fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
