//! Merges that nobody asks for: two versions of a group of memories, or of a text, become one.
//!
//! The device whose version was set aside merges it into the one that stands, memory by memory or
//! line by line, as soon as the item is at rest here. The merge is the decision of that conflict,
//! as a person would make it by `--keep merged`, and it comes here as to every other device: by the
//! next round's pull. No other device merges that version while its own can: a version that was
//! committed, and lost to another commit of the same moment, is merged by any device after an hour,
//! if its own has committed nothing since. If two do it at once, both come to the same, and their
//! commits are merged like any others.
//!
//! Memories that were changed on both sides are a conflict of their own: the ones there stand, and
//! those that were here are listed as a file, to be put beside or given up.
//!
//! Decided here: which conflicts are merged. One over files that cannot be merged is left alone
//! until the version that stands changes; that is noted in the cache database, and without the note
//! it is tried again. A conflict that is decided, also one whose merge was undone, is never
//! merged again.
//!
//! A crash leaves what [`super::recovery`] says: packs that no commit names, or a commit that the
//! next cycle finishes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::cycle::Survey;
use super::lineage::{bringer, loser};
use super::recovery::{Clashes, MergedFiles, NO_BASE, Rewrite, STANDS, Stand, part_of};
use super::report::{Trouble, Weight};
use super::session::{Context, Session};
use super::{Merge, Past, Refusal, SyncError, served};
use crate::log::{Snapshot, looks_back, unless_lost};
use crate::merge::Clash;
use crate::model::{CommitKey, Conflict, ConflictId, Content, Groups, Item, VaultPath};
use crate::plan::{Action, Step};

/// Where the database notes conflicts that were not merged.
const NOTES: &str = "merge/";

/// Cause for which a device leaves a conflict alone whose losing version is another one's.
const NOT_OURS: &str = "it is another device's version, and merged there";

/// True if this cause only keeps a version from being merged unasked.
pub(super) fn waits_for_a_word(why: &str) -> bool {
    [NOT_OURS, STANDS, NO_BASE].contains(&why)
}

/// Milliseconds that another device has to merge its version, from when this one saw the conflict.
const PATIENCE_MS: u64 = 3_600_000;

/// Note of a conflict that was not merged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// Version that stood then.
    there: Contents,
    /// Cause.
    why: String,
    /// Time from which it was left to another device, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
}

/// Contents of an item's files.
type Contents = Vec<(VaultPath, Content)>;

