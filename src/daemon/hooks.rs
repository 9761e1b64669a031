//! Hooks: programs of the user that events start, and the one that shows notices on the desktop.
//!
//! They get the event on their standard input. Only this task waits for them: one at a time, each
//! for a limited time. Where more happens than they can take, the rest is left out, and the log
//! says so. Whatever they do, the daemon goes on.

use std::process::Stdio;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::guarded::{End, Guarded, Program};
use super::notices::{self, Notice};
use cogzy_client::documents::{EventBody, EventDocument};

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
    /// The limits of each.
    pub guarded: Guarded,
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
            | EventBody::Progress { .. }
            | EventBody::Unknown => &[],
        }
    }

    /// Starts the task that runs hooks. It ends with the sender.
    pub(super) fn start(self) -> Runner {
        let (queue, mut started) = mpsc::channel::<Start>(QUEUE);
        let guarded = self.guarded.clone();
        tokio::spawn(async move {
            while let Some(start) = started.recv().await {
                run(&guarded, start).await;
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

async fn run(guarded: &Guarded, Start { what, argv, input }: Start) {
    let Some(program) = argv.first() else { return };
    let output = Stdio::null();
    let hook = Program { name: "cogzy-vault-hook", argv: &argv, input: &input, output };
    match guarded.run(hook).await.0 {
        End::Exit(status) if status.success() => tracing::debug!(program, "{what} has run"),
        End::Exit(status) if status.code().is_some_and(|code| NOT_STARTED.contains(&code)) => {
            tracing::warn!(program, %status, "{what} could not be started");
        }
        End::Exit(status) => tracing::warn!(program, %status, "{what} failed"),
        End::Lost(error) => tracing::warn!(program, %error, "{what} is lost"),
        End::NotStarted(error) => tracing::warn!(program, %error, "{what} could not be started"),
        End::Late => {
            let timeout = guarded.timeout;
            tracing::warn!(program, "{what} took more than {timeout:?} and is killed");
        }
    }
}
