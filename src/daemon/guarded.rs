//! Programs of the user that the daemon starts, each for a limited time.
//!
//! A program and all that it starts are a process group that ends with it. The group has a guard of
//! its own, which limits its time even where the daemon is killed and can end nothing any more.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The script that runs a program beside a guard, which ends their whole group after `$1` seconds.
/// The guard ignores polite signals.
const GUARDED: &str =
    r#"(trap '' HUP INT TERM; sleep "$1"; kill -KILL -$$) <&- >&- 2>&- & shift; exec "$@" 2>&1"#;
/// The end of the output that is kept, in bytes.
const TAIL: usize = 4096;
/// The time for which the rest of the output is waited for. A program that has left the group may
/// keep it open for ever.
const REST: Duration = Duration::from_secs(1);

/// The limits of programs, one at a time.
#[derive(Debug, Clone, Default)]
pub struct Guarded {
    /// The time after which a program is killed, with all that it has started.
    pub timeout: Duration,
    /// Variables that no program gets: the daemon's own credentials.
    pub withheld: Vec<String>,
    /// The process group of the running program; 0 where none runs. Clones share it.
    running: Arc<AtomicI32>,
}

/// A program to be run.
pub(super) struct Program<'a> {
    /// The name that its guard has in a list of processes.
    pub name: &'a str,
    /// The program with its arguments.
    pub argv: &'a [String],
    /// Its standard input. It need not read it.
    pub input: &'a [u8],
    /// The place of what it writes; of a pipe the end is given.
    pub output: Stdio,
}

/// The end of a program.
#[derive(Debug)]
pub(super) enum End {
    /// It has ended by itself.
    Exit(ExitStatus),
    /// It took too long and was killed.
    Late,
    /// Nobody knows how.
    Lost(io::Error),
    /// It was not started.
    NotStarted(io::Error),
}

impl Guarded {
    /// Limits for programs that do not get some variables.
    #[must_use]
    pub fn new(timeout: Duration, withheld: Vec<String>) -> Self {
        Self { timeout, withheld, running: Arc::default() }
    }

    /// Ends the running program with all that it has started, for a daemon that stops.
    pub fn end(&self) {
        if let Some(group) = Pid::from_raw(self.running.swap(0, Ordering::SeqCst)) {
            // It may have ended just now.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }

    /// Runs a program to its end. Gives the last bytes that it wrote to a pipe.
    pub(super) async fn run(&self, program: Program<'_>) -> (End, Vec<u8>) {
        let Program { name, argv, input, output } = program;
        // A little later than this task, which reports it.
        let guard = self.timeout.as_secs().saturating_add(2).to_string();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARDED, name, &guard]).args(argv);
        command.stdin(Stdio::piped()).stdout(output).stderr(Stdio::null());
        self.withheld.iter().for_each(|name| {
            command.env_remove(name);
        });
        // A group of its own, so that its children can be ended with it.
        command.process_group(0).kill_on_drop(true);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return (End::NotStarted(error), Vec::new()),
        };
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        self.running.store(group.map_or(0, |group| group.as_raw_nonzero().get()), Ordering::SeqCst);
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let said = Arc::new(Mutex::new(Vec::new()));
        let listener = stdout.map(|stdout| tokio::spawn(keep_end(stdout, Arc::clone(&said))));
        let whole = async {
            if let Some(mut stdin) = stdin {
                let _not_read = stdin.write_all(input).await;
            }
            child.wait().await
        };
        let end = match tokio::time::timeout(self.timeout, whole).await {
            Ok(Ok(status)) => End::Exit(status),
            Ok(Err(error)) => End::Lost(error),
            Err(_) => End::Late,
        };
        // The guard at least is still there, so the number is not another group's yet.
        let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
        self.running.store(0, Ordering::SeqCst);
        if let Some(mut listener) = listener
            && tokio::time::timeout(REST, &mut listener).await.is_err()
        {
            listener.abort();
        }
        let said = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
        (end, said)
    }
}

/// Reads an output to its end, and keeps its last bytes.
async fn keep_end(mut output: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut block = [0; TAIL];
    while let Ok(count @ 1..) = output.read(&mut block).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(block.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(TAIL);
        kept.drain(..over);
    }
}

#[cfg(test)]
mod tests;
