//! The scheduler's answers, and the ends of cycles that it is told.

use std::time::Duration;

use cogzy_engine::sync::Ask;

/// The end of a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleOutcome {
    /// It succeeded.
    Done {
        /// True if something was sent or fetched.
        moved: bool,
        /// True if something was sent.
        sent: bool,
        /// True if some items were busy or not settled, and need another look after the settle
        /// window.
        again: bool,
    },
    /// The remote is out of reach: a state, not a failure.
    Offline,
    /// The remote asks to slow down, for this long; zero if it does not say how long. That is a
    /// state, too.
    Throttled(Duration),
    /// It failed in a way that another try may cure.
    Failed,
    /// It failed in a way that only a person can cure.
    Permanent,
}

impl CycleOutcome {
    /// True if the remote could not be worked with, and that passes by itself.
    #[must_use]
    pub const fn is_offline(self) -> bool {
        matches!(self, Self::Offline | Self::Throttled(_))
    }
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run a cycle now.
    Run(Ask),
    /// Probe the remote with something cheap, and report whether it was reached.
    Probe,
    /// Look at the vault although nothing can be sent, so that clients see the files that wait.
    Look,
    /// Do nothing before this moment.
    Wait(Duration),
    /// Do nothing until the pause is over.
    Stopped,
}
