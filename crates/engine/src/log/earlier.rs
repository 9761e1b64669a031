//! Old states: where a replay would begin far back, it begins at a checkpoint of the bucket.
//!
//! A device keeps one proved state, near the head. An older one (that of a restore, the parent of a
//! late fork, the oldest that retention keeps) would be replayed from the first commit, and a device
//! that joined lately would fetch each commit for that. A checkpoint on the way is proved by the
//! commit that follows it there and names the sum of its state. That commit must be on the line of
//! first parents of this device's agreed or proved state, where every sum was checked: whoever can
//! write to the bucket can make a fork, a merge of it, and a checkpoint that fit each other.
//!
//! Nothing depends on it: where no checkpoint serves, the commits are read. The state passes through
//! the cache, since it is not parsed before it is proved; what a crash leaves of it there goes with
//! the next proved state.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checkpoint::EVERY;
use super::format::{CHECKPOINTS, COMMITS, parse_commit_key};
use super::start::{TRIES, not_named, seq_of};
use super::{Log, LogError, Snapshot};
use crate::model::CommitKey;
use crate::remote::list_all;

/// Commits to fetch from which on a checkpoint is looked for.
const MANY_TO_FETCH: usize = 2 * EVERY as usize;
/// Commits to replay from which on one is looked for, though the cache has them.
const MANY_TO_REPLAY: usize = 4096;

impl Log {
    /// The newest state that a checkpoint gives of the commits of `back`, which are a commit, its
    /// first parent, and so on. `None` if they are few, or if no checkpoint serves.
    pub(super) async fn earlier_state(&mut self, back: &[CommitKey]) -> Option<Arc<Snapshot>> {
        if !self.is_far(back) {
            return None;
        }
        let listed = match list_all(self.remote.as_ref(), CHECKPOINTS, None).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "checkpoints cannot be listed: the commits are read");
                return None;
            }
        };
        let anchors = self.agreed.into_iter().chain(self.start.as_ref().map(|start| start.commit));
        let history: BTreeSet<CommitKey> = anchors.flat_map(|anchor| self.line(anchor)).collect();
        let on_way = |key: &str| {
            let seq = seq_of(key)?;
            back.windows(2).find_map(|pair| match pair {
                [after, at] if at.seq == seq && history.contains(after) => Some((*at, *after)),
                _ => None,
            })
        };
        let near = listed.iter().rev().filter_map(|object| Some((object.key.as_str(), on_way(&object.key)?)));
        for (key, (at, after)) in near.take(TRIES) {
            match self.proved_by(key, at, after).await {
                Ok(Some(state)) => return Some(Arc::new(state)),
                Ok(None) => {}
                Err(error) => {
                    tracing::info!(key, %error, "a checkpoint is not used for an old state");
                    self.note_unused(key, &error);
                }
            }
        }
        None
    }

    /// True if replaying these commits takes so long that a checkpoint is worth its requests.
    fn is_far(&self, back: &[CommitKey]) -> bool {
        if back.len() <= MANY_TO_FETCH {
            return false;
        }
        let cached: BTreeSet<CommitKey> =
            self.cache.keys(COMMITS).iter().filter_map(|key| parse_commit_key(key)).collect();
        let missing = back.iter().filter(|key| !cached.contains(*key)).count();
        missing > MANY_TO_FETCH || back.len() > MANY_TO_REPLAY
    }

    /// The state of the commit `at` in the checkpoint `key`, if the commit `after`, whose first
    /// parent that is, names its sum. `None` if it names none, or the checkpoint is of another
    /// commit.
    async fn proved_by(
        &mut self,
        key: &str,
        at: CommitKey,
        after: CommitKey,
    ) -> Result<Option<Snapshot>, LogError> {
        let checkpoint = self.read_checkpoint(key).await?;
        let (_, child) = self.read_commit(after).await?;
        let is_start = self.start.as_ref().is_some_and(|start| start.commit == at);
        let Some(named) = child.base.filter(|_| checkpoint.commit() == at && !is_start) else {
            return Ok(None);
        };
        let added = self.add_up(key, &checkpoint, true).await;
        let state = match added {
            Ok(proof) if proof.sum.digest() == named => self.parsed(at, &proof).map(|(state, _)| state),
            Ok(_) => Err(not_named(key, at)),
            Err(error) => Err(error),
        };
        self.forget_parts(at);
        let mut state = state?;
        state.names_base = self.read_commit(at).await?.1.base.is_some();
        Ok(Some(state))
    }
}
