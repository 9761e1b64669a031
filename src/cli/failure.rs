//! The error of a verb: its message, the next step, and the exit code.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit::Exit;
use crate::assemble::AssembleError;
use crate::config::ConfigError;
use crate::service::ServiceError;
use cogzy_client::paths::NoHome;
use cogzy_client::socket::ClientError;
use cogzy_engine::fs::IoAt;
use cogzy_engine::remote::{RemoteError, UrlError};
use cogzy_engine::state::DatabaseError;
use cogzy_engine::sync::SyncError;
use cogzy_engine::vault::FilterError;

/// A reason why a verb ends early.
#[derive(Debug)]
pub struct Failure {
    /// The code to end with.
    pub exit: Exit,
    /// The message.
    pub message: String,
    /// The next step.
    pub next: Option<String>,
    /// The file that it is about, if it is about one.
    pub path: Option<PathBuf>,
    /// The code of a program that was run, to end with in the place of `exit`.
    pub code: Option<u8>,
}

impl Failure {
    /// A failure with this code.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), next: None, path: None, code: None }
    }

    /// The same failure, with a next step.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The same failure, about this file.
    #[must_use]
    pub fn about(mut self, path: Option<PathBuf>) -> Self {
        self.path = path;
        self
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        failure.code.map_or_else(|| failure.exit.into(), Self::from)
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        let (next, path) = (error.next(), error.path().map(Path::to_owned));
        Self::new(error.advice().into(), error).next(next).about(path)
    }
}

impl From<AssembleError> for Failure {
    fn from(error: AssembleError) -> Self {
        match error {
            AssembleError::Remote(error) => error.into(),
            AssembleError::Url(error) => error.into(),
            AssembleError::Config(error) => error.into(),
            AssembleError::Filter(error) => error.into(),
            AssembleError::Database(error) => error.into(),
            AssembleError::Vault(error) => error.into(),
            AssembleError::Events(error) => Self::new(Exit::Internal, error),
            error @ AssembleError::FolderSource(_) => Self::new(Exit::Usage, error)
                .next("copy its files into the vault, then run `cogzy-vault sync`"),
            error @ AssembleError::Socket { .. } => {
                Self::new(Exit::Usage, error).next("use another place: cogzy-vault --socket PATH run")
            }
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoDaemon => {
                Self::new(Exit::Locked, "another process holds the vault, and no daemon answers")
                    .next("wait until it is done, then try again")
            }
            ClientError::Refused(problem) => {
                let exit = problem.advice.map_or(Exit::Usage, Exit::from);
                Self::new(exit, problem.detail).next(problem.next)
            }
            error @ ClientError::Broken(_) => Self::new(Exit::Internal, error).next("cogzy-vault status"),
            error @ ClientError::Silent => Self::new(Exit::Internal, error).next(
                "if it was stopped (Ctrl-Z), let it go on; else end it and start it again: `cogzy-vault service stop`, then `cogzy-vault service start`",
            ),
            error @ ClientError::TooLong(_) => Self::new(Exit::Usage, error)
                .next("use a shorter path: `--socket PATH` for the daemon and for each command, or `COGZY_VAULT_SOCKET`"),
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        SyncError::from(error).into()
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let path = match &error {
            ConfigError::Read { path, .. } | ConfigError::Write { path, .. } => Some(path.clone()),
            _ => None,
        };
        Self::new(Exit::Usage, error).about(path)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let exit = match error {
            ServiceError::Failed { .. } | ServiceError::Io { .. } => Exit::Internal,
            _ => Exit::Usage,
        };
        let next = error.next();
        Self::new(exit, error).next(next)
    }
}

impl From<NoHome> for Failure {
    fn from(error: NoHome) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<UrlError> for Failure {
    fn from(error: UrlError) -> Self {
        Self::new(Exit::Usage, error).next("see `remote` in `cogzy-vault config show`")
    }
}

impl From<FilterError> for Failure {
    fn from(error: FilterError) -> Self {
        Self::new(Exit::Usage, format!("filter.{error}")).next("see `filter` in `cogzy-vault config show`")
    }
}

impl From<IoAt> for Failure {
    fn from(error: IoAt) -> Self {
        let path = error.path.clone();
        Self::new(Exit::Internal, error).about(Some(path))
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        Self::new(Exit::Internal, error)
    }
}
