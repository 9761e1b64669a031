//! Old states that stay in memory, so that the next replay of one need not begin at the first
//! commit. States share what they have in common.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Snapshot;
use crate::model::CommitKey;

/// Commits of a replay from one waypoint to the next.
pub(super) const SPACING: usize = 32;
/// Waypoints at most. The further back, the further they are from each other.
const MOST: usize = 16;

/// Some states that long replays have passed.
#[derive(Debug, Default)]
pub(super) struct Waypoints(BTreeMap<CommitKey, Arc<Snapshot>>);

impl Waypoints {
    pub(super) fn get(&self, key: CommitKey) -> Option<Arc<Snapshot>> {
        self.0.get(&key).cloned()
    }

    /// Keeps a state.
    pub(super) fn keep(&mut self, state: &Snapshot) {
        let Some(key) = state.key else { return };
        self.0.insert(key, Arc::new(state.clone()));
        if self.0.len() > MOST {
            let crowded = self.most_crowded();
            self.0.retain(|key, _| Some(*key) != crowded);
        }
    }

    /// The one whose neighbours are nearest to each other, as measured by how long ago they were.
    fn most_crowded(&self) -> Option<CommitKey> {
        let keys: Vec<CommitKey> = self.0.keys().copied().collect();
        let newest = keys.last()?.seq;
        let gap = |around: &&[CommitKey]| match around {
            [before, _, after] => {
                let (gap, age) = (after.seq - before.seq, newest - before.seq);
                u128::from(gap) * 1_000_000 / u128::from(age.max(1))
            }
            _ => u128::MAX,
        };
        keys.windows(3).min_by_key(gap).and_then(|around| around.get(1)).copied()
    }

    pub(super) fn retain(&mut self, good: impl Fn(CommitKey) -> bool) {
        self.0.retain(|key, _| good(*key));
    }

    #[cfg(test)]
    pub(super) fn generations(&self) -> Vec<u64> {
        self.0.keys().map(|key| key.seq).collect()
    }
}
