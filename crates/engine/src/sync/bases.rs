//! The version that both sides of a conflict came from, over a group or a file that merges.
//!
//! The device that finds a conflict knows it, and notes it beside the losing version. Where that
//! note is missing, the history tells it if a merge of two commits listed the conflict. Else there
//! is no base. There is no note, either, where a filter hid the item for a time: what stands here
//! may be what was agreed on once. The last version that the losing device had sent is none, for it
//! may have lost itself; nor is an older one: what somebody put back since then would count as
//! deleted here, and go.
//!
//! A merge of two commits takes one side's version of an item as it is. So two versions came from
//! the newest one that both replaced, and not from what stands in the nearest common ancestor of
//! their commits: one of them may have overruled that, and what it lacks would count as deleted.
//! Where both began the item, each as if there were none, that is a version without files.
//! Of a group, that may also be a version that lost and was merged into the one that stands
//! ([`super::lineage`]): what came with it and is gone was deleted by somebody who had seen it.
//!
//! A crash leaves a conflict without its note.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::brought::Reverted;
use super::cycle::Survey;
use super::lineage::{Lines, bringer, loser};
use super::recovery::Stand;
use super::session::{Context, Session};
use super::{Past, SyncError};
use crate::fs::{self, At, found};
use crate::log::{Snapshot, looks_back, unless_lost};
use crate::merge::Id;
use crate::model::{CommitKey, Conflict, ConflictId, Digest, Item, Keep, Kept, VaultPath};
use crate::plan::Action;
use crate::planted::{Bug, planted};

/// Longest note, in bytes.
const MAX_NOTE: u64 = 64 << 20;

/// Commits in which the noted version is looked for.
const MAX_LOOKS: usize = 50;

/// Versions beside the base that are looked into.
const MOST_SEEN: usize = 8;

/// Note of the version that a losing one came from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    /// Commit that this device had agreed on. None at a first join: then there is no base, whatever
    /// the history says.
    commit: Option<CommitKey>,
    /// Files of the item on which it had agreed.
    files: Vec<Kept>,
    /// Conflicts over versions of which the losing one has everything, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    continues: Vec<ConflictId>,
    /// Memories that the losing version has deleted although those files do not have them, by
    /// corpus.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    gone: Gone,
}

/// Memories by corpus, each with the digest of what it said.
pub(crate) type Gone = BTreeMap<VaultPath, BTreeMap<Id, Digest>>;

