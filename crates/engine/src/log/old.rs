//! Merges the marks and sweeps of two branches.
//!
//! A branch may rely on a pack that the other one has marked: then it is unmarked. It may rely on a
//! pack that the other has swept: then the contents that need it are gone, and the branch's changes
//! to their items do not count. Its commits are *void*, which tells their devices to send again
//! what they still have. The lost contents follow from the commits and from immutable lists of
//! chunks alone, so every device that merges finds the same. A list that is damaged or missing in
//! the bucket loses nothing here: that is for a repair.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::places::Contents;
use super::{ChunkReader, Graph, LogError, Snapshot};
use crate::model::{Change, CommitKey, Conflict, Digest, Item, PackId, Prune, VaultPath};

/// State of old data on the two sides of a merge.
#[derive(Debug, Clone, Default)]
pub struct OldData {
    /// Contents of which the packs that are left lack a part, by their tables.
    lost: BTreeSet<Digest>,
    /// Marked packs that the result needs.
    needed: BTreeSet<PackId>,
    /// Commits that rely on lost contents.
    void: Vec<CommitKey>,
}

/// True if a conflict of the common ancestor is gone on a side that has given up a content of it.
pub(super) fn was_given_up(conflict: &Conflict, base: &Snapshot, side: &Snapshot) -> bool {
    let is_gone = base.conflicts.contains_key(&conflict.id) && !side.conflicts.contains_key(&conflict.id);
    let mut entries = conflict.files.iter().filter_map(|file| file.entry);
    is_gone && entries.any(|entry| side.given_up.contains(&entry.digest))
}

impl OldData {
    /// Compares two branches that part at `base`.
    pub(super) async fn compare(
        reader: &ChunkReader,
        graph: &Graph,
        base: &Snapshot,
        sides: [&Snapshot; 2],
    ) -> Result<Self, LogError> {
        let moved = |side: &&Snapshot| side.swept != base.swept || side.marked != base.marked;
        if !sides.iter().any(moved) {
            return Ok(Self::default());
        }
        let [one, other] = sides;
        let mut contents = Contents::of(one);
        contents.extend(Contents::of(other));
        // For what is given up no pack is kept.
        contents.all.retain(|id, _| !one.given_up.contains(id) && !other.given_up.contains(id));
        let there = || {
            let packs = one.packs.iter().chain(&other.packs);
            packs.filter(|(id, _)| sides.iter().all(|side| !side.swept.contains(id)))
        };
        let marked = |id: &PackId| sides.iter().any(|side| side.marked.contains_key(id));
        let lasting = there().filter(|(id, _)| !marked(id)).map(|(_, pack)| pack);
        let leaving = there().filter(|(id, _)| marked(id)).map(|(_, pack)| pack);
        let mut places = reader.places(&contents, lasting, leaving, &[]).await?;
        // A list that cannot be read is damage, and no sweep: another device may read it.
        places.lost.retain(|content| !places.unread.contains(content));
        let needed = places.chunks.into_values().filter(|pack| marked(pack)).collect();
        let mut void = BTreeSet::new();
        for (side, against) in [(one, other), (other, one)] {
            let mut brought = side.contents().filter(|entry| places.lost.contains(&entry.digest));
            let known: BTreeSet<Digest> = against.contents().map(|entry| entry.digest).collect();
            if brought.any(|entry| !known.contains(&entry.digest))
                && let (Some(head), Some(against)) = (side.key, against.key)
            {
                void.extend(graph.only_in(head, against));
            }
        }
        Ok(Self { lost: places.lost, needed, void: void.into_iter().collect() })
    }

    fn is_lost(&self, conflict: &Conflict) -> bool {
        conflict.files.iter().any(|file| file.entry.is_some_and(|entry| self.lost.contains(&entry.digest)))
    }

    /// The part of a side that still counts. Items with a lost content are taken whole from
    /// `other`; conflicts with one are dropped.
    pub(super) fn left<'a>(&self, side: &'a Snapshot, other: &Snapshot) -> Cow<'a, Snapshot> {
        let lost = |side: &Snapshot| -> BTreeSet<Item> {
            let gone = side.tree.iter().filter(|(_, entry)| self.lost.contains(&entry.digest));
            gone.map(|(path, _)| side.groups.item(path)).collect()
        };
        let items = lost(side);
        if items.is_empty() && !side.conflicts.values().any(|conflict| self.is_lost(conflict)) {
            return Cow::Borrowed(side);
        }
        let mut left = side.clone();
        left.conflicts.retain(|_, conflict| !self.is_lost(conflict));
        left.tree.retain(|path, _| !items.contains(&side.groups.item(path)));
        // A content lost on both sides cannot be named until a device sends it again.
        let theirs = other.tree.iter().filter(|(path, entry)| {
            items.contains(&side.groups.item(path)) && !self.lost.contains(&entry.digest)
        });
        left.tree.extend(theirs.map(|(path, entry)| (path.clone(), *entry)));
        Cow::Owned(left)
    }

    /// Adds the changes from the winner's original state (`was`) to the part of it that counts
    /// (`left`): the merge is a difference to the original.
    pub(super) fn add_reverts(&self, changes: &mut Vec<Change>, was: &Snapshot, left: &Snapshot) {
        if self.lost.is_empty() {
            return;
        }
        let named: BTreeSet<VaultPath> = changes.iter().map(|change| change.path.clone()).collect();
        let paths: BTreeSet<&VaultPath> = was.tree.keys().chain(left.tree.keys()).collect();
        let reverted = paths.into_iter().filter(|path| was.tree.get(*path) != left.tree.get(*path));
        let reverts = reverted.filter(|path| !named.contains(*path));
        changes
            .extend(reverts.map(|path| Change { path: path.clone(), entry: left.tree.get(path).copied() }));
        changes.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Marks and sweeps of the merge, as a difference to the winner.
    pub(super) fn prune(&self, base: &Snapshot, loser: &Snapshot, winner: &Snapshot) -> Prune {
        let swept = loser.swept.difference(&winner.swept).copied();
        let is_swept = |pack: &PackId| loser.swept.contains(pack) || winner.swept.contains(pack);
        let marks = loser.marked.keys().filter(|pack| {
            !base.marked.contains_key(*pack)
                && !winner.marked.contains_key(*pack)
                && !is_swept(pack)
                && !self.needed.contains(*pack)
        });
        let taken_back = |pack: &PackId| base.marked.contains_key(pack) && !loser.marked.contains_key(pack);
        let unmarked = winner
            .marked
            .keys()
            .filter(|pack| !is_swept(pack) && (self.needed.contains(*pack) || taken_back(pack)));
        let unkept = winner
            .conflicts
            .values()
            .filter(|conflict| self.is_lost(conflict) || was_given_up(conflict, base, loser));
        let void: BTreeSet<CommitKey> = loser.void.iter().chain(&self.void).copied().collect();
        let given_up = loser
            .given_up
            .iter()
            .filter(|content| !base.given_up.contains(*content) && !winner.given_up.contains(*content));
        Prune {
            horizon: (loser.horizon > winner.horizon).then_some(loser.horizon),
            marked: marks.copied().collect(),
            unmarked: unmarked.copied().collect(),
            swept: swept.collect(),
            void: void.into_iter().filter(|key| !winner.void.contains(key)).collect(),
            unkept: unkept.map(|conflict| conflict.id).collect(),
            given_up: given_up.copied().collect(),
        }
    }
}
