//! The program of the user that computes again what merges have left out.
//!
//! It works as a command under `cogzy-vault hold --` does: no group is sent or replaced meanwhile,
//! and what it writes is sent as one. The device that made the generation starts it at once; any
//! other one only if the members are still missing ten minutes later. So mostly one device computes
//! them, and the first result that is sent stands.
//!
//! Only the device's own configuration names it: nothing that comes from the bucket starts a
//! program, and it is told which files are missing on its standard input and never in its
//! arguments.
//!
//! Like a hook it is a process group with a guard, which ends it after a time even where the daemon
//! is killed. A crash forgets its runs: the next daemon starts it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::{Course, Daemon};
use cogzy_client::documents::{LeftOutDocument, RebuildDocument, RebuildState, moment};
use cogzy_engine::fs::RootedFs;
use cogzy_engine::sync::LeftOut;
use cogzy_engine::vault::{FileLock, wait_for};

/// The script that runs a program beside a guard, which ends their whole group after `$1` seconds.
const GUARDED: &str =
    r#"(trap '' HUP INT TERM; sleep "$1"; kill -KILL -$$) <&- >&- 2>&- & shift; exec "$@" 2>&1"#;
/// The longest wait for a generation that is being put in place.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
/// The time for which the device that made the generation has the first try.
const OTHERS_WAIT: Duration = Duration::from_secs(600);
/// The time after which a run that was in vain is repeated.
const AGAIN: Duration = Duration::from_secs(3600);
/// The end of the output that is kept, in bytes, and of its last line, in characters.
const TAIL: usize = 4096;
const LINE: usize = 200;

/// The program and its surroundings.
#[derive(Debug, Clone)]
pub struct Rebuild {
    /// The program with its arguments; empty for none.
    pub argv: Vec<String>,
    /// The time after which it is killed, with all that it has started.
    pub timeout: Duration,
    /// Variables that it does not get: the daemon's own credentials.
    pub withheld: Vec<String>,
    /// The vault's folder.
    pub vault: PathBuf,
    /// The lock under which it runs.
    pub lock: PathBuf,
    /// The disk.
    pub disk: Arc<RootedFs>,
    /// The process group of the running program; 0 where none runs. Clones share it.
    pub running: Arc<AtomicI32>,
}

/// The runs of one daemon.
#[derive(Debug)]
pub(super) struct Rebuilds {
    rebuild: Rebuild,
    left_out: Vec<LeftOut>,
    runs: BTreeMap<String, Run>,
    under_way: Option<(String, JoinHandle<Outcome>)>,
}

/// The last run for a group.
#[derive(Debug)]
struct Run {
    /// The time since which the members were missing then.
    of_ms: u64,
    at_ms: u64,
    state: RebuildState,
    last_line: Option<String>,
}

/// The end of a run: true if it was a good one, and the last line that the program wrote, or why it
/// did not run.
type Outcome = (bool, Option<String>);

