//! Decides a conflict over a group by merging its two versions, memory by memory.
//!
//! Both versions and the one that they came from are staged and checked by digest, so nothing that
//! an app does meanwhile matters. The result is staged, looked into and uploaded; then it is
//! committed with the decision, and comes here as to every other device: by the ordinary pull. The
//! version that was set aside goes to the trash, as in every decision.
//!
//! Nothing is decided here about entries ([`crate::merge`]) or about which files merge
//! ([`super::sets`]). A crash leaves a stage, which the next start clears away, and packs that no
//! commit names; or a commit that the next cycle finishes.

use super::laid::Laid;
use super::resolve::{name_beside, open_conflict};
use super::rewrite::Made;
use super::sets::{Files, Versions};
use super::{Rewrite, Rewritten, Stand};
use crate::log::looks_back;
use crate::merge::{Clash, Version};
use crate::model::{
    Change, CommitKind, Conflict, ConflictId, Entry, Item, Keep, Kept, Origin, Resolution, VaultPath,
};
use crate::planted::{Bug, planted};
use crate::sync::bases::Common;
use crate::sync::cycle::{Request, kind};
use crate::sync::session::Session;
use crate::sync::{Engine, Refusal, SyncError, Watcher, blocking};
use crate::vault::Stage;
use crate::vault::validate::Kind;

/// Cause for which a version that stands is not merged unasked. In another branch of the log it may
/// be the one that lost: once that conflict is decided, it would be gone with it. After the next
/// change of the item the conflict is merged.
pub(in crate::sync) const STANDS: &str = "it is the version that stands";

/// Cause for which versions without a known base are not merged unasked.
pub(in crate::sync) const NO_BASE: &str =
    "it is not known which version both came from, so what was deleted would come back";

/// Cause for which no version of before is merged once the groups have changed.
const REGROUPED: &str = "since it was set aside, its files have come to belong together in another way";

/// Treatment of entries that both versions changed. Those of the version that stands win.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clashes {
    /// A person has decided them by asking for the merge.
    Decided,
    /// The losing ones are a conflict of their own.
    Kept,
}

impl Engine {
    /// Decides a conflict over a group or a text, for all devices, by merging the version that was
    /// set aside into the one that stands.
    ///
    /// # Errors
    /// See [`SyncError`]; a [`Refusal`] if it is not open, cannot be merged, or the group is not at
    /// rest here. Nothing is decided then.
    pub async fn merge_conflict(
        &mut self,
        id: ConflictId,
        yes: bool,
        watcher: &dyn Watcher,
    ) -> Result<Rewritten, SyncError> {
        let before = self.settled_cycle(Request::FULL, watcher).await?;
        let open = self.conflicts().await?;
        if let Some(listed) = open.iter().find(|listed| listed.conflict.id == id) {
            self.must_be_at_rest(&listed.conflict.item, watcher).await?;
        }
        let (made, clashes) = self.session(watcher).await?.merge_conflict(id, yes).await?;
        let rewritten = self.bring(made, before, yes, watcher).await?;
        Ok(Rewritten { clashes, ..rewritten })
    }

    /// Refuses while anything of an item waits here: what stands must be what the remote has.
    async fn must_be_at_rest(&mut self, item: &Item, watcher: &dyn Watcher) -> Result<(), SyncError> {
        let plan = self.dry_run(false, watcher).await?.plan;
        let held = plan.holds.iter().find(|hold| hold.items.contains(item)).map(ToString::to_string);
        let waiting = plan.waiting.iter().find(|waiting| waiting.item == *item).map(|one| one.why.clone());
        let moves = plan.steps.iter().any(|step| step.item == *item && (step.outgoing() || step.incoming()));
        let unsent = moves.then(|| "it has changes that are not agreed with the backup yet".to_owned());
        match held.or(waiting).or(unsent) {
            Some(why) => Err(Refusal::NotAtRest { item: item.clone(), why }.into()),
            None => Ok(()),
        }
    }
}

