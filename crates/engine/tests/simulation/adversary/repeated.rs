//! A checkpoint with the true state of a commit and one more line, so often that the sum of the
//! state does not see it.

use std::sync::Arc;

use cogzy_engine::log::{Log, Snapshot};
use cogzy_engine::model::FORMAT;
use cogzy_engine::remote::{MemoryRemote, Remote};
use serde::Serialize;

use super::*;
use crate::no_cache::NoCache;

/// The numbers of a sum have 16 bits: what is added so often adds nothing. No smaller number will
/// do, since one of a line's 1,024 numbers is odd.
const UNSEEN: usize = 1 << 16;
/// Lines in the chunk that the checkpoint names again and again. So it is a small object.
const LINES: usize = 1 << 10;
/// The file that it brings.
const FORGED: &str = "notes/z.txt";

impl Adversary {
    /// Puts such a checkpoint of the newest state, and a commit that truly names the sum of that
    /// state. The line brings a file that nobody has written, with the content of another. False
    /// if there is no file yet.
    pub(super) async fn repeat(&mut self, world: &World, commits: &BTreeMap<CommitKey, Commit>) -> bool {
        let Some((at, state, lines)) = newest(world, commits).await else { return false };
        let Some(entry) = state.tree.values().next() else { return false };
        self.forge(world, "repeat", at, |commit| {
            commit.format = FORMAT;
            commit.base = Some(state.base());
        });
        let forged = line("file", (FORGED, entry)).repeat(LINES);
        let mut pieces = vec![lines.as_bytes()];
        pieces.extend([forged.as_bytes()].repeat(UNSEEN / LINES));
        self.put_checkpoint(world, commits[&at].vault, at, &pieces);
        true
    }
}

/// The newest commit that can be replayed, with its state and the lines of that.
async fn newest(
    world: &World,
    commits: &BTreeMap<CommitKey, Commit>,
) -> Option<(CommitKey, Arc<Snapshot>, String)> {
    let remote = MemoryRemote::default();
    let objects = world.store.lock().objects.clone();
    for (key, (body, _)) in objects.into_iter().filter(|(key, _)| !key.starts_with("checkpoints/")) {
        remote.put(&key, body).await.unwrap();
    }
    let mut log = Log::open(Arc::new(remote), Arc::new(NoCache)).await.ok()??;
    for at in commits.keys().rev().copied() {
        if let Ok(state) = log.recall(at).await {
            let lines = lines(&log, at, &state);
            return Some((at, state, lines));
        }
    }
    None
}

/// A line of a state, as docs/FORMAT.md has it.
fn line(kind: &str, what: impl Serialize) -> String {
    format!("{{\"{kind}\":{}}}\n", serde_json::to_string(&what).unwrap())
}

/// All lines of a state.
fn lines(log: &Log, commit: CommitKey, state: &Snapshot) -> String {
    let mut all = String::new();
    if !state.needs.is_empty() {
        all += &line("needs", &state.needs);
    }
    all += &line("groups", state.groups.definitions());
    all.extend(state.ages.iter().map(|of| line("ages", of)));
    let past = log.graph().ancestry(commit);
    all.extend(past.iter().map(|key| line("commit", (key, log.graph().get(*key).unwrap()))));
    all.extend(state.conflicts.values().map(|conflict| line("conflict", conflict)));
    all.extend(state.resolved.iter().map(|of| line("resolved", of)));
    if state.horizon > 0 {
        all += &line("horizon", state.horizon);
    }
    all.extend(state.marked.iter().map(|of| line("marked", of)));
    all.extend(state.swept.iter().map(|pack| line("swept", pack)));
    all.extend(state.void.iter().map(|commit| line("void", commit)));
    all.extend(state.given_up.iter().map(|content| line("given-up", content)));
    all.extend(state.packs.values().map(|pack| line("pack", pack.as_ref())));
    all.extend(state.recipes.iter().map(|of| line("recipe", of)));
    all.extend(state.tree.iter().map(|of| line("file", of)));
    all
}
