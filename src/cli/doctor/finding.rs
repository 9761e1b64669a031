//! Findings of `doctor`, each with its severity and its cure.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Tone};

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Good.
    Ok,
    /// Worth knowing.
    Note,
    /// Works, but perhaps not for long, or not as the user thinks.
    Warning,
    /// Does not work.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The check that made it.
    pub check: &'static str,
    /// The severity.
    pub level: Severity,
    /// The description.
    pub message: String,
    /// The cure.
    pub next: Option<String>,
    /// The code to end with, if nothing is worse.
    #[serde(skip)]
    pub exit: Exit,
}

impl Finding {
    pub(super) fn new(check: &'static str, level: Severity, message: impl Into<String>) -> Self {
        let exit = if level == Severity::Error { Exit::Usage } else { Exit::Done };
        Self { check, level, message: message.into(), next: None, exit }
    }

    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, message)
    }

    pub(super) fn note(check: &'static str, message: impl Into<String>) -> Self {
        Self::new(check, Severity::Note, message)
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..Self::new(check, Severity::Warning, message) }
    }

    /// An error that would stop a verb, and so stops the daemon.
    pub(super) fn failure(check: &'static str, failure: impl Into<Failure>) -> Self {
        let Failure { exit, message, next, .. } = failure.into();
        Self { check, level: Severity::Error, message, next, exit }
    }

    pub(super) fn tell(&self, output: &mut Output) {
        let (sign, tone) = match self.level {
            Severity::Ok => ("✓", Some(Tone::Good)),
            Severity::Note => ("·", None),
            Severity::Warning => ("!", Some(Tone::Warning)),
            Severity::Error => ("✗", Some(Tone::Bad)),
        };
        let text = format!("{sign} {:12} {}", self.check, self.message);
        match tone {
            Some(tone) => output.toned(tone, text),
            None => output.line(text),
        }
        if let Some(next) = &self.next {
            output.line(format!("  next: {next}"));
        }
    }
}

/// The code of the worst finding: the one that needs a person most comes first.
pub(super) fn exit_of(findings: &[Finding]) -> Exit {
    let order = [
        Exit::Corrupt,
        Exit::Internal,
        Exit::Usage,
        Exit::Refused,
        Exit::Held,
        Exit::Locked,
        Exit::Partial,
        Exit::Offline,
        Exit::NoDaemon,
    ];
    let found = |exit: &Exit| findings.iter().any(|finding| finding.exit == *exit);
    order.into_iter().find(found).unwrap_or(Exit::Done)
}
