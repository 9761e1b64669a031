//! `cogzy-vault hold -- COMMAND…`

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio::signal::unix::{Signal as Caught, SignalKind, signal};

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::sync;
use cogzy_engine::vault::{FileLock, Layout};

/// The exit code of a process that a signal has ended is so much more than the signal's number.
const SIGNALLED: u8 = 128;

/// Run a command that writes the corpus, its vectors and its index, and send what it wrote as one
///
/// While it runs, no group is sent and none is replaced. If it ends with 0, all groups it wrote
/// become one generation; a group whose files do not fit together is held back alone. Files in no
/// group go when they have settled. If it ends otherwise, what it left is judged like any other
/// change: sent if its files fit together, held back if not. Its exit code is passed through.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command under the lock, then a cycle. The command holds the lock, too: whatever ends
/// this process, the command stays protected. Signals that mean stop are passed on to it.
///
/// # Errors
/// If there is no vault, the command cannot be started or fails, or the cycle fails.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let layout = app.vault()?;
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    let lock = take(app, &layout)?;
    lock.pass_on().map_err(|error| failed(&layout.hold_lock(), "passed on", &error))?;
    let mut command = Command::new(program);
    command.args(rest);
    if output.is_json() {
        // Standard output is for the document alone.
        command.stdout(Stdio::from(io::stderr()));
    }
    let runtime = runtime()?;
    let (ended, stop) = runtime.block_on(run_to_its_end(command)).map_err(|error| {
        Failure::new(Exit::Usage, format!("{program} cannot be run: {error}"))
            .next("check the command after `--`")
    })?;
    // The last writes have not settled yet; until they have, the first ones must not be sent
    // without them.
    let noted = lock.note_end();
    drop(lock);
    noted.map_err(|error| failed(&layout.hold_lock(), "written", &error))?;
    if ended.success() {
        // Whoever stops the sync means this process. What is half-way, the next one picks up.
        runtime.spawn(async move {
            let mut stop = stop;
            let signal = stop.arrive().await;
            std::process::exit(i32::from(SIGNALLED) + signal.as_raw());
        });
        return sync::run(app, &sync::Args::default(), output);
    }
    let text =
        format!("{program} did not end well ({ended}): what it left is sent only if its files fit together");
    let failure = Failure::new(Exit::Partial, text).next("cogzy-vault status");
    Err(Failure { code: Some(code_of(ended)), ..failure })
}

/// Runs the command, and passes on to it the signals that mean stop.
async fn run_to_its_end(mut command: Command) -> io::Result<(ExitStatus, Stop)> {
    // Caught before it starts: none may end this process alone.
    let mut stop = Stop::catch()?;
    let mut child = command.spawn()?;
    let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    // It may have ended just now.
    let pass_on = |signal| {
        let _gone = pid.map(|pid| kill_process(pid, signal));
    };
    loop {
        tokio::select! {
            ended = child.wait() => return Ok((ended?, stop)),
            signal = stop.arrive() => match signal {
                // A terminal sends its Ctrl-C to the command, too.
                Signal::INT if io::stdin().is_terminal() => {}
                signal => pass_on(signal),
            },
        }
    }
}

/// The signals that mean stop. Once they are caught, the system no longer ends this process for one
/// of them.
struct Stop {
    terminate: Caught,
    hangup: Caught,
    interrupt: Caught,
}

impl Stop {
    fn catch() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn arrive(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
            _ = self.interrupt.recv() => Signal::INT,
        }
    }
}

/// The exit code of the command as a shell gives it.
fn code_of(ended: ExitStatus) -> u8 {
    let code = ended.code().or_else(|| ended.signal().map(|signal| i32::from(SIGNALLED) + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Internal as u8)
}

fn failed(path: &Path, what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Internal, format!("{} cannot be {what}: {error}", path.display()))
        .next("cogzy-vault status")
}

fn take(app: &App, layout: &Layout) -> Result<FileLock, Failure> {
    FileLock::for_a_command(app.disk().as_ref(), layout)?.ok_or_else(|| {
        let text = "another program has been putting files in place for a minute";
        Failure::new(Exit::Locked, text).next("cogzy-vault status")
    })
}