impl Rebuild {
    /// Ends the running program with all that it has started, for a daemon that stops.
    pub fn end(&self) {
        if let Some(group) = Pid::from_raw(self.running.swap(0, Ordering::SeqCst)) {
            // It may have ended just now.
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Daemon {
    /// Has the program started, or its end looked at, unless syncing is paused.
    pub(super) async fn compute_again(&mut self, now: Duration, course: &mut Course) {
        if course.paused.is_some() {
            return;
        }
        if course.rebuilds.come_round(self.clock.now_ms()).await {
            course.scheduler.touch(now, None);
        }
        let documents = course.rebuilds.documents();
        if self.board.read().left_out != documents {
            self.board.update(|status| status.left_out = documents);
            self.announce(course, &BTreeSet::new()).await;
        }
    }
}

impl Rebuilds {
    pub(super) const fn new(rebuild: Rebuild) -> Self {
        Self { rebuild, left_out: Vec::new(), runs: BTreeMap::new(), under_way: None }
    }

    /// Takes note of the groups without some derived members.
    pub(super) fn note(&mut self, left_out: Vec<LeftOut>) {
        self.runs.retain(|group, run| {
            run.state == RebuildState::Running || left_out.iter().any(|one| one.group == *group)
        });
        self.left_out = left_out;
    }

    /// Starts the program for a group, if that is due, and takes in the end of one that ran. True
    /// if one has ended: what it wrote is to be looked at.
    pub(super) async fn come_round(&mut self, now_ms: u64) -> bool {
        let ended = self.under_way.take_if(|(_, run)| run.is_finished());
        let has_ended = ended.is_some();
        if let Some((group, run)) = ended {
            let (good, last_line) = run.await.unwrap_or((false, None));
            let state = if good { RebuildState::Done } else { RebuildState::Failed };
            let told = last_line.as_deref().unwrap_or_default();
            match good {
                true => tracing::info!(group, "what was left out is computed again"),
                false => tracing::warn!(group, told, "`hooks.rebuild` failed; it is tried again in an hour"),
            }
            let of_ms = self.runs.get(&group).map_or(0, |run| run.of_ms);
            self.runs.insert(group, Run { of_ms, at_ms: now_ms, state, last_line });
        }
        if self.under_way.is_none() && !self.rebuild.argv.is_empty() {
            let due = |one: &&LeftOut| is_due(one, self.runs.get(&one.group), now_ms);
            if let Some(left_out) = self.left_out.iter().find(due).cloned() {
                self.start(&left_out, now_ms);
            }
        }
        has_ended
    }

    /// The groups without some derived members, and the runs for them.
    pub(super) fn documents(&self) -> Vec<LeftOutDocument> {
        let documents = self.left_out.iter().map(|left_out| LeftOutDocument {
            rebuild: self.runs.get(&left_out.group).map(|run| RebuildDocument {
                state: run.state,
                at: moment(run.at_ms),
                last_line: run.last_line.clone(),
            }),
            ..LeftOutDocument::from(left_out)
        });
        documents.collect()
    }

    fn start(&mut self, left_out: &LeftOut, now_ms: u64) {
        let group = left_out.group.clone();
        tracing::info!(group, program = self.rebuild.argv.first(), "computing again what was left out");
        let input = serde_json::json!({
            "vault": self.rebuild.vault,
            "group": group,
            "left_out": left_out.paths,
        });
        let task = tokio::spawn(run(self.rebuild.clone(), format!("{input}\n").into_bytes()));
        let (of_ms, state) = (left_out.since_ms, RebuildState::Running);
        self.runs.insert(group.clone(), Run { of_ms, at_ms: now_ms, state, last_line: None });
        self.under_way = Some((group, task));
    }
}

/// True if the program is to be started for a group now.
fn is_due(left_out: &LeftOut, last: Option<&Run>, now_ms: u64) -> bool {
    let since = |then_ms: u64| Duration::from_millis(now_ms.saturating_sub(then_ms));
    let tried = last.filter(|run| run.of_ms == left_out.since_ms);
    left_out.is_here
        && (left_out.ours || since(left_out.since_ms) >= OTHERS_WAIT)
        && tried.is_none_or(|run| since(run.at_ms) >= AGAIN)
}

async fn run(rebuild: Rebuild, input: Vec<u8>) -> Outcome {
    let (disk, place) = (Arc::clone(&rebuild.disk), rebuild.lock.clone());
    let take = move || wait_for(PATIENCE, PAUSE, || FileLock::try_take_shared(disk.as_ref(), &place));
    let lock = match tokio::task::spawn_blocking(take).await {
        Ok(Ok(Some(lock))) => lock,
        Ok(Ok(None)) => return (false, Some("files were being put in place for a minute".to_owned())),
        Ok(Err(error)) => return (false, Some(error.to_string())),
        Err(error) => return (false, Some(error.to_string())),
    };
    if let Err(error) = lock.pass_on() {
        return (false, Some(error.to_string()));
    }
    let outcome = guarded(&rebuild, &input).await;
    // The last writes have not settled yet; until they have, the first ones must not be sent.
    if let Err(error) = lock.note_end() {
        tracing::warn!(%error, "the end of `hooks.rebuild` could not be noted");
    }
    outcome
}

async fn guarded(rebuild: &Rebuild, input: &[u8]) -> Outcome {
    // A little later than this task, which reports it.
    let guard = rebuild.timeout.as_secs().saturating_add(2).to_string();
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARDED, "cogzy-vault-rebuild", &guard]).args(&rebuild.argv);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    rebuild.withheld.iter().for_each(|name| {
        command.env_remove(name);
    });
    command.process_group(0).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return (false, Some(format!("it cannot be started: {error}"))),
    };
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    rebuild.running.store(group.map_or(0, |group| group.as_raw_nonzero().get()), Ordering::SeqCst);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let output = tokio::spawn(async move {
        match stdout {
            Some(stdout) => tail(stdout).await,
            None => Vec::new(),
        }
    });
    let whole = async {
        if let Some(mut stdin) = stdin {
            // It need not read its input.
            let _not_read = stdin.write_all(input).await;
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(rebuild.timeout, whole).await;
    // The guard at least is still there, so the number is not another group's yet. With the group
    // its output ends.
    let _gone = group.map(|group| kill_process_group(group, Signal::KILL));
    rebuild.running.store(0, Ordering::SeqCst);
    let line = last_line(&output.await.unwrap_or_default());
    match ended {
        Ok(Ok(status)) if status.success() => (true, line),
        Ok(Ok(status)) => (false, line.or_else(|| Some(status.to_string()))),
        Ok(Err(error)) => (false, Some(error.to_string())),
        Err(_) => (false, Some(format!("it took more than {:?} and is killed", rebuild.timeout))),
    }
}

/// The end of an output.
async fn tail(mut output: impl AsyncRead + Unpin) -> Vec<u8> {
    let (mut kept, mut block) = (Vec::new(), [0; TAIL]);
    while let Ok(count @ 1..) = output.read(&mut block).await {
        kept.extend_from_slice(block.get(..count).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(TAIL));
    }
    kept
}

/// The last line that says anything, without control characters.
fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(LINE).collect())
}

#[cfg(test)]
mod tests;
