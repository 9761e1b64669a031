//! Errors that stop a cycle, each with advice.
//!
//! Nothing is decided here but the advice: the class of an error, and the next command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Refusal;
use crate::content::ContentError;
use crate::fs::{IoAt, is_full};
use crate::log::LogError;
use crate::model::{Digest, GroupError};
use crate::remote::{RemoteError, RemoteErrorKind};
use crate::state::{DatabaseError, RecordError};
use crate::vault::trash::TrashError;
use crate::vault::{ApplyError, FilterError, JournalError, MarkerError, ScanError, StageError};

/// A cycle that could not be finished. It loses nothing: the next one goes on from the disk and the
/// bucket.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The root or its marker is missing or not this vault's.
    #[error(transparent)]
    Marker(#[from] MarkerError),
    /// The vault cannot be scanned.
    #[error(transparent)]
    Scan(ScanError),
    /// A file cannot be put in its place.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A file cannot be staged.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The trash cannot be dealt with.
    #[error(transparent)]
    Trash(#[from] TrashError),
    /// One of our own files does not parse.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// Damaged file.
        path: PathBuf,
        /// Cause.
        why: String,
    },
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] IoAt),
    /// The log cannot be read or extended.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The device's record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The cache database cannot be opened, and cannot be made anew either.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The filter settings that were in force cannot be used.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Group definitions cannot be used.
    #[error(transparent)]
    Groups(#[from] GroupError),
    /// A content cannot be put together from its chunks.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The remote names a chunk that no pack holds.
    #[error("chunk {chunk} of {path} is in no pack that the commits name")]
    NoChunk {
        /// Missing chunk.
        chunk: Digest,
        /// File that needs it.
        path: String,
    },
    /// A file could not be packed for sending.
    #[error("packing failed: {0}")]
    Upload(String),
    /// The remote is not the one that the vault was joined to.
    #[error("this vault is synced with {known}, but the configuration now says {configured}")]
    OtherRemote {
        /// URL that the vault was joined to.
        known: String,
        /// URL in the configuration.
        configured: String,
    },
    /// The disk has no room to stage the files to be fetched.
    #[error("{needed} bytes are to be fetched, and some room must be left, but {} has only {free} bytes free", .folder.display())]
    NoRoom {
        /// Bytes to fetch.
        needed: u64,
        /// Bytes that are free.
        free: u64,
        /// Folder of the stage.
        folder: PathBuf,
    },
    /// The request cannot be carried out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Another process has taken the vault's lock.
    #[error("another process holds the vault {}", .0.display())]
    Locked(PathBuf),
    /// Other programs have held the apply lock all the time.
    #[error(
        "other programs keep reading or writing the vault's files: nothing could be put in place for half a minute"
    )]
    Reading,
    /// The user or the program asked the cycle to stop.
    #[error("the cycle was broken off")]
    Interrupted,
    /// Other devices keep writing to the remote, faster than this device can follow.
    #[error("other devices committed {0} times while this sync ran; it is tried again later")]
    Unsettled(usize),
}

/// Class of a failed cycle, by what it asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Advice {
    /// Wait: the remote is out of reach.
    Offline,
    /// Try again.
    Again,
    /// Ask the user: the remote refuses.
    Refused,
    /// Ask the user: the vault is not what it was.
    Stopped,
    /// Data is damaged.
    Corrupt,
    /// Ask for something else: this cannot be done.
    Usage,
}

impl From<RemoteError> for SyncError {
    fn from(error: RemoteError) -> Self {
        Self::Log(LogError::Remote(error))
    }
}

impl From<ScanError> for SyncError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Marker(error) => Self::Marker(error),
            error @ (ScanError::Io(_) | ScanError::Clash) => Self::Scan(error),
        }
    }
}

