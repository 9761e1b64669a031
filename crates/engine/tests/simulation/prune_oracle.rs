//! An oracle of old data, which reads the bucket by docs/FORMAT.md.
//!
//! Every content that a head names can be put together, unless another head has swept one of its
//! packs (then the head is about to become void). So can everything that retention keeps. The
//! horizon never lies above that. No pack is marked, swept or deleted before its time. Contents
//! that only void commits carried count as not carried at all.

use std::collections::{BTreeMap, BTreeSet};

use cogzy_engine::content::open_chunk;
use cogzy_engine::model::{
    ChunkSlot, Commit, CommitKey, CommitKind, ConflictId, Digest, Entry, PackId, Recipe, VaultPath,
};
use cogzy_engine::sync::Retention;

use crate::oracle::Check;
use crate::replayed::{Objects, Within, pack_name, parse};
use crate::store::{Bucket, Store};

/// The vault as one commit left it.
#[derive(Debug, Clone, Default)]
struct State {
    tree: BTreeMap<VaultPath, Entry>,
    conflicts: BTreeMap<ConflictId, Vec<Entry>>,
    decided: BTreeSet<ConflictId>,
    packs: BTreeMap<PackId, Vec<ChunkSlot>>,
    /// The places of each chunk.
    places: BTreeMap<Digest, BTreeMap<PackId, ChunkSlot>>,
    /// Each with the commit that marked it.
    marked: BTreeMap<PackId, CommitKey>,
    swept: BTreeSet<PackId>,
    void: BTreeSet<CommitKey>,
    horizon: u64,
}

impl State {
    fn follow(&mut self, key: CommitKey, commit: &Commit, packs: Vec<(PackId, Vec<ChunkSlot>)>) {
        self.marked.extend(commit.prune.marked.iter().map(|pack| (*pack, key)));
        self.marked.retain(|pack, _| !commit.prune.unmarked.contains(pack));
        for pack in &commit.prune.swept {
            for slot in self.packs.remove(pack).unwrap_or_default() {
                self.places.entry(slot.id).or_default().remove(pack);
            }
            self.swept.insert(*pack);
        }
        for (pack, chunks) in packs {
            for slot in &chunks {
                self.places.entry(slot.id).or_default().insert(pack, *slot);
            }
            self.packs.insert(pack, chunks);
        }
        self.void.extend(&commit.prune.void);
        self.horizon = self.horizon.max(commit.prune.horizon.unwrap_or(0));
        for change in &commit.changes {
            match change.entry {
                Some(entry) => self.tree.insert(change.path.clone(), entry),
                None => self.tree.remove(&change.path),
            };
        }
        let gone =
            commit.resolved.iter().map(|decision| decision.id).chain(commit.prune.unkept.iter().copied());
        for id in gone {
            self.conflicts.remove(&id);
        }
        self.decided.extend(commit.resolved.iter().map(|decision| decision.id));
        for kept in commit.kept.iter().filter(|kept| !self.decided.contains(&kept.id)) {
            let files = kept.files.iter().filter_map(|file| file.entry).collect();
            self.conflicts.insert(kept.id, files);
        }
    }

    fn holders(&self, chunk: &Digest) -> impl Iterator<Item = (&PackId, &ChunkSlot)> {
        self.places.get(chunk).into_iter().flatten()
    }

    fn contents(&self) -> impl Iterator<Item = &Entry> {
        self.tree.values().chain(self.conflicts.values().flatten())
    }
}

/// The bucket as it was read.
#[derive(Debug, Clone, Default)]
pub struct OldData {
    commits: BTreeMap<CommitKey, (Commit, State)>,
    within: Within,
    /// Recipes are found by content.
    recipes: BTreeMap<Digest, Recipe>,
    /// Packs that have been there.
    packs: BTreeSet<PackId>,
    /// Versions that void commits carried and that could be put together all the same.
    void_kept: BTreeSet<Digest>,
}

/// The fates of versions.
#[derive(Debug, Default)]
pub struct Fates {
    /// They are kept.
    pub kept: BTreeSet<Digest>,
    /// Their retention has ended.
    pub expired: BTreeSet<Digest>,
    /// Only void commits carried them, and they cannot be put together any more: a device that has
    /// them owes them again.
    pub void: BTreeSet<Digest>,
}

/// Room that packs take, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    pub used: u64,
    pub justified: u64,
}

