//! The background service, which starts the daemon at login and starts it again when it fails.
//!
//! A [`Manager`] is systemd's user manager or launchd. Its description of the service is a file of
//! the user, written from a template that is part of the program; a file from another source is
//! left alone. Nothing is kept in memory: the manager is asked for the state each time. A crash in
//! the middle of an install leaves a file that the next install writes again.
//!
//! [`notify`] is the other direction: the daemon's messages to the manager that started it.
//!
//! Not decided here: the daemon's work, and the flags it is started with.

mod command;
mod launchd;
pub mod notify;
mod systemd;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use command::{ProgramOutput, ProgramRunner, SystemRunner};
pub use launchd::Launchd;
pub use systemd::Systemd;

/// The program to run, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The path.
    pub path: PathBuf,
    /// The arguments.
    pub arguments: Vec<String>,
    /// A file of variables to read beside the usual one, if there may be one.
    pub keys: Option<PathBuf>,
}

/// The state of the service.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServiceStatus {
    /// The manager: `systemd` or `launchd`.
    pub manager: &'static str,
    /// The file that describes the service, if there is one.
    pub file: Option<PathBuf>,
    /// True if it starts when the user logs in.
    pub enabled: bool,
    /// True if it runs.
    pub running: bool,
    /// The manager's word for the state: `active`, `inactive`, `failed` …
    pub state: String,
    /// The process id, while it runs.
    pub pid: Option<u32>,
    /// True if it also runs while the user is not logged in; none where that is not known.
    pub linger: Option<bool>,
    /// The command line in its file: the program, then its arguments. Empty where there is none.
    #[serde(skip)]
    pub command: Vec<String>,
}

/// The result of an install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The file that describes the service.
    pub file: PathBuf,
    /// True if the file was written; false where it is a package's.
    pub written: bool,
}

/// A reason why the service cannot be managed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The manager's program is not there.
    #[error("this machine has no {manager}: {program} is not found")]
    NoManager {
        /// The manager.
        manager: &'static str,
        /// The program that speaks to it.
        program: &'static str,
    },
    /// No manager runs for this user.
    #[error("no service manager runs for this user: {said}")]
    NoSession {
        /// The program's message.
        said: String,
    },
    /// The manager refused.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// The program's message.
        said: String,
    },
    /// There is no such service.
    #[error("the service is not installed")]
    NotInstalled,
    /// The file was written by the user or another program.
    #[error("{} was not written by `cogzy-vault service install`, and is left as it is", .0.display())]
    Foreign(PathBuf),
    /// A file could not be read, written or removed.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A path that the manager's file cannot hold.
    #[error("{} cannot stand in a service file: its name is not Unicode, or has a line break", .0.display())]
    Unspeakable(PathBuf),
}

impl ServiceError {
    /// The next step for the user.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::NoManager { .. } => {
                "start `cogzy-vault run` with whatever starts programs on this machine".to_owned()
            }
            Self::NoSession { .. } => {
                "log in as this user (not with su or sudo), or have `sudo loginctl enable-linger USER` start \
                 the manager without a login; then try again"
                    .to_owned()
            }
            Self::Failed { .. } => {
                "journalctl --user -u cogzy-vault -n 20 tells more; then `cogzy-vault doctor`".to_owned()
            }
            Self::NotInstalled => "cogzy-vault service install".to_owned(),
            Self::Foreign(path) => {
                format!("move {} away, then run `cogzy-vault service install`", path.display())
            }
            Self::Io { .. } => "cogzy-vault doctor".to_owned(),
            Self::Unspeakable(_) => "install the program and the vault in places with plain names".to_owned(),
        }
    }
}

/// A manager of services on a machine.
pub trait Manager {
    /// Describes the service to run `program`, has it start at login, and starts it; a running one
    /// is restarted.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn install(&self, program: &Program) -> Result<Installed, ServiceError>;

    /// Stops the service and removes its description. Returns the removed file; none where it is a
    /// package's.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn uninstall(&self) -> Result<Option<PathBuf>, ServiceError>;

    /// Starts the service.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn start(&self) -> Result<(), ServiceError>;

    /// Stops the service until the next login or start.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn stop(&self) -> Result<(), ServiceError>;

    /// The state of the service.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn status(&self) -> Result<ServiceStatus, ServiceError>;
}
