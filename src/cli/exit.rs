//! The exit codes.

use std::process::ExitCode;

use cogzy_engine::sync::Advice;

/// The code that a run ends with. Scripts rely on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Exit {
    /// All is done. A conflict is no error: it is listed.
    #[default]
    Done = 0,
    /// A fault of the program itself.
    Internal = 1,
    /// The command line or the configuration cannot be used.
    Usage = 2,
    /// The remote cannot be reached for now; trying again helps.
    Offline = 3,
    /// Something is held and waits for `approve`.
    Held = 4,
    /// Damaged data was found.
    Corrupt = 5,
    /// No daemon runs.
    NoDaemon = 6,
    /// Another process holds the vault.
    Locked = 7,
    /// The remote refuses: credentials, capability, quota.
    Refused = 8,
    /// Done in part: some paths are busy, unreadable or invalid, and each was named.
    Partial = 9,
}

impl Exit {
    /// The name of the kind of failure, in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Internal => "internal",
            Self::Usage => "usage",
            Self::Offline => "offline",
            Self::Held => "held",
            Self::Corrupt => "corrupt",
            Self::NoDaemon => "no-daemon",
            Self::Locked => "locked",
            Self::Refused => "refused",
            Self::Partial => "partial",
        }
    }
}

impl Exit {
    /// The code with this number. None for zero, and for a number that is none of them.
    #[must_use]
    pub fn of_failure(code: u8) -> Option<Self> {
        use Exit as E;
        [
            E::Internal,
            E::Usage,
            E::Offline,
            E::Held,
            E::Corrupt,
            E::NoDaemon,
            E::Locked,
            E::Refused,
            E::Partial,
        ]
        .into_iter()
        .find(|exit| *exit as u8 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<Advice> for Exit {
    fn from(advice: Advice) -> Self {
        match advice {
            Advice::Offline => Self::Offline,
            Advice::Refused => Self::Refused,
            Advice::Stopped => Self::Held,
            Advice::Corrupt => Self::Corrupt,
            Advice::Usage => Self::Usage,
            Advice::Again => Self::Internal,
        }
    }
}