impl OldData {
    /// Looks at everything, and returns the versions that need not be there any more.
    pub fn look(&mut self, store: &Store, keep: Retention) -> Result<Fates, String> {
        let bucket = store.lock();
        self.read(&bucket, keep)?;
        self.check_deleted(&bucket)?;
        let heads = self.heads();
        for head in &heads {
            let others = heads.iter().filter(|other| *other != head);
            let swept: BTreeSet<PackId> =
                others.flat_map(|other| &self.commits[other].1.swept).copied().collect();
            self.check_head(*head, &swept, &bucket.objects).map_err(|why| format!("head {head}: {why}"))?;
        }
        match heads.as_slice() {
            [head] => self.check_kept(*head, &bucket, keep),
            // Until they are merged it is open what belongs together; a version that one of them
            // has let go may be gone.
            many => {
                let expired = many.iter().flat_map(|head| self.expired(*head)).collect();
                Ok(Fates { expired, ..Fates::default() })
            }
        }
    }

    /// Versions whose retention has ended, as a head says.
    fn expired(&self, head: CommitKey) -> BTreeSet<Digest> {
        let now = &self.commits[&head].1;
        let mut past = self.past(head);
        past.retain(|key| key.seq < now.horizon && !now.void.contains(key));
        past.iter().flat_map(|key| self.entries(key)).map(|entry| entry.digest).collect()
    }

    /// A pack is deleted only if a commit has swept it.
    fn check_deleted(&mut self, bucket: &Bucket) -> Check {
        let packs = bucket.objects.range("packs/".to_owned().."packs0".to_owned());
        let there: BTreeSet<PackId> =
            packs.map(|(name, _)| name["packs/xx/".len()..].parse().unwrap()).collect();
        let swept: BTreeSet<&PackId> =
            self.commits.values().flat_map(|(commit, _)| &commit.prune.swept).collect();
        if let Some(gone) = self.packs.iter().find(|pack| !there.contains(pack) && !swept.contains(pack)) {
            return Err(format!("pack {gone} is gone, and no commit has swept it"));
        }
        self.packs.extend(there);
        Ok(())
    }

    /// Between each two of put, marked and swept lies a grace period, by the bucket's clock.
    fn check_grace(&self, key: CommitKey, commit: &Commit, bucket: &Bucket, keep: Retention) -> Check {
        let grace = i64::try_from(keep.grace.as_millis()).unwrap();
        let now = bucket.put_at(key).unwrap();
        for pack in &commit.prune.marked {
            let put = match self.within.commit(*pack) {
                Some(commit) => bucket.time_of(commit),
                None => bucket.time_of(&pack_name(*pack)),
            };
            if put.is_some_and(|put| put + grace > now) {
                return Err(format!("commit {key} marks pack {pack}, which was put at {put:?}, at {now}"));
            }
        }
        let parent = commit.parents.first().map(|parent| &self.commits[parent].1);
        for pack in &commit.prune.swept {
            let marked = parent.and_then(|parent| bucket.put_at(*parent.marked.get(pack)?));
            if marked.is_none_or(|marked| marked + grace > now) {
                return Err(format!(
                    "commit {key} sweeps pack {pack}, which was marked at {marked:?}, at {now}"
                ));
            }
        }
        Ok(())
    }

    fn read(&mut self, bucket: &Bucket, keep: Retention) -> Check {
        let commits = bucket.objects.range("commits/".to_owned().."commits0".to_owned());
        for (name, (body, _)) in commits {
            let key = CommitKey::parse(&name["commits/".len()..]).ok_or(format!("{name} is no commit"))?;
            if self.commits.contains_key(&key) {
                continue;
            }
            let commit = parse(body)?;
            // A merge repeats what its loser says.
            if commit.parents.len() < 2 {
                self.check_grace(key, &commit, bucket, keep)?;
            }
            let first = commit.parents.first();
            let mut state = first.map(|parent| self.commits[parent].1.clone()).unwrap_or_default();
            state.follow(key, &commit, self.within.take(key, &commit));
            self.recipes.extend(commit.recipes.iter().map(|of| (of.digest, of.recipe.clone())));
            self.commits.insert(key, (commit, state));
        }
        Ok(())
    }

    fn heads(&self) -> Vec<CommitKey> {
        let parents: BTreeSet<&CommitKey> =
            self.commits.values().flat_map(|(commit, _)| &commit.parents).collect();
        self.commits.keys().filter(|key| !parents.contains(key)).copied().collect()
    }