impl SyncError {
    /// True if a content cannot be put together from what the bucket holds.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::NoChunk { .. } | Self::Content(_) => true,
            Self::Log(error) => error.is_damage(),
            _ => false,
        }
    }

    /// True if the vault's disk has no room for what is to be written to it.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        let (Self::Io(IoAt { source, .. })
        | Self::Stage(StageError::Io(IoAt { source, .. }))
        | Self::Apply(
            ApplyError::Io(IoAt { source, .. }) | ApplyError::Journal(JournalError::Io(IoAt { source, .. })),
        )) = self
        else {
            return false;
        };
        is_full(source)
    }

    /// True if the remote is there and refuses: the key may not do this, or an object is locked.
    /// That will not be otherwise in an hour. Some stores tell of a lock with 403, others with 400.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        let Self::Log(LogError::Remote(error)) = self else { return false };
        matches!(error.kind, RemoteErrorKind::Forbidden | RemoteErrorKind::Other)
    }

    /// Time that the remote asks to be left alone, if it wants fewer requests. Zero if it does not
    /// say how long.
    #[must_use]
    pub fn slow_down(&self) -> Option<Duration> {
        let Self::Log(LogError::Remote(error)) = self else { return None };
        match error.kind {
            RemoteErrorKind::Throttled { retry_after } => Some(retry_after.unwrap_or_default()),
            _ => None,
        }
    }

    /// The file or folder that the error is about, if it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Damaged { path, .. } | Self::Locked(path) => Some(path),
            Self::NoRoom { folder, .. } => Some(folder),
            Self::Io(error) | Self::Scan(ScanError::Io(error)) => Some(&error.path),
            Self::Refused(Refusal::Exists(path) | Refusal::InsideVault(path)) => Some(path),
            Self::Record(
                RecordError::Io { path, .. }
                | RecordError::Damaged { path, .. }
                | RecordError::Newer { path, .. },
            ) => Some(path),
            Self::Marker(
                MarkerError::NoRoot(path)
                | MarkerError::Replaced(path)
                | MarkerError::NotAFolder(path)
                | MarkerError::Missing(path)
                | MarkerError::Damaged { path, .. }
                | MarkerError::Newer { path, .. }
                | MarkerError::OtherVault { path, .. },
            ) => Some(path),
            _ => None,
        }
    }

    /// Advice to the caller.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            _ if self.is_full() => Advice::Again,
            Self::Log(LogError::Remote(error)) => remote_advice(error.kind),
            Self::Log(LogError::NotVisible(_)) => Advice::Offline,
            Self::Log(LogError::TooMuch { .. }) => Advice::Usage,
            Self::Refused(refusal) => refusal.advice(),
            Self::Marker(MarkerError::Damaged { .. } | MarkerError::Newer { .. }) => Advice::Corrupt,
            Self::Log(LogError::RolledBack { .. } | LogError::Foreign { .. })
            | Self::Marker(_)
            | Self::Locked(_)
            | Self::OtherRemote { .. } => Advice::Stopped,
            Self::Apply(ApplyError::Journal(_)) | Self::Trash(TrashError::Journal(_)) => Advice::Corrupt,
            Self::Record(RecordError::Io { .. }) => Advice::Again,
            Self::Log(_)
            | Self::Record(_)
            | Self::Content(_)
            | Self::NoChunk { .. }
            | Self::Damaged { .. } => Advice::Corrupt,
            _ => Advice::Again,
        }
    }

    /// The next command, in words.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            _ if self.is_full() => "free some room, then run `cogzy-vault sync`",
            Self::Log(LogError::Remote(error)) => remote_next(error.kind),
            Self::Refused(refusal) => refusal.next(),
            Self::Log(LogError::RolledBack { .. }) => {
                "nothing was changed on either side; if it has lost an object, `cogzy-vault verify --repair` puts it back; if the bucket was replaced on purpose, run `cogzy-vault init --join` to join it anew"
            }
            Self::Log(LogError::Foreign { .. }) | Self::OtherRemote { .. } => {
                "check `remote` with `cogzy-vault config show`; to join another remote on purpose, run `cogzy-vault init --join`"
            }
            Self::Log(LogError::Newer { .. }) | Self::Record(RecordError::Newer { .. }) => {
                "install the newest cogzy-vault"
            }
            Self::Log(LogError::NotVisible(_)) => "wait, then run `cogzy-vault sync` again",
            Self::Log(LogError::TooMuch { .. }) => {
                "move some of the new files out of the vault, run `cogzy-vault sync`, then move them back"
            }
            Self::Log(_) | Self::Content(_) | Self::NoChunk { .. } => {
                "run `cogzy-vault verify --deep` to see what is damaged; the vault was left as it is"
            }
            Self::Apply(ApplyError::DiskAway(_)) => {
                "mount the disk, then run `cogzy-vault sync`; if it is lost for good, remove `sync/mounts.json` first"
            }
            Self::Apply(ApplyError::FolderAway(_)) => {
                "put the folder back, then run `cogzy-vault sync`; if it is to stay away, move `sync/applying` away first: what was replaced is in `sync/trash`"
            }
            Self::Apply(ApplyError::Stranded(_)) => {
                "run `cogzy-vault sync`: the file is brought again once its folder is one"
            }
            Self::Apply(ApplyError::Journal(_)) => {
                "move the file away and run `cogzy-vault sync`: nothing is overwritten that is not what was last agreed"
            }
            Self::Record(RecordError::Io { .. }) => {
                "make sure that the vault's disk has room and can be written, then run `cogzy-vault sync` again"
            }
            Self::Record(_) => {
                "move the damaged file away and run `cogzy-vault sync`: what is unchanged is recognised, the rest waits for `approve`"
            }
            Self::Marker(MarkerError::Damaged { .. }) => {
                "restore the marker, or run `cogzy-vault init --join` to join this folder anew"
            }
            Self::Marker(MarkerError::Newer { .. }) => "install the newest cogzy-vault",
            Self::Marker(_) => "mount the disk or put the folder back, then run `cogzy-vault sync`",
            Self::Locked(_) => "wait until it is done, or stop it; then run `cogzy-vault status`",
            Self::Reading => {
                "it is tried again; if it stays so, end the program that has `sync/apply.lock` open, then run `cogzy-vault sync`"
            }
            Self::NoRoom { .. } => "free some room, then run `cogzy-vault sync`",
            _ => "run `cogzy-vault sync` again",
        }
    }
}

