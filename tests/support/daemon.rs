//! `run` as a process, and waits for its actions.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::process::{Machine, PATIENCE};

/// A running daemon; it dies with the test.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: UnboundedReceiver<String>,
    said: Vec<String>,
    /// Lines from before it said that it keeps the vault, which nobody has waited for yet.
    before: VecDeque<String>,
}

impl Daemon {
    /// Starts `run` and waits until it keeps the vault.
    pub async fn start(machine: &Machine) -> Self {
        let mut command = machine.command(&["run"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = unbounded_channel();
        tokio::spawn(forward(child.stdout.take().unwrap(), sender.clone()));
        tokio::spawn(forward(child.stderr.take().unwrap(), sender));
        let mut daemon = Self { child, lines, said: Vec::new(), before: VecDeque::new() };
        daemon.says("keeping ").await;
        // That comes by another pipe than its warnings: one of them may have been before it.
        let (_keeping, before) = daemon.said.split_last().unwrap();
        daemon.before = before.iter().cloned().collect();
        daemon
    }

    /// Waits for the next line that holds `words`.
    pub async fn says(&mut self, words: &str) -> String {
        while let Some(line) = self.before.pop_front() {
            if line.contains(words) {
                return line;
            }
        }
        let line = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.recv().await {
                self.said.push(line.clone());
                if line.contains(words) {
                    return Some(line);
                }
            }
            None
        });
        let line = line.await.ok().flatten();
        line.unwrap_or_else(|| panic!("the daemon did not say {words:?}: {:#?}", self.said))
    }

    /// Everything that it has said until now.
    pub fn said(&mut self) -> String {
        while let Ok(line) = self.lines.try_recv() {
            self.said.push(line);
        }
        self.said.join("\n")
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits until it ends by itself. The exit code.
    pub async fn ended(mut self) -> Option<i32> {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the daemon does not end").unwrap().code()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Sends SIGTERM and waits. The exit code and how long it took.
    pub async fn terminate(mut self) -> (Option<i32>, Duration) {
        let clock = SystemClock::new();
        let started = clock.monotonic();
        self.signal(Signal::TERM);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        (ended.expect("the daemon does not stop").unwrap().code(), clock.monotonic() - started)
    }

    /// Kills it (SIGKILL).
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

async fn forward(from: impl AsyncRead + Unpin, to: UnboundedSender<String>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send(line).is_err() {
            return;
        }
    }
}

/// An onlooker that looks at a vault whenever something moves in it.
pub struct Onlooker {
    _watcher: RecommendedWatcher,
    moved: Receiver<()>,
}

impl Onlooker {
    /// Watches the folder at `root`, and below it what is there now.
    pub fn of(root: &Path) -> Self {
        let (sender, moved) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Looking at files makes events, too.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _nobody_looks_any_more = sender.send(());
            }
        })
        .unwrap();
        // A folder that goes while the tree is walked ends the walk: the next one does not meet it.
        let went = |error: &notify::Error| matches!(error.kind, notify::ErrorKind::PathNotFound);
        let watched = (0..100).find_map(|_| match watcher.watch(root, RecursiveMode::Recursive) {
            Err(error) if went(&error) && root.exists() => None,
            done => Some(done),
        });
        watched.expect("a tree that stands still for a moment").unwrap();
        Self { _watcher: watcher, moved }
    }

    /// Waits until `holds` is true, looking again whenever something has moved. True if it came to
    /// that within `patience`.
    pub fn until(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let clock = SystemClock::new();
        let end = clock.monotonic() + patience;
        tokio::task::block_in_place(|| {
            while !holds() {
                let left = end.saturating_sub(clock.monotonic());
                match self.moved.recv_timeout(left) {
                    Ok(()) => while self.moved.try_recv().is_ok() {},
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return holds(),
                }
            }
            true
        })
    }
}
