//! Gives up what the bucket has lost and no repair has brought back: one commit declares it lost
//! for good.
//!
//! Decided here: what stands in the place of a lost file. It goes back to the last version that can
//! be read, a group as a whole; where there is none, the lost files go and the rest stays. A
//! conflict that has lost a file keeps its other files. Packs that are missing or damaged are
//! marked, once what is whole of them lies in new packs: the next prunes sweep them.
//!
//! Nobody knows what a device holds that is away. One that still has a given-up content where it
//! was agreed treats it as its own edit (`cycle::given_up`): it comes back, or is kept as a
//! conflict.
//!
//! A crash before the commit leaves packs that belong to nothing; after it, all is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::lost::{Losses, LostVersion};
use super::repack::{Moved, Worn};
use super::repair::stored_part;
use super::{Fault, Lost, Repaired, Verified};
use crate::content::ChunkIndex;
use crate::log::{ChunkReader, Snapshot, pack_key, parse_pack_key};
use crate::model::{
    CommitKind, Conflict, ConflictId, Digest, Entry, Feature, Item, PackId, Prune, Tree, VaultPath,
};
use crate::sync::recovery::{Rewrite, Stand};
use crate::sync::session::Session;
use crate::sync::{Engine, Refusal, Request, SyncError, Watcher};

impl Engine {
    /// Repairs what can be, and gives up the rest, unless more is lost than the versions in
    /// `agreed`. Returns the result of a last look.
    ///
    /// # Errors
    /// Errors that keep it from looking or writing; a refusal where more is lost, or where a device
    /// could not read of it.
    pub async fn give_up(
        &mut self,
        agreed: &[Lost],
        watcher: &dyn Watcher,
    ) -> Result<(Verified, Repaired), SyncError> {
        let mut session = self.session(watcher).await?;
        let (verified, mut repaired, losses) = session.repair().await?;
        let told = losses.told();
        if !session.give_up(agreed, losses, &verified.faults).await? {
            return Ok((verified, repaired));
        }
        repaired.lost.clear();
        repaired.given_up = told;
        self.settled_cycle(Request::FULL, watcher).await?;
        Ok((self.session(watcher).await?.verify(true).await?, repaired))
    }

    /// Gives up what stays lost for these faults, which a look has found after a repair, unless it
    /// is more than the versions in `agreed`. Returns what was given up.
    ///
    /// # Errors
    /// See [`Engine::give_up`].
    pub async fn declare_lost(
        &mut self,
        agreed: &[Lost],
        faults: &[Fault],
        watcher: &dyn Watcher,
    ) -> Result<Vec<Lost>, SyncError> {
        let mut session = self.session(watcher).await?;
        let losses = session.not_given_up(faults).await?;
        let told = losses.told();
        Ok(if session.give_up(agreed, losses, faults).await? { told } else { Vec::new() })
    }
}