impl Session<'_> {
    /// Notes beside each losing version that was put aside just now what it came from.
    pub(crate) fn note_bases(
        &self,
        survey: &Survey,
        done: &BTreeSet<Item>,
        agreed: Option<CommitKey>,
    ) -> Result<(), SyncError> {
        for step in survey.plan.steps.iter().filter(|step| done.contains(&step.item)) {
            let Action::Conflict(conflict) = &step.action else { continue };
            let is_unknown = |path: &VaultPath| survey.remote.groups.item(path) == step.item;
            if !self.context.settings.can_merge(&step.item) || survey.unknown_origins.iter().any(is_unknown) {
                continue;
            }
            let members = survey.remote.groups.files_of(&step.item, &survey.base);
            let kept = |(path, entry): (&VaultPath, &_)| Kept { path: path.clone(), entry: Some(*entry) };
            let Reverted { aside: continues, gone } =
                survey.reverted.get(&step.item).cloned().unwrap_or_default();
            let note = Base { commit: agreed, files: members.map(kept).collect(), continues, gone };
            self.context.note_base(conflict.id, &note)?;
        }
        Ok(())
    }

    /// The origin of both sides of a conflict.
    pub(crate) async fn common_version(
        &mut self,
        conflict: &Conflict,
        head: &Stand,
    ) -> Result<Common, SyncError> {
        let Some(newest) = head.key else { return Ok(Common::default()) };
        let note = self.context.noted_base(conflict.id)?;
        if matches!(note, Some(Base { commit: None, .. })) {
            return Ok(Common { unrelated: true, ..Common::default() });
        }
        for from in looks_back(newest) {
            // With a commit lost, nobody can tell which of them brought what.
            let Some(past) = unless_lost(self.log.whole_past_from(newest, from).await)? else { break };
            let look = Look { newest, head, past: &past, whole: from == 0 };
            if let Some(common) = self.common_within(conflict, note.as_ref(), &look).await? {
                return Ok(common);
            }
        }
        Ok(Common::default())
    }

    /// The same, as far as a look into the history tells. None if it does not.
    async fn common_within(
        &mut self,
        conflict: &Conflict,
        note: Option<&Base>,
        look: &Look<'_>,
    ) -> Result<Option<Common>, SyncError> {
        let Look { newest, head, past, .. } = *look;
        let lines = Lines::of(past, &head.groups, &conflict.item);
        // Without files nothing was there. No state has to show it: an item that had not settled
        // was agreed on in an older one than the rest.
        let begins = note.is_some_and(|note| note.files.is_empty());
        let from = match note {
            Some(_) if begins => None,
            Some(note) => self.noted(note, &conflict.item, head, &lines).await?,
            None => look.fork_of(conflict),
        };
        if from.is_none() && !begins {
            return Ok(None);
        }
        let gone = note.map(|note| note.gone.clone()).unwrap_or_default();
        let mut common = Common { gone, ..Common::default() };
        let there: BTreeSet<CommitKey> = lines.down(newest).collect();
        let is_common = |key: &CommitKey| there.contains(key) || planted(Bug::LastReplaced);
        let key = from.and_then(|from| lines.down(from).find(is_common));
        // Two devices may have begun one item at the same moment.
        let begin = |from| look.whole && lines.first(from).is_some() && lines.first(newest).is_some();
        if key.is_none() && from.is_some_and(|from| !begin(from)) {
            return Ok(None);
        }
        let older = from.into_iter().flat_map(|from| lines.down(from));
        let replaced: BTreeSet<CommitKey> = older.take_while(|at| Some(*at) != key).collect();
        let noted: &[ConflictId] = note.map_or(&[], |note| &note.continues);
        let others = |other: &&Conflict| other.item == conflict.item && other.id != conflict.id;
        let open = head.conflicts.values().filter(others);
        let is_replaced = |other: &&Conflict| {
            noted.contains(&other.id)
                || bringer(past, other, &head.groups).is_some_and(|past| replaced.contains(&past.key))
        };
        common.continued = open.filter(is_replaced).map(|other| other.id).collect();
        if matches!(conflict.item, Item::Group(_)) {
            self.add_merged(&mut common, &lines, ([from, key], newest), noted, head).await?;
        }
        common.bases.push(match key {
            Some(key) => self.version_in(key, &conflict.item, head).await?,
            None => (self.log.readable(newest, head.key).await?, Vec::new()),
        });
        Ok(Some(common))
    }

    /// Adds versions that lost, and were merged into both that are merged now. `noted` are those of
    /// which the one here has everything, the newest first. It comes from what stands in `from`,
    /// and both have replaced what stands in `key`, if they did not both begin it.
    async fn add_merged(
        &mut self,
        common: &mut Common,
        lines: &Lines<'_>,
        ([from, key], newest): ([Option<CommitKey>; 2], CommitKey),
        noted: &[ConflictId],
        head: &Stand,
    ) -> Result<(), SyncError> {
        let all_in = |at: Option<CommitKey>| at.map(|at| lines.all_in(at)).unwrap_or_default();
        let (here, there, mut known) = (all_in(from), lines.all_in(newest), all_in(key));
        let aside = noted.iter().position(|id| there.merged.contains(id));
        let older = from.into_iter().flat_map(|from| lines.down(from));
        let nearer = older.take_while(|at| Some(*at) != key).find(|at| there.commits.contains(at));
        if let Some((at, (key, lost))) = aside.and_then(|at| Some((at, lines.lost(*noted.get(at)?)?))) {
            common.bases.push((self.log.readable(key, head.key).await?, lost.files.clone()));
            known.merged.extend(noted.iter().skip(at));
        } else if let Some(nearer) = nearer {
            common.bases.push(self.version_in(nearer, lines.item(), head).await?);
            known = lines.all_in(nearer);
        }
        let ours: BTreeSet<ConflictId> = here.merged.iter().chain(noted).copied().collect();
        let both = ours.intersection(&there.merged).filter(|id| !known.merged.contains(id));
        let lost: Vec<_> = both.filter_map(|id| lines.lost(*id)).take(MOST_SEEN).collect();
        for (key, lost) in lost {
            common.seen.push((self.log.readable(key, head.key).await?, lost.files.clone()));
        }
        // Another branch has decided them: this one has to tell, too, that it has all of them.
        let decided = |id: &&ConflictId| head.resolved.get(id) == Some(&Keep::Both);
        let untold = noted.iter().filter(decided).filter(|id| !there.merged.contains(id));
        common.continued.extend(untold);
        Ok(())
    }

    /// The version of an item that stands after a commit, and the state that can read it.
    async fn version_in(
        &mut self,
        key: CommitKey,
        item: &Item,
        head: &Stand,
    ) -> Result<(Stand, Vec<Kept>), SyncError> {
        let state = self.log.readable(key, head.key).await?;
        let members = head.groups.files_of(item, &state.tree);
        let files = members.map(|(path, entry)| Kept { path: path.clone(), entry: Some(*entry) }).collect();
        Ok((state, files))
    }

    /// The commit with the noted version. An item that waited for its files to settle was agreed on
    /// in an older one than the rest.
    async fn noted(
        &mut self,
        note: &Base,
        item: &Item,
        head: &Stand,
        lines: &Lines<'_>,
    ) -> Result<Option<CommitKey>, SyncError> {
        let Some(commit) = note.commit else { return Ok(None) };
        // A device that was away for long has pulled many versions at once.
        let brought = lines.down(commit).filter(|key| lines.may_stand_after(*key, &note.files));
        for key in std::iter::once(commit).chain(brought).take(MAX_LOOKS) {
            let state = self.log.readable(key, head.key).await?;
            if note.is_in(item, head, &state) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }
}

