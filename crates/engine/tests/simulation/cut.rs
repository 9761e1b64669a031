//! The name of a crash: a story, the disk that it is told on, and the effects that it ends before.

use std::fmt;
use std::str::FromStr;

use crate::scenarios::Scenario;
use crate::stories::ALL;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash {
    /// The number of effects before it.
    pub before: u64,
    /// True if the power goes, and not only the process.
    pub power: bool,
}

/// A story, and the crashes after it, each while the process recovers from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    pub story: usize,
    pub kind: usize,
    pub crashes: Vec<Crash>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--cut {},{}", self.story, self.kind)?;
        let how = |crash: &Crash| if crash.power { "power" } else { "kill" };
        self.crashes.iter().try_for_each(|crash| write!(f, ",{}{}", how(crash), crash.before))
    }
}

impl FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        let mut parts = text.split(',');
        let mut place =
            || usize::try_from(number(parts.next().unwrap_or_default())?).map_err(|error| error.to_string());
        let (story, kind) = (place()?, place()?);
        let crash = |text: &str| match (text.strip_prefix("power"), text.strip_prefix("kill")) {
            (Some(before), _) => Ok(Crash { before: number(before)?, power: true }),
            (_, Some(before)) => Ok(Crash { before: number(before)?, power: false }),
            _ => Err(format!("{text} is neither powerN nor killN")),
        };
        Ok(Self { story, kind, crashes: parts.map(crash).collect::<Result<_, _>>()? })
    }
}

impl Cut {
    pub fn scenario(&self) -> &'static Scenario {
        ALL[self.story]
    }

    /// The same, with another crash.
    pub fn and(&self, crash: Crash) -> Self {
        Self { crashes: self.crashes.iter().copied().chain([crash]).collect(), ..*self }
    }
}