    fn check_head(&self, head: CommitKey, swept: &BTreeSet<PackId>, objects: &Objects) -> Check {
        let state = &self.commits[&head].1;
        let missing = |pack: &&PackId| !swept.contains(*pack) && self.within.bytes(**pack, objects).is_none();
        if let Some(pack) = state.packs.keys().find(missing) {
            return Err(format!("its pack {pack} is gone"));
        }
        let spared = |entry: &&Entry| {
            let chunks = self.chunks(entry);
            let gone = |chunk: &Digest| state.holders(chunk).all(|(pack, _)| swept.contains(pack));
            !chunks.iter().any(gone)
        };
        state.contents().filter(spared).try_for_each(|entry| self.restore(entry, state, objects))
    }

    /// Checks that the history kept by retention can be put together from the packs that the head
    /// names.
    fn check_kept(&mut self, head: CommitKey, bucket: &Bucket, keep: Retention) -> Result<Fates, String> {
        let now = &self.commits[&head].1;
        let [newest, first_young] = self.wanted(head, bucket, keep);
        if now.horizon > newest.min(first_young) {
            return Err(format!("kept from {} on, but {newest} and {first_young} are wanted", now.horizon));
        }
        let past = self.past(head);
        let mut fates = Fates::default();
        for key in past.iter().filter(|key| key.seq >= now.horizon && !now.void.contains(key)) {
            for entry in self.entries(key) {
                self.restore(&entry, now, &bucket.objects)
                    .map_err(|why| format!("generation {key} is kept from {} on: {why}", now.horizon))?;
                fates.kept.insert(entry.digest);
            }
        }
        // More than one where a branch from before the horizon came late.
        let oldest = past.iter().filter(|key| key.seq == now.horizon && !now.void.contains(key));
        for entry in oldest.flat_map(|key| self.commits[key].1.contents()) {
            self.restore(entry, now, &bucket.objects)
                .map_err(|why| format!("what stood at {}, the oldest that is kept: {why}", now.horizon))?;
        }
        fates.expired = self.expired(head);
        let (horizon, mut void_kept) = (now.horizon, BTreeSet::new());
        for key in past.iter().filter(|key| now.void.contains(key)) {
            for entry in self.entries(key) {
                let digest = entry.digest;
                if fates.kept.contains(&digest) || fates.expired.contains(&digest) {
                    continue;
                }
                if self.restore(&entry, now, &bucket.objects).is_ok() {
                    void_kept.insert(digest);
                } else if key.seq < horizon && self.void_kept.contains(&digest) {
                    fates.expired.insert(digest);
                } else {
                    fates.void.insert(digest);
                }
            }
        }
        fates.kept.extend(&void_kept);
        self.void_kept.extend(void_kept);
        Ok(fates)
    }

    /// The oldest generations that retention wants: for their number, and for their age.
    fn wanted(&self, head: CommitKey, bucket: &Bucket, keep: Retention) -> [u64; 2] {
        let line: Vec<CommitKey> =
            std::iter::successors(Some(head), |key| self.commits[key].0.parents.first().copied()).collect();
        // A push that was cut counts once, as its last commit. A merge has no transaction.
        let mut pushes = BTreeSet::new();
        let counted = line.iter().filter(|key| {
            let commit = &self.commits[*key].0;
            commit.kind != CommitKind::Prune && commit.txn.is_none_or(|push| pushes.insert(push))
        });
        let wanted: usize = keep.generations.try_into().unwrap();
        let newest = counted.take(wanted).last().map_or(0, |key| key.seq);
        let since = bucket.now_ms() - i64::try_from(keep.age.as_millis()).unwrap();
        let young = |key: &&CommitKey| bucket.put_at(**key).is_none_or(|at| at >= since);
        [newest, line.iter().rfind(young).map_or(head.seq, |key| key.seq)]
    }

    /// The oldest generation of which a prune keeps what is still there. A recorded horizon is
    /// somebody's word. Each device goes back by itself: from what is wanted to the newest commit
    /// that all later ones build on. So a branch that comes late takes it back, below the horizon,
    /// to where that branch began, until what is wanted begins with their merge.
    fn kept_from(&self, head: CommitKey, bucket: &Bucket, keep: Retention) -> u64 {
        let [newest, first_young] = self.wanted(head, bucket, keep);
        let past = self.past(head);
        let is_base = |base: &&CommitKey| {
            let before = self.past(**base);
            past.iter().all(|key| before.contains(key) || self.past(*key).contains(*base))
        };
        let mut old = past.iter().rev().filter(|key| key.seq <= newest.min(first_young));
        old.find(is_base).map_or(0, |base| base.seq).min(self.commits[&head].1.horizon)
    }