impl Session<'_> {
    /// Merges the versions of a conflict of this device. True if there was one: the remote has
    /// moved on then.
    pub(crate) async fn merge_unasked(
        &mut self,
        survey: &Survey,
        done: &BTreeSet<Item>,
    ) -> Result<bool, SyncError> {
        if self.context.settings.merge == Merge::Off || !self.context.may_merge(survey) {
            return Ok(false);
        }
        let resting = |item: &Item| is_at_rest(item, survey, done);
        let head = self.stand_by_known_groups().await?;
        self.context.forget_decided(&head);
        let ours = self.ours(&head).await?.into_iter().filter(|one| resting(&one.item));
        let (groups, files): (Vec<_>, Vec<_>) =
            ours.partition(|conflict| matches!(conflict.item, Item::Group(_)));
        for conflict in groups {
            match self.merge_one(&conflict, &head).await {
                Ok(()) => return Ok(true),
                Err(error) => self.not_merged(&[conflict], &head, error)?,
            }
        }
        // The newest version of each. What is left of the others waits for the next round.
        let mut seen = BTreeSet::new();
        let files: Vec<Conflict> = files.into_iter().filter(|one| seen.insert(one.item.clone())).collect();
        self.merge_texts(files, &head).await
    }

    /// Merges the versions of these files in one commit. True if there was any.
    async fn merge_texts(&mut self, conflicts: Vec<Conflict>, head: &Stand) -> Result<bool, SyncError> {
        if conflicts.is_empty() {
            return Ok(false);
        }
        let files = match self.merge_files(conflicts.clone(), head, Clashes::Kept).await {
            Err(error) => return self.not_merged(&conflicts, head, error).map(|()| false),
            Ok(files) => files,
        };
        let MergedFiles { rewrite, merged, refused } = files;
        for (conflict, refusal) in refused {
            self.not_merged(&[conflict], head, refusal.into())?;
        }
        if merged.is_empty() {
            return Ok(false);
        }
        match self.commit_merged(&merged, head, rewrite).await {
            Ok(()) => Ok(true),
            Err(error) => self.not_merged(&merged, head, error).map(|()| false),
        }
    }

    /// Commits what these conflicts have become.
    async fn commit_merged(
        &mut self,
        merged: &[Conflict],
        head: &Stand,
        rewrite: Rewrite,
    ) -> Result<(), SyncError> {
        let kept: Vec<ConflictId> = rewrite.kept.iter().map(|kept| kept.id).collect();
        self.rewrite(head, rewrite, false).await?;
        for conflict in merged {
            tracing::info!(conflict = %conflict.id.short(), item = %conflict.item, "its two versions were merged");
            self.report.merged(conflict, kept.clone());
        }
        Ok(())
    }

    /// Notes why conflicts were not merged. Errors of the log end the run.
    fn not_merged(
        &mut self,
        conflicts: &[Conflict],
        head: &Snapshot,
        error: SyncError,
    ) -> Result<(), SyncError> {
        let why = match error {
            SyncError::Refused(Refusal::NotMerged { why, .. }) => why,
            SyncError::Refused(other) => other.to_string(),
            error @ SyncError::Log(_) => return Err(error),
            error => {
                for conflict in conflicts {
                    let why = format!("its two versions are not merged yet: {error}");
                    self.report.problems.push(Trouble::of(&conflict.item, why, Weight::Warned));
                }
                return Ok(());
            }
        };
        for conflict in conflicts {
            tracing::info!(conflict = %conflict.id.short(), why, "a conflict waits for a person");
            self.context.note_unmerged(conflict, head, why.clone());
        }
        Ok(())
    }

    /// Conflicts to merge whose losing version was this device's, the newest version first, for it
    /// may have been made on top of another one, and then decides both. It stands aside here, or a
    /// commit of this device brought it, and a merge of the log set it aside; or another device has
    /// left it so for long.
    async fn ours(&self, head: &Snapshot) -> Result<Vec<Conflict>, SyncError> {
        let mut ours = Vec::new();
        let open: Vec<Conflict> = self.context.to_merge(head).cloned().collect();
        let Some(newest) = head.key.filter(|_| !open.is_empty()) else { return Ok(Vec::new()) };
        let local = self.context.local_conflicts()?;
        let elsewhere: Vec<&Conflict> = open.iter().filter(|one| !local.contains_key(&one.id)).collect();
        let past = self.past_of(&elsewhere, newest, &head.groups).await?;
        for conflict in open {
            let is_ours =
                |past: &&Past| past.device.as_ref().is_some_and(|device| device.id == self.marker.device);
            let bringer = bringer(&past, &conflict, &head.groups);
            let left = bringer.is_some_and(|bringer| is_left_behind(&past, &conflict, bringer));
            let told = left && self.context.was_left_for_long(&conflict);
            let brought = bringer.filter(|past| is_ours(past) || told);
            let is_here = local.contains_key(&conflict.id);
            let here = is_here.then(|| self.context.continued_by(conflict.id)).transpose()?;
            let age = here.map(|others| (true, others)).or(brought.map(|past| (false, past.key.seq)));
            match age {
                Some(age) => ours.push((age, conflict)),
                None if left => self.context.leave_to_others(&conflict, head),
                None => self.context.note_unmerged(&conflict, head, NOT_OURS.to_owned()),
            }
        }
        ours.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
        Ok(ours.into_iter().map(|(_, conflict)| conflict).collect())
    }

    /// The history back to the commits that brought the losing versions of these conflicts.
    async fn past_of(
        &self,
        open: &[&Conflict],
        newest: CommitKey,
        groups: &Groups,
    ) -> Result<Vec<Past>, SyncError> {
        let mut past = Vec::new();
        for from in looks_back(newest) {
            // With a commit lost, nobody can tell if the device that has to merge goes on.
            let Some(whole) = unless_lost(self.log.whole_past_from(newest, from).await)? else { break };
            past = whole;
            if open.iter().all(|conflict| bringer(&past, conflict, groups).is_some()) {
                break;
            }
        }
        Ok(past)
    }

    async fn merge_one(&mut self, conflict: &Conflict, head: &Stand) -> Result<(), SyncError> {
        let (rewrite, clashes) = self.merge_versions(conflict, head, Clashes::Kept).await?;
        let kept: Vec<(ConflictId, bool)> =
            rewrite.kept.iter().map(|kept| (kept.id, kept.origin != conflict.origin)).collect();
        self.commit_merged(std::slice::from_ref(conflict), head, rewrite).await?;
        // What lost there came from another device, and is kept apart.
        let keeps = |clash: &Clash| {
            let here_wins = clash.ranks.as_ref().is_some_and(|ranks| ranks.here_wins);
            kept.iter().find(|(_, of_there)| *of_there == here_wins).map(|(id, _)| *id)
        };
        let clashes = clashes.into_iter().filter_map(|clash| Some((keeps(&clash)?, clash)));
        self.report.clashes.extend(clashes);
        Ok(())
    }
}

