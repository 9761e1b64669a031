//! Hooks: programs of the user that events start, and the one that shows notices on the desktop.
//!
//! They get the event on their standard input. Only this task waits for them: one at a time, each
//! for a limited time. Where more happens than they can take, the rest is left out, and the log
//! says so. Whatever they do, the daemon goes on.
//!
//! A hook and all that it starts are a process group that ends with it. The group has a guard of
//! its own, which limits its time even where the daemon is killed and can end nothing any more.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::notices::{self, Notice};
use cogzy_client::documents::{EventBody, EventDocument};

/// The script that runs a program beside a guard, which ends their whole group after `$1` seconds.
/// The guard ignores polite signals.
const GUARDED: &str = r#"(trap '' HUP INT TERM; sleep "$1"; kill -KILL -$$) <&- & shift; exec "$@""#;
/// Exit codes of a shell that cannot start a program.
const NOT_STARTED: [i32; 2] = [126, 127];
/// The number of events that may wait for their turn.
const QUEUE: usize = 64;

/// The programs to start, each with its arguments; empty for none.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    /// For a conflict.
    pub on_conflict: Vec<String>,
    /// For a hold.
    pub on_hold: Vec<String>,
    /// For an error.
    pub on_error: Vec<String>,
    /// The program that shows a desktop notification, with the arguments before its title and its
    /// text; empty for none.
    pub desktop: Vec<String>,
    /// The time after which a program is killed, with all that it has started.
    pub timeout: Duration,
    /// Variables that no program gets: the daemon's own credentials.
    pub withheld: Vec<String>,
    /// The process group of the running hook; 0 where none runs. Clones share it.
    pub running: Arc<AtomicI32>,
}

impl Hooks {
    fn of(&self, event: &EventDocument) -> &[String] {
        match &event.body {
            EventBody::Conflict(_) => &self.on_conflict,
            EventBody::Hold { .. } => &self.on_hold,
            EventBody::Error { .. } => &self.on_error,
            EventBody::Change(_)
            | EventBody::State { .. }
            | EventBody::LeftOut(_)
            | EventBody::Progress { .. } => &[],
        }
    }

    /// Ends the running hook with all that it has started, for a daemon that stops.
    pub fn end(&self) {
        if let Some(group) = Pid::from_raw(self.running.swap(0, Ordering::SeqCst)) {
            // It may have ended just now.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }

    /// Starts the task that runs hooks. It ends with the sender.
    pub(super) fn start(self) -> Runner {
        let (queue, mut started) = mpsc::channel::<Start>(QUEUE);
        let hooks = self.clone();
        tokio::spawn(async move {
            while let Some(start) = started.recv().await {
                run(&hooks, start).await;
            }
        });
        Runner { hooks: self, queue }
    }
}

/// The way to the task that runs hooks.
#[derive(Debug)]
pub(super) struct Runner {
    hooks: Hooks,
    queue: mpsc::Sender<Start>,
}

/// A program that waits for its turn.
#[derive(Debug)]
struct Start {
    /// Its name in the log.
    what: String,
    argv: Vec<String>,
    input: Vec<u8>,
}

impl Runner {
    /// Queues these events for their hooks, and the notices of them for the desktop.
    pub(super) fn hear(&self, events: &[Arc<EventDocument>]) {
        for event in events {
            let argv = self.hooks.of(event).to_vec();
            if argv.is_empty() {
                continue;
            }
            let Ok(mut input) = serde_json::to_vec(event.as_ref()) else { continue };
            input.push(b'\n');
            self.queue(Start { what: format!("the hook for {}", event.body.kind()), argv, input });
        }
        if self.hooks.desktop.is_empty() {
            return;
        }
        for Notice { title, text } in notices::of(events) {
            let mut argv = self.hooks.desktop.clone();
            argv.extend([title, text]);
            self.queue(Start { what: "the desktop's notification".to_owned(), argv, input: Vec::new() });
        }
    }

    fn queue(&self, start: Start) {
        if let Err(error) = self.queue.try_send(start) {
            let Start { what, .. } = error.into_inner();
            tracing::warn!("{what} is not run: too many wait already");
        }
    }
}

async fn run(hooks: &Hooks, start: Start) {
    let Hooks { timeout, running, .. } = hooks;
    let Start { what, argv, input } = start;
    let Some(program) = argv.first() else { return };
    // A little later than this task, which reports it.
    let guard = timeout.as_secs().saturating_add(2).to_string();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GUARDED, "cogzy-vault-hook", &guard])
        .args(&argv)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    hooks.withheld.iter().for_each(|name| {
        command.env_remove(name);
    });
    // A group of its own, so that its children can be ended with it.
    command.process_group(0).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            tracing::warn!(program, %error, "{what} could not be started");
            return;
        }
    };
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    running.store(group.map_or(0, |group| group.as_raw_nonzero().get()), Ordering::SeqCst);
    let stdin = child.stdin.take();
    let whole = async {
        if let Some(mut stdin) = stdin {
            // A hook need not read its input.
            let _not_read = stdin.write_all(&input).await;
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(*timeout, whole).await;
    // The guard at least is still there, so the number is not another group's yet.
    let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
    running.store(0, Ordering::SeqCst);
    match ended {
        Ok(Ok(status)) if status.success() => tracing::debug!(program, "{what} has run"),
        Ok(Ok(status)) if status.code().is_some_and(|code| NOT_STARTED.contains(&code)) => {
            tracing::warn!(program, %status, "{what} could not be started");
        }
        Ok(Ok(status)) => tracing::warn!(program, %status, "{what} failed"),
        Ok(Err(error)) => tracing::warn!(program, %error, "{what} is lost"),
        Err(_) => {
            tracing::warn!(program, "{what} took more than {timeout:?} and is killed");
        }
    }
}
