//! The background service: what makes the daemon start when the user logs in, and start again when it fails.
//!
//! A [`Manager`] is systemd's user manager or launchd. What it is told to run is written to a file of the user, from a template
//! that is part of the program; a file that somebody else wrote is left alone. Nothing is kept in memory: where things stand
//! is asked of the manager each time. A crash in the middle of an install leaves a file that the next install writes again.
//!
//! [`notify`] is the other direction: what the daemon tells the manager that started it.
//!
//! What does not belong here: the daemon itself, and which flags it is started with.

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
    /// Its path.
    pub path: PathBuf,
    /// Its arguments, each as it is.
    pub arguments: Vec<String>,
}

/// How the service stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ServiceStatus {
    /// Who manages it: `systemd` or `launchd`.
    pub manager: &'static str,
    /// The file that describes it, where there is one.
    pub file: Option<PathBuf>,
    /// Whether it starts when the user logs in.
    pub enabled: bool,
    /// Whether it runs.
    pub running: bool,
    /// The manager's word for how it is: `active`, `inactive`, `failed` …
    pub state: String,
    /// Its process id, while it runs.
    pub pid: Option<u32>,
    /// Whether it also runs while the user is not logged in, where that is known.
    pub linger: Option<bool>,
}

/// What an install did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The file that describes the service.
    pub file: PathBuf,
    /// Whether it was written; else it is the one of a package.
    pub written: bool,
}

/// Why the service cannot be managed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The manager's program is not there.
    #[error("this machine has no {manager}: {program} is not found")]
    NoManager {
        /// Which manager.
        manager: &'static str,
        /// The program that speaks to it.
        program: &'static str,
    },
    /// No manager runs for this user.
    #[error("no service manager runs for this user: {said}")]
    NoSession {
        /// What it said.
        said: String,
    },
    /// It refused.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// The command line.
        command: String,
        /// What it said.
        said: String,
    },
    /// There is no such service.
    #[error("the service is not installed")]
    NotInstalled,
    /// The file is somebody else's.
    #[error("{} was not written by `cogzy-vault service install`, and is left as it is", .0.display())]
    Foreign(PathBuf),
    /// A file could not be read, written or removed.
    #[error("cannot {what} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A path that the manager's file cannot hold.
    #[error("{} cannot stand in a service file: its name is not Unicode, or has a line break", .0.display())]
    Unspeakable(PathBuf),
}

impl ServiceError {
    /// What to do next.
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
                "journalctl --user -u cogzy-vault -n 20 tells more; then cogzy-vault doctor".to_owned()
            }
            Self::NotInstalled => "cogzy-vault service install".to_owned(),
            Self::Foreign(path) => format!("move {} away, then cogzy-vault service install", path.display()),
            Self::Io { .. } => "cogzy-vault doctor".to_owned(),
            Self::Unspeakable(_) => "install the program and the vault in places with plain names".to_owned(),
        }
    }
}

/// What manages services on a machine.
pub trait Manager {
    /// Describes the service to run `program`, has it start at login, and starts it; one that runs is started anew.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn install(&self, program: &Program) -> Result<Installed, ServiceError>;

    /// Stops the service and removes its description. Gives what was removed; nothing where it is a package's.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn uninstall(&self) -> Result<Option<PathBuf>, ServiceError>;

    /// Starts it.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn start(&self) -> Result<(), ServiceError>;

    /// Stops it until the next login or start.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn stop(&self) -> Result<(), ServiceError>;

    /// How it stands.
    ///
    /// # Errors
    /// See [`ServiceError`].
    fn status(&self) -> Result<ServiceStatus, ServiceError>;
}
