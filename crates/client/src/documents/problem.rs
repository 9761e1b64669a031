//! Errors of the socket, in the form of RFC 9457.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use cogzy_engine::sync::{Advice, SyncError};

/// An error in the form of RFC 9457, with the next command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The kind of error: a name below `about:cogzy-vault/`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// A description of this error.
    pub detail: String,
    /// The command to run, or the thing to do, next.
    pub next: String,
    /// The kind of help that a failed cycle needs.
    pub advice: Option<Advice>,
}

impl From<&SyncError> for Problem {
    fn from(error: &SyncError) -> Self {
        let advice = error.advice();
        let (kind, title, status) = match advice {
            Advice::Offline => ("offline", "The remote is out of reach", 503),
            Advice::Again => ("failed", "The cycle did not go through", 500),
            Advice::Refused => ("refused", "The remote refuses", 502),
            Advice::Stopped => ("stopped", "The vault or its remote is not what it was", 409),
            Advice::Corrupt => ("corrupt", "Data is damaged", 500),
            Advice::Usage => ("not-possible", "What was asked for cannot be done", 422),
        };
        Self {
            kind: format!("about:cogzy-vault/{kind}"),
            title: title.to_owned(),
            status,
            detail: error.to_string(),
            next: error.next().to_owned(),
            advice: Some(advice),
        }
    }
}