/// The origin of two versions of an item.
#[derive(Default)]
pub(crate) struct Common {
    /// Versions that both came from, the newest first, each with a state that can read it. The
    /// first one counts whose contents are still there. One without files is where both began.
    pub bases: Vec<(Stand, Vec<Kept>)>,
    /// True if they are known to have come from none: this device has joined with a version of its
    /// own.
    pub unrelated: bool,
    /// Other conflicts, over versions that the losing one replaced in its turn: it has what they
    /// have.
    pub continued: BTreeSet<ConflictId>,
    /// Other versions that are in both, each with a state that can read it: what one of the two
    /// lacks of them, it has deleted.
    pub seen: Vec<(Stand, Vec<Kept>)>,
    /// Memories that the losing one has deleted although the origin does not have them.
    pub gone: Gone,
}

/// A look into the history of the head.
#[derive(Clone, Copy)]
struct Look<'p> {
    newest: CommitKey,
    head: &'p Stand,
    past: &'p [Past],
    /// True for all of the history.
    whole: bool,
}

impl Look<'_> {
    /// The losing side of the fork that a conflict comes from. The oldest list of it tells: a later
    /// merge may have listed it again. All lists are newer than the commit that lost.
    fn fork_of(&self, conflict: &Conflict) -> Option<CommitKey> {
        let lost = conflict.origin.as_ref().map(|origin| origin.txn);
        let is_there = lost.is_some() && self.past.iter().any(|past| past.txn == lost);
        let listed = self.past.iter().rev().find(|past| past.lists(conflict.id));
        listed.filter(|_| is_there || self.whole).and_then(loser)
    }
}

impl Base {
    /// True if `state` has the contents of the item that are noted.
    fn is_in(&self, item: &Item, head: &Snapshot, state: &Snapshot) -> bool {
        let members = head.groups.files_of(item, &state.tree);
        let noted = self.files.iter().map(|file| (&file.path, file.entry.map(|entry| entry.content())));
        members.map(|(path, entry)| (path, Some(entry.content()))).eq(noted)
    }
}

impl Context {
    fn note_base(&self, id: ConflictId, base: &Base) -> Result<(), SyncError> {
        let (record, place) = (self.layout.conflict_record(id), self.layout.conflict_base(id));
        for (path, wanted) in [(&record, true), (&place, false)] {
            // Without a record nothing was displaced; and what lost once came from the first note.
            if found(self.fs().lstat(path)).at("look at", path)?.is_some() != wanted {
                return Ok(());
            }
        }
        let text = serde_json::to_string_pretty(base);
        let text =
            text.map_err(|error| SyncError::Damaged { path: place.clone(), why: error.to_string() })?;
        Ok(fs::replace(self.fs(), &place, text.as_bytes(), 0o600).at("write", &place)?)
    }

    /// Number of conflicts over versions of which that of this conflict has everything, too.
    pub(super) fn continued_by(&self, id: ConflictId) -> Result<u64, SyncError> {
        Ok(self.noted_base(id)?.map_or(0, |note| note.continues.len() as u64))
    }

    /// Note beside a losing version. One that cannot be read counts as none.
    fn noted_base(&self, id: ConflictId) -> Result<Option<Base>, SyncError> {
        let place = self.layout.conflict_base(id);
        let bytes = found(fs::read(self.fs(), &place, MAX_NOTE)).at("read", &place)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}
