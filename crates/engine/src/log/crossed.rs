//! The base of a merge: what two heads had in common, also where earlier merges have crossed.
//!
//! Two devices that merge at the same moment, each without a commit that the other one has seen,
//! write two merges, and these are merged again. Their nearest common ancestors are several then,
//! and the base is the merge of all of them. Each of these merges has a base of its own, found the
//! same way.
//!
//! # Why there is a limit
//! Whoever can write to the bucket can put thousands of pairs of merges, one above the other, that
//! all cross. Devices would merge for hours before they come to the bottom. So a base is made of so
//! many merges at most ([`MAX_FOLDED`]). Where more would be needed, the highest of the nearest
//! ancestors, with those that are merged into it by then, is the base. The limit counts in an order
//! that the commits alone decide, so all devices come to the same base and write the same merge.

use super::merge::virtual_base;
use super::{Log, LogError, Snapshot};
use crate::model::CommitKey;

/// Merges that a base is made of, at most.
///
/// Honest devices need a few: in 2,950 simulated worlds it was never more than two. Who sees the
/// same heads writes the same merge, so that only a device that has not seen a commit yet makes one
/// that crosses; devices list before they merge, and wait for their turn where many commit at once.
/// The limit is far above, and part of the format: with another one the same heads would be merged
/// into other bytes.
pub(super) const MAX_FOLDED: usize = 256;

/// Two commits whose base is looked for.
struct Pair {
    /// Nearest common ancestors that are not merged into the base yet, the lowest first.
    left: Vec<CommitKey>,
    /// The last one that was.
    folded: CommitKey,
    base: Snapshot,
}

impl Log {
    /// Nearest common ancestor. If merges crossed and there are several, it is their merge.
    pub(super) async fn common_base(
        &mut self,
        one: CommitKey,
        other: CommitKey,
    ) -> Result<Snapshot, LogError> {
        let Some(first) = self.pair(one, other).await? else { return Ok(Snapshot::default()) };
        // Not by recursion: the stack of a thread is small.
        let (mut open, mut pair, mut count) = (Vec::new(), first, 0);
        loop {
            if let Some(next) = pair.left.last().copied().filter(|_| count < MAX_FOLDED) {
                count += 1;
                match self.pair(pair.folded, next).await? {
                    Some(below) => open.push(std::mem::replace(&mut pair, below)),
                    None => self.fold(&mut pair, &Snapshot::default()).await?,
                }
                continue;
            }
            if !pair.left.is_empty() {
                tracing::warn!(%one, %other, "more merges crossed than devices make: their base is made of some of them");
            }
            let Some(above) = open.pop() else { return Ok(pair.base) };
            let older = std::mem::replace(&mut pair, above).base;
            self.fold(&mut pair, &older).await?;
        }
    }

    /// Two commits with their nearest common ancestors. `None` if they have none.
    async fn pair(&mut self, one: CommitKey, other: CommitKey) -> Result<Option<Pair>, LogError> {
        let mut left = self.graph.nearest_common(one, other);
        left.reverse();
        let Some(folded) = left.pop() else { return Ok(None) };
        let base = self.snapshot(Some(folded)).await?.as_ref().clone();
        Ok(Some(Pair { left, folded, base }))
    }

    /// Merges the next ancestor into the base of a pair; `older` is the base of this merge.
    async fn fold(&mut self, pair: &mut Pair, older: &Snapshot) -> Result<(), LogError> {
        let Some(next) = pair.left.pop() else { return Ok(()) };
        let lower = self.snapshot(Some(next)).await?;
        pair.base = virtual_base(older, &lower, &pair.base);
        pair.folded = next;
        Ok(())
    }
}
