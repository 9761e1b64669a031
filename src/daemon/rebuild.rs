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
//! A crash forgets its runs: the next daemon starts it anew.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::guarded::{End, Guarded, Program};
use super::{Course, Daemon};
use cogzy_client::documents::{LeftOutDocument, RebuildDocument, RebuildState, moment};
use cogzy_engine::fs::RootedFs;
use cogzy_engine::sync::LeftOut;
use cogzy_engine::vault::{FileLock, Layout};

/// The time for which the device that made the generation has the first try.
const OTHERS_WAIT: Duration = Duration::from_secs(600);
/// The time after which a run that was in vain is repeated.
const AGAIN: Duration = Duration::from_secs(3600);
/// The longest last line, in characters.
const LINE: usize = 200;

/// The program and its surroundings.
#[derive(Debug, Clone)]
pub struct Rebuild {
    /// The program with its arguments; empty for none.
    pub argv: Vec<String>,
    /// Its limits.
    pub guarded: Guarded,
    /// The vault, with the lock under which it runs.
    pub layout: Layout,
    /// The disk.
    pub disk: Arc<RootedFs>,
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
        let mut is_new = false;
        self.board.update(|status| {
            is_new = status.left_out != documents;
            status.left_out = documents;
        });
        if is_new {
            self.announce(course).await;
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
            "vault": self.rebuild.layout.root(),
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
    let Rebuild { argv, guarded, layout, disk } = rebuild;
    let lock = tokio::task::spawn_blocking(move || FileLock::for_a_command(disk.as_ref(), &layout));
    let lock = match lock.await {
        Ok(Ok(Some(lock))) => lock,
        Ok(Ok(None)) => return (false, Some("files were being put in place for a minute".to_owned())),
        Ok(Err(error)) => return (false, Some(error.to_string())),
        Err(error) => return (false, Some(error.to_string())),
    };
    if let Err(error) = lock.pass_on() {
        return (false, Some(error.to_string()));
    }
    let output = Stdio::piped();
    let program = Program { name: "cogzy-vault-rebuild", argv: &argv, input: &input, output };
    let (end, said) = guarded.run(program).await;
    // The last writes have not settled yet; until they have, the first ones must not be sent.
    if let Err(error) = lock.note_end() {
        tracing::warn!(%error, "the end of `hooks.rebuild` could not be noted");
    }
    let line = last_line(&said);
    match end {
        End::Exit(status) if status.success() => (true, line),
        End::Exit(status) => (false, line.or_else(|| Some(status.to_string()))),
        End::Lost(error) => (false, Some(error.to_string())),
        End::NotStarted(error) => (false, Some(format!("it cannot be started: {error}"))),
        End::Late => (false, Some(format!("it took more than {:?} and is killed", guarded.timeout))),
    }
}

/// The last line that says anything, without control characters.
fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(LINE).collect())
}

#[cfg(test)]
mod tests;