impl Session<'_> {
    async fn merge_conflict(&mut self, id: ConflictId, yes: bool) -> Result<(Made, Vec<Clash>), SyncError> {
        let head = self.stand_by_known_groups().await?;
        let conflict = open_conflict(&head, id)?.clone();
        if matches!(conflict.item, Item::File(_)) {
            let mut files = self.merge_files(vec![conflict], &head, Clashes::Decided).await?;
            return match files.refused.pop() {
                Some((_, refusal)) => Err(refusal.into()),
                None => Ok((self.commit_rewrite(&head, files.rewrite, Vec::new(), yes).await?, Vec::new())),
            };
        }
        let (rewrite, clashes) = self.merge_versions(&conflict, &head, Clashes::Decided).await?;
        Ok((self.commit_rewrite(&head, rewrite, Vec::new(), yes).await?, clashes))
    }

    /// Merges both versions of a conflict, and uploads the result. What is to be committed, and the
    /// clashes.
    pub(crate) async fn merge_versions(
        &mut self,
        conflict: &Conflict,
        head: &Stand,
        losing: Clashes,
    ) -> Result<(Rewrite, Vec<Clash>), SyncError> {
        self.in_stage(async |session, stage| session.merge_in(stage, conflict, head, losing).await).await
    }

    /// Does what needs a stage, and clears the stage away however that ends.
    pub(super) async fn in_stage<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Self, &Stage) -> Result<T, SyncError>,
    ) -> Result<T, SyncError> {
        let stage = Stage::create(self.context.ports.fs.clone(), &self.context.layout, &self.apply_id())?;
        let done = work(self, &stage).await;
        let discarded = stage.discard();
        let done = done?;
        discarded?;
        Ok(done)
    }

    async fn merge_in(
        &mut self,
        stage: &Stage,
        conflict: &Conflict,
        head: &Stand,
        losing: Clashes,
    ) -> Result<(Rewrite, Vec<Clash>), SyncError> {
        let id = conflict.id;
        let Item::Group(name) = &conflict.item else {
            return Err(Refusal::NotMerged { id, why: format!("{} is a single file", conflict.item) }.into());
        };
        // A file of another item now would be put back without the rest of that one.
        let elsewhere = |file: &Kept| !file.is_count() && head.groups.item(&file.path) != conflict.item;
        if conflict.files.iter().any(elsewhere) {
            return Err(Refusal::NotMerged { id, why: REGROUPED.to_owned() }.into());
        }
        let Common { bases, seen, unrelated, continued, gone } = self.common_version(conflict, head).await?;
        let entries = |files: &[Kept]| -> Files {
            files.iter().filter_map(|file| Some((file.path.clone(), file.entry?))).collect()
        };
        let here = entries(&conflict.files);
        let there: Files =
            head.groups.members(name, &head.tree).map(|(path, entry)| (path.clone(), *entry)).collect();
        if losing == Clashes::Kept && says_the_same(&here, &there) {
            return Err(Refusal::NotMerged { id, why: STANDS.to_owned() }.into());
        }
        let mut laid = Laid::new(stage, id);
        for files in [&here, &there] {
            if let Some(path) = self.lay(&mut laid, files, head).await? {
                return Err(Refusal::Gone { path }.into());
            }
        }
        let mut versions = Versions { base: None, here, there, gone, seen: Vec::new() };
        for (state, files) in &bases {
            let files = entries(files);
            // A base whose contents were pruned is none.
            if self.lay(&mut laid, &files, state).await?.is_none() {
                versions.base = Some(files);
                break;
            }
        }
        for (state, files) in &seen {
            let mut files = entries(files);
            files.retain(|path, _| matches!(kind(&head.groups, path), Some(Kind::Corpus(_))));
            if self.lay(&mut laid, &files, state).await?.is_none() {
                versions.seen.push(files);
            }
        }
        if losing == Clashes::Kept && versions.base.is_none() && !unrelated {
            return Err(Refusal::NotMerged { id, why: NO_BASE.to_owned() }.into());
        }
        versions.base = versions.base.filter(|_| !planted(Bug::ForgetDeletions));
        let clashes = blocking(|| {
            let clashes = self.context.merge_laid(&mut laid, &versions, &head.groups)?;
            self.context.must_fit_together(&laid, &versions.there, &head.groups, name)?;
            Ok::<_, SyncError>(clashes)
        })?;
        let from = Some(self.upload_laid(&laid, head).await?);
        let keeps = losing == Clashes::Kept && !planted(Bug::DropTheClashes);
        let kept = if keeps { self.kept_of(&laid, conflict, head).await? } else { Vec::new() };
        let (resolved, wanted) = (decided(id, continued).collect(), laid.wanted);
        let rewrite =
            Rewrite { kind: CommitKind::Resolve, wanted, from, kept, resolved, ..Rewrite::default() };
        Ok((rewrite, clashes))
    }
}

impl Session<'_> {
    /// Conflicts over the entries that lost: files of their own, under names that tell their
    /// origin.
    async fn kept_of(
        &mut self,
        laid: &Laid<'_>,
        conflict: &Conflict,
        head: &Stand,
    ) -> Result<Vec<Conflict>, SyncError> {
        let mut kept = Vec::new();
        for (corpus, version, entry) in &laid.lost {
            let origin = match version {
                Version::There => self.bringer_of(corpus, head).await?,
                _ => conflict.origin.clone(),
            };
            let path = name_beside(corpus, &Conflict { origin: origin.clone(), ..conflict.clone() }, head)?;
            let files = vec![Kept { path: path.clone(), entry: Some(*entry) }];
            kept.push(Conflict::new(Item::File(path), files, origin).undecided(&head.resolved));
        }
        Ok(kept)
    }

    /// Origin of the version of a file that stands.
    async fn bringer_of(&mut self, path: &VaultPath, head: &Stand) -> Result<Option<Origin>, SyncError> {
        let Some(newest) = head.key else { return Ok(None) };
        let stands = head.tree.get(path).map(Entry::content);
        let brings =
            |change: &Change| change.path == *path && change.entry.map(|one| one.content()) == stands;
        for from in looks_back(newest) {
            let past = self.log.past_from(newest, from).await?;
            let bringer = past.iter().find(|past| past.device.is_some() && past.changes.iter().any(brings));
            if let Some((device, txn)) = bringer.and_then(|past| past.device.as_ref().zip(past.txn)) {
                return Ok(Some(Origin { device: device.name.clone(), txn }));
            }
        }
        Ok(None)
    }
}

/// Decisions of a conflict that is merged, and of those over versions which the losing one
/// replaced.
pub(super) fn decided(
    id: ConflictId,
    continued: impl IntoIterator<Item = ConflictId>,
) -> impl Iterator<Item = Resolution> {
    // Older devices know no other word for it: something of both versions stands.
    std::iter::once(id).chain(continued).map(|id| Resolution { id, keep: Keep::Both })
}

fn says_the_same(one: &Files, other: &Files) -> bool {
    let [one, other] = [one, other].map(|files| files.iter().map(|(path, entry)| (path, entry.content())));
    one.eq(other)
}