const fn remote_advice(kind: RemoteErrorKind) -> Advice {
    match kind {
        kind if kind.offline() => Advice::Offline,
        RemoteErrorKind::BadCredentials
        | RemoteErrorKind::Forbidden
        | RemoteErrorKind::QuotaExceeded
        | RemoteErrorKind::NoSuchBucket
        | RemoteErrorKind::WrongEndpoint
        | RemoteErrorKind::Untrusted
        | RemoteErrorKind::ClockSkew
        // It was asked several times, and nothing of it is this program's fault.
        | RemoteErrorKind::Malformed
        | RemoteErrorKind::Other => Advice::Refused,
        RemoteErrorKind::NotFound | RemoteErrorKind::TooLarge { .. } => Advice::Corrupt,
        RemoteErrorKind::Unconfigured => Advice::Usage,
        _ => Advice::Again,
    }
}

const fn remote_next(kind: RemoteErrorKind) -> &'static str {
    match kind {
        RemoteErrorKind::BadCredentials => {
            "check B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, or the AWS credentials; a running daemon takes up a changed AWS file by itself, and changed variables or a changed credentials.env only when it is restarted (`cogzy-vault service stop`, then `cogzy-vault service start`)"
        }
        RemoteErrorKind::Forbidden => {
            "give the key the capabilities listFiles, readFiles and writeFiles for this bucket; for a folder, make it writable"
        }
        RemoteErrorKind::NoSuchBucket => "check the name in `remote`, or make the bucket",
        RemoteErrorKind::Unplugged => {
            "plug in or mount its disk; for a new folder, run `cogzy-vault init` to make it"
        }
        RemoteErrorKind::Unconfigured => {
            "set it there: `cogzy-vault config path` names the file, and `cogzy-vault config show` what holds now"
        }
        RemoteErrorKind::WrongEndpoint => {
            "check `s3.endpoint` and `s3.region` with `cogzy-vault config show`"
        }
        RemoteErrorKind::Untrusted => {
            "if you trust this store, name its authority's certificate: AWS_CA_BUNDLE=FILE, in the service's environment too; else check `s3.endpoint`"
        }
        RemoteErrorKind::QuotaExceeded => "raise the cap of the account, or free some room there",
        RemoteErrorKind::ClockSkew => "set this machine's clock",
        RemoteErrorKind::NotFound => "run `cogzy-vault verify --deep` to see what is missing",
        RemoteErrorKind::TooLarge { .. } => "run `cogzy-vault verify --deep` to see what is damaged",
        RemoteErrorKind::Malformed => {
            "run `cogzy-vault doctor`: something between here and the store changes its answers, or the store is at fault"
        }
        RemoteErrorKind::Other => "do what the store's words above ask for; `cogzy-vault doctor` tells more",
        RemoteErrorKind::Throttled { .. } => {
            "wait until the store takes requests again, then run `cogzy-vault sync`"
        }
        RemoteErrorKind::Server => "wait until the store is well again, then run `cogzy-vault sync`",
        RemoteErrorKind::Offline | RemoteErrorKind::UnknownOutcome => {
            "wait for the network, or check `s3.endpoint` with `cogzy-vault config show`; then run `cogzy-vault sync` again"
        }
    }
}