impl Session<'_> {
    /// Commits that these versions are lost. False if there is nothing to give up.
    async fn give_up(
        &mut self,
        agreed: &[Lost],
        mut losses: Losses,
        faults: &[Fault],
    ) -> Result<bool, SyncError> {
        let bad: BTreeSet<PackId> = faults.iter().filter_map(|fault| parse_pack_key(&fault.path)).collect();
        if losses.versions.is_empty() && bad.is_empty() {
            return Ok(false);
        }
        if let Some(head) = losses.head
            && let Some(pack) = self.log.note_gone(head, &bad).await?
        {
            return Err(Refusal::MayCome(pack_key(pack)).into());
        }
        let head = self.stand().await?;
        let agreed: BTreeSet<(&str, u64)> =
            agreed.iter().map(|lost| (lost.path.as_str(), lost.from)).collect();
        let is_agreed = |LostVersion { lost, .. }: &LostVersion| agreed.contains(&(&*lost.path, lost.from));
        if !losses.versions.iter().all(is_agreed) || losses.head.is_some_and(|seen| Some(seen) != head.key) {
            return Err(Refusal::MoreLost.into());
        }
        let devices = self.behind(Feature::GivenUp, &head).await?;
        if !devices.is_empty() {
            return Err(Refusal::Behind { devices, since: Feature::GivenUp.since() }.into());
        }
        let back = self.last_readable(&mut losses).await?;
        let mut from = head.as_ref().clone();
        for (_, state) in back.values() {
            from.recipes.extend(state.recipes.iter().map(|(id, recipe)| (*id, recipe.clone())));
            from.packs.extend(state.packs.iter().map(|(id, pack)| (*id, Arc::clone(pack))));
        }
        let (kept, unkept) = without_lost(&head, &losses.versions);
        let wanted = instead(&head, &losses.versions, &back);
        let Moved { packs, left } = self.move_whole_chunks(&head, &bad).await?;
        let marked: BTreeSet<PackId> =
            left.into_iter().filter(|pack| !head.marked.contains_key(pack)).collect();
        let given_up: BTreeSet<Digest> = losses.versions.iter().map(|version| version.content).collect();
        let prune = Prune {
            marked: marked.into_iter().collect(),
            given_up: given_up.into_iter().collect(),
            unkept,
            ..Prune::default()
        };
        let from = Some(Arc::new(from));
        let kind = CommitKind::GiveUp;
        let rewrite = Rewrite { kind, wanted, from, kept, prune, packs, ..Rewrite::default() };
        Ok(self.rewrite(&head, rewrite, true).await?.is_some())
    }

    /// Moves the chunks that can be read of bad packs, and that no other pack holds, to new ones.
    async fn move_whole_chunks(&mut self, head: &Stand, bad: &BTreeSet<PackId>) -> Result<Moved, SyncError> {
        // Lost packs are in the state that commits say, and not at hand.
        let said = self.log.snapshot(head.key).await?;
        let named = said.packs.values().filter(|pack| bad.contains(&pack.id)).cloned();
        let others = head.lasting();
        let others = others.values().filter(|pack| !bad.contains(&pack.id));
        let others: ChunkIndex = others.cloned().collect();
        let reader = ChunkReader::new(Arc::clone(&self.context.ports.remote));
        let mut worn = Vec::new();
        for pack in named {
            let bytes = reader.whole(pack.id).await?.unwrap_or_default();
            let whole = pack.chunks.iter().filter(|slot| stored_part(pack.id, slot, &bytes).is_some());
            let live = whole.filter(|slot| !others.contains(&slot.id)).copied().collect();
            worn.push(Worn { pack, live });
        }
        self.context.repack(worn, self.watcher).await
    }
}

/// Entries for the items that have lost a file in the newest state.
fn instead(
    head: &Snapshot,
    versions: &[LostVersion],
    back: &BTreeMap<Item, (u64, Arc<Snapshot>)>,
) -> BTreeMap<VaultPath, Option<Entry>> {
    let mut wanted = BTreeMap::new();
    let stands = |version: &&LostVersion| {
        let entry = head.tree.get(&version.path);
        version.conflict.is_none() && entry.is_some_and(|entry| entry.digest == version.content)
    };
    for version in versions.iter().filter(stands) {
        let item = head.groups.item(&version.path);
        let Some((_, state)) = back.get(&item) else {
            wanted.insert(version.path.clone(), None);
            continue;
        };
        let members =
            |tree: &Tree| tree.clone().into_iter().filter(|(path, _)| head.groups.item(path) == item);
        wanted.extend(members(&head.tree).map(|(path, _)| (path, None)));
        wanted.extend(members(&state.tree).map(|(path, entry)| (path, Some(entry))));
    }
    wanted
}

/// Open conflicts that have lost a file, and what is left of them as conflicts of their own. They
/// are not decided: a device that has the bytes lists them again.
fn without_lost(head: &Snapshot, versions: &[LostVersion]) -> (Vec<Conflict>, Vec<ConflictId>) {
    let gone: BTreeSet<Digest> = versions.iter().map(|version| version.content).collect();
    let ids: BTreeSet<ConflictId> = versions.iter().filter_map(|version| version.conflict).collect();
    let open = ids.iter().filter_map(|id| head.conflicts.get(id));
    let (mut kept, mut unkept) = (Vec::new(), Vec::new());
    for conflict in open {
        unkept.push(conflict.id);
        let mut rest = conflict.clone();
        rest.files.retain(|file| file.entry.is_none_or(|entry| !gone.contains(&entry.digest)));
        rest.id = Conflict::id_of(&rest.item, &rest.files);
        let rest = rest.undecided(&head.resolved);
        if rest.files.iter().any(|file| file.entry.is_some()) {
            kept.push(rest);
        }
    }
    (kept, unkept)
}
