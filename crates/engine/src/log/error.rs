//! Errors of the log.

use crate::content::ContentError;
use crate::model::{CommitKey, FORMAT, GroupError, Need, PackId, VaultId};
use crate::remote::{RemoteError, RemoteErrorKind};

/// Failure to read or extend the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// An object does not match its key.
    #[error("{key} is damaged: {why}")]
    Corrupt {
        /// Key of the object.
        key: String,
        /// Cause.
        why: String,
    },
    /// A later version of this program wrote an object that this one cannot read.
    #[error("{key} needs {}", newer(*.format, .needs))]
    Newer {
        /// Key of the object.
        key: String,
        /// Its format.
        format: u64,
        /// Features of it that are unknown here.
        needs: Vec<Need>,
    },
    /// A chunk could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// A commit names a pack that does not exist.
    #[error("commit {commit} names pack {pack}, which is not in the bucket")]
    MissingPack {
        /// The commit.
        commit: CommitKey,
        /// The pack.
        pack: PackId,
    },
    /// The bucket holds another vault, or none although one is expected.
    #[error("the remote holds {} and not this vault ({expected})", .found.map_or_else(|| "no vault".to_owned(), |id| format!("vault {id}")))]
    Foreign {
        /// Vault that the caller expects.
        expected: VaultId,
        /// Vault in the bucket, if any.
        found: Option<VaultId>,
    },
    /// The agreed commit is not in the past of any visible head.
    #[error(
        "commit {agreed}, which this device has agreed on, is no longer part of the remote's history: the bucket was rolled back, replaced or emptied"
    )]
    RolledBack {
        /// The commit.
        agreed: CommitKey,
    },
    /// The object to be written is larger than any reader takes.
    #[error("this is too much for one generation: {why}")]
    TooMuch {
        /// Part that is too large.
        why: String,
    },
    /// A written commit does not show up in listings.
    #[error("commit {0} was written but does not show up in listings yet")]
    NotVisible(CommitKey),
}

/// Version that reads an object, and the features that ask for it.
fn newer(format: u64, needs: &[Need]) -> String {
    // Versions are numbers joined by dots: the longest sorts last.
    let rank =
        |version: &&Need| version.since.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u64>>();
    match needs.iter().max_by_key(rank) {
        Some(need) => {
            let features: Vec<&str> = needs.iter().map(|need| need.feature.as_str()).collect();
            format!("cogzy-vault {} or newer ({})", need.since, features.join(", "))
        }
        None => format!("a newer cogzy-vault: it has format {format}, and this one reads up to {FORMAT}"),
    }
}

impl LogError {
    /// True if an object in the bucket was read but is damaged.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Content(_) | Self::Corrupt { .. } => true,
            Self::Remote(error) => matches!(error.kind, RemoteErrorKind::TooLarge { .. }),
            _ => false,
        }
    }

    /// True for an error that is about one object: it is damaged or not there. Another place may give
    /// what it held.
    pub(crate) fn is_of_a_place(&self) -> bool {
        self.is_damage() || matches!(self, Self::Remote(error) if error.kind == RemoteErrorKind::NotFound)
    }

    /// The error's words without the object's key, for damage.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Corrupt { why, .. } => why.clone(),
            Self::Newer { format, needs, .. } => format!("it needs {}", newer(*format, needs)),
            other => other.to_string(),
        }
    }

    pub(super) fn corrupt(key: impl ToString, why: impl ToString) -> Self {
        Self::Corrupt { key: key.to_string(), why: why.to_string() }
    }

    pub(crate) fn groups(key: impl ToString, error: &GroupError) -> Self {
        Self::corrupt(key, error)
    }
}

/// None for what the bucket has lost or damaged.
///
/// # Errors
/// All other errors.
pub fn unless_lost<T>(read: Result<T, LogError>) -> Result<Option<T>, LogError> {
    match read {
        Err(error) if error.is_of_a_place() => Ok(None),
        read => read.map(Some),
    }
}
