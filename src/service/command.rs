//! The manager's own programs, as a port: tests record the calls.

use std::io;
use std::process::{Command, Stdio};

use super::ServiceError;

/// The output of a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgramOutput {
    /// True if it ended with 0.
    pub good: bool,
    /// The standard output.
    pub out: String,
    /// The standard error.
    pub err: String,
}

/// A runner of programs.
pub trait ProgramRunner {
    /// Runs `program` to its end.
    ///
    /// # Errors
    /// If it cannot be started.
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<ProgramOutput>;
}

/// The runner of this machine's programs.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRunner;

impl ProgramRunner for SystemRunner {
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<ProgramOutput> {
        let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(ProgramOutput { good: ran.status.success(), out: text(&ran.stdout), err: text(&ran.stderr) })
    }
}

/// Runs `program` of `manager`, which must exist; the caller judges its end.
pub(super) fn ask(
    run: &dyn ProgramRunner,
    manager: &'static str,
    program: &'static str,
    arguments: &[&str],
) -> Result<ProgramOutput, ServiceError> {
    run.run(program, arguments).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ServiceError::NoManager { manager, program },
        _ => ServiceError::Failed { command: line(program, arguments), said: error.to_string() },
    })
}

/// A command line, for people.
pub(super) fn line(program: &str, arguments: &[&str]) -> String {
    [&[program], arguments].concat().join(" ")
}