/// True if the history has all that is known of a conflict's losing version, and its device may be
/// gone: a merge of two commits listed it, and that device, which committed it in `bringer`, has
/// committed nothing since. A device that goes on has its own reason not to merge: it may know what
/// the history does not tell.
fn is_left_behind(past: &[Past], conflict: &Conflict, bringer: &Past) -> bool {
    let Some(listed) = past.iter().rposition(|past| past.lists(conflict.id)) else { return false };
    let (newer, from) = past.split_at(listed);
    let of_device = |past: &Past| past.device.as_ref().map(|device| device.id);
    let goes_on = newer.iter().any(|past| of_device(past) == of_device(bringer));
    from.first().is_some_and(|past| loser(past).is_some()) && !goes_on
}

/// True if nothing of an item waits here, so that what stands is what the remote has.
fn is_at_rest(item: &Item, survey: &Survey, done: &BTreeSet<Item>) -> bool {
    let plan = &survey.plan;
    let moves = plan.steps.iter().any(|step| step.item == *item && step.incoming() && !done.contains(item));
    let waits = plan.waiting.iter().any(|waiting| waiting.item == *item);
    !moves && !waits && !plan.holds.iter().any(|hold| hold.items.contains(item))
}

impl Context {
    /// True if the survey knows of a conflict that this device may merge. Most cycles end here,
    /// without a request.
    fn may_merge(&self, survey: &Survey) -> bool {
        let found =
            |step: &Step| matches!(step.action, Action::Conflict(_)) && self.settings.can_merge(&step.item);
        survey.plan.steps.iter().any(found) || self.to_merge(&survey.remote).next().is_some()
    }

    /// Open conflicts over what merges, but those of which it is known that this device does not
    /// merge them.
    fn to_merge<'a>(&'a self, head: &'a Snapshot) -> impl Iterator<Item = &'a Conflict> {
        let open = head.conflicts.values().filter(|conflict| self.settings.can_merge(&conflict.item));
        let open = open.filter(|conflict| part_of(conflict, head).is_none());
        open.filter(|conflict| self.why_unmerged(conflict, head).is_none())
    }

    /// Cause for which the conflict was not merged with the version that stands, if that was tried.
    pub(super) fn why_unmerged(&self, conflict: &Conflict, head: &Snapshot) -> Option<String> {
        let note = self.noted_unmerged(conflict)?;
        let stays = note.there == standing(&conflict.item, head) && !self.is_long_ago(&note);
        stays.then_some(note.why)
    }

    fn noted_unmerged(&self, conflict: &Conflict) -> Option<Note> {
        let note = served(self.ports.database.object(&name(conflict.id))).flatten()?;
        serde_json::from_slice(&note).ok()
    }

    /// True if another device has had its time to merge this version.
    fn was_left_for_long(&self, conflict: &Conflict) -> bool {
        self.noted_unmerged(conflict).is_some_and(|note| self.is_long_ago(&note))
    }

    fn is_long_ago(&self, note: &Note) -> bool {
        note.since_ms.is_some_and(|since| self.ports.clock.now_ms().saturating_sub(since) >= PATIENCE_MS)
    }

    /// Forgets the notes of conflicts that are open no more.
    fn forget_decided(&self, head: &Snapshot) {
        let noted = served(self.ports.database.object_keys(NOTES)).unwrap_or_default();
        let is_open = |key: &String| {
            let id = key.strip_prefix(NOTES).and_then(|id| id.parse().ok());
            id.is_some_and(|id: ConflictId| head.conflicts.contains_key(&id))
        };
        for key in noted.iter().filter(|key| !is_open(key)) {
            served(self.ports.database.remove_object(key));
        }
    }

    fn note_unmerged(&self, conflict: &Conflict, head: &Snapshot, why: String) {
        self.note(conflict, &Note { there: standing(&conflict.item, head), why, since_ms: None });
    }

    /// Notes that a conflict over a version that another device committed is left to that one. The
    /// time counts from the first such note, whatever came to stand since.
    fn leave_to_others(&self, conflict: &Conflict, head: &Snapshot) {
        let known = self.noted_unmerged(conflict).and_then(|note| note.since_ms);
        let since_ms = Some(known.unwrap_or_else(|| self.ports.clock.now_ms()));
        let there = standing(&conflict.item, head);
        self.note(conflict, &Note { there, why: NOT_OURS.to_owned(), since_ms });
    }

    fn note(&self, conflict: &Conflict, note: &Note) {
        if let Ok(bytes) = serde_json::to_vec(note) {
            served(self.ports.database.put_object(&name(conflict.id), &bytes));
        }
    }
}

fn name(id: ConflictId) -> String {
    format!("{NOTES}{id}")
}

/// The version of an item in a state.
fn standing(item: &Item, state: &Snapshot) -> Contents {
    let files = state.groups.files_of(item, &state.tree);
    files.map(|(path, entry)| (path.clone(), entry.content())).collect()
}
