//! Which state the cache keeps for the next start. Losing it costs a longer replay.

use super::checkpoint::EVERY;
use super::{Log, LogError, Snapshot};
use crate::model::CommitKey;

/// Changes, and the share of the vault's files, from which the start of a process need not apply
/// them again: its state is kept.
const MANY_CHANGES: usize = 4096;
const KEPT_SHARE: usize = 8;

impl Log {
    /// Keeps a state of the line to `head` in the cache, if a start from the last one would replay
    /// much, or read it slowly. So a device that writes no checkpoints need not replay at each
    /// start all commits since it joined. Where these are many, the state is one of some
    /// generations ago, so that a fork from not long before is replayed from it too.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache.
    pub async fn keep_state_if_due(&mut self, head: CommitKey) -> Result<(), LogError> {
        let last = self.start.as_ref().map_or(0, |start| start.commit.seq);
        let now = self.snapshot(Some(head)).await?;
        let applied = now.applied.saturating_sub(self.applied);
        let slow = self.start.as_ref().filter(|start| !start.is_compact).map(|start| start.commit);
        let at = if applied > MANY_CHANGES.max(now.tree.len() / KEPT_SHARE) {
            self.kept_for(head, &now)
        } else if head.seq >= last + 2 * EVERY {
            let back = self.line(head).into_iter().find(|key| key.seq + EVERY <= head.seq);
            back.unwrap_or(head)
        } else if let Some(start) = slow {
            start
        } else {
            return Ok(());
        };
        let snapshot = self.snapshot(Some(at)).await?;
        let checkpoint = self.start.as_ref().map_or_else(String::new, |start| start.checkpoint.clone());
        self.cache_state(at, checkpoint, &snapshot)
    }

    /// The oldest state in memory, of the last generations, from which few changes lead to `now`,
    /// the state at `head`: a fork from not long before is to be replayed from it, too.
    fn kept_for(&self, head: CommitKey, now: &Snapshot) -> CommitKey {
        let line = self.line(head).into_iter().take_while(|key| key.seq + EVERY > head.seq);
        let is_near = |key: &CommitKey| {
            let state = self.remembered(*key);
            state.is_some_and(|state| now.applied.saturating_sub(state.applied) <= MANY_CHANGES / 4)
        };
        line.filter(is_near).min_by_key(|key| key.seq).unwrap_or(head)
    }
}