    fn entries(&self, key: &CommitKey) -> impl Iterator<Item = Entry> {
        let commit = &self.commits[key].0;
        let conflicts = commit.kept.iter().flat_map(|kept| &kept.files).filter_map(|file| file.entry);
        commit.changes.iter().filter_map(|change| change.entry).chain(conflicts)
    }

    fn past(&self, head: CommitKey) -> BTreeSet<CommitKey> {
        let (mut past, mut open) = (BTreeSet::from([head]), vec![head]);
        while let Some(key) = open.pop() {
            open.extend(self.commits[&key].0.parents.iter().filter(|parent| past.insert(**parent)));
        }
        past
    }

    fn chunks(&self, entry: &Entry) -> Vec<Digest> {
        match self.recipes.get(&entry.digest) {
            Some(recipe) => recipe.parts.iter().map(|part| part.id).collect(),
            None if entry.size == 0 => vec![],
            None => vec![entry.digest],
        }
    }

    fn restore(&self, entry: &Entry, state: &State, objects: &Objects) -> Check {
        let mut whole = Vec::new();
        for chunk in self.chunks(entry) {
            let places = state.holders(&chunk).filter_map(|(pack, slot)| {
                let body = self.within.bytes(*pack, objects)?;
                let [start, stored] = [slot.offset, slot.stored].map(|at| usize::try_from(at).unwrap());
                open_chunk(*pack, slot, body.get(start..start + stored)?).ok()
            });
            let found = { places }.next();
            whole.extend(found.ok_or(format!("chunk {chunk} of {} is gone", entry.digest))?);
        }
        if Digest::of(&whole) == entry.digest {
            Ok(())
        } else {
            Err(format!("{} cannot be put together", entry.digest))
        }
    }

    /// The rare events, and whether each of them came up.
    pub fn reached(&self) -> [(bool, &'static str); 2] {
        let any = |wanted: fn(&Commit) -> bool| self.commits.values().any(|(commit, _)| wanted(commit));
        [
            (any(|commit| !commit.prune.void.is_empty()), "prune: void"),
            (any(|commit| !commit.prune.unmarked.is_empty()), "prune: unmarked"),
        ]
    }

    /// The room that packs take, but for those of checkpoints, and how much of it retention
    /// justifies: a row of the table for each chunk that is kept, and its bytes.
    pub fn room(&self, store: &Store, keep: Retention) -> Room {
        let bucket = store.lock();
        let [head] = self.heads()[..] else { return Room { used: u64::MAX, justified: 0 } };
        let now = &self.commits[&head].1;
        let from = self.kept_from(head, &bucket, keep);
        let kept = self.past(head).into_iter().filter(|key| key.seq >= from);
        let mut digests: BTreeSet<Digest> =
            kept.flat_map(|key| self.entries(&key).collect::<Vec<_>>()).map(|entry| entry.digest).collect();
        let standing = self.past(head).into_iter().filter(|key| key.seq == from.max(1));
        let states = std::iter::once(head).chain(standing);
        digests.extend(states.flat_map(|key| self.commits[&key].1.contents().map(|entry| entry.digest)));
        let single = |digest: &Digest| vec![*digest];
        let chunks: BTreeSet<Digest> = digests
            .iter()
            .flat_map(|digest| {
                self.recipes.get(digest).map_or_else(
                    || single(digest),
                    |recipe| recipe.parts.iter().map(|part| part.id).collect(),
                )
            })
            .collect();
        let objects = now.packs.iter().filter(|(pack, _)| self.within.commit(**pack).is_none());
        let slots: BTreeMap<Digest, u64> =
            objects.flat_map(|(_, chunks)| chunks).map(|slot| (slot.id, u64::from(slot.stored))).collect();
        let justified = chunks.iter().filter_map(|chunk| slots.get(chunk)).map(|stored| stored + 41).sum();
        let checkpoints: BTreeSet<String> = bucket
            .objects
            .keys()
            .filter(|name| name.starts_with("packs/"))
            .filter(|name| {
                name["packs/xx/".len()..]
                    .parse()
                    .is_ok_and(|pack: PackId| !now.packs.contains_key(&pack) && !now.swept.contains(&pack))
            })
            .cloned()
            .collect();
        let packs = bucket
            .objects
            .iter()
            .filter(|(name, _)| name.starts_with("packs/") && !checkpoints.contains(*name));
        // Head and foot of a pack are no waste of a prune.
        let used = packs.map(|(_, (body, _))| u64::try_from(body.len()).unwrap().saturating_sub(52)).sum();
        Room { used, justified }
    }
}
