//! Looking at both sides and planning: the part of a cycle that changes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::local::Local;
use super::report::{Amount, Phase, Progress, Trouble, Watcher};
use super::together::Bound;
use super::transact::held_by_command;
use super::{Engine, SyncError, blocking};
use crate::log::{Log, Snapshot};
use crate::model::{CommitKey, Holdings, Item, Tree, VaultId, VaultPath};
use crate::plan::{self, Input, Mode, Plan, Reason, Step};
use crate::state::LastSync;
use crate::vault::{Filter, ScanOptions, Verdict, scan};

/// Both sides, and what is to be done.
#[derive(Debug)]
pub struct Survey {
    /// The newest commit's state.
    pub(super) remote: Arc<Snapshot>,
    /// What was agreed, as far as the filters let it be seen.
    pub(super) base: Tree,
    /// Agreed paths that the filters now exclude and nobody has approved of: they keep their place in the base.
    pub(super) hidden: Tree,
    /// What is here.
    pub(super) local: Local,
    /// What must be sent together.
    pub(super) bound: Bound,
    /// What is to be done.
    pub plan: Plan,
    /// Files here, and their bytes.
    pub here: Amount,
    /// What the groups hold, as far as they were looked into.
    pub holdings: Holdings,
}

impl Survey {
    /// The generation that was looked at.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.remote.seq()
    }

    /// What cannot be synced as it is.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.local.troubles.iter()
    }

    /// Files of items that wait: held, or not settled.
    #[must_use]
    pub fn waiting(&self) -> Amount {
        let held = self.plan.holds.iter().flat_map(|hold| &hold.items);
        let items: BTreeSet<&Item> =
            self.plan.waiting.iter().map(|waiting| &waiting.item).chain(held).collect();
        Amount { files: items.len(), bytes: 0 }
    }

    /// Files and bytes that the plan would send and fetch.
    #[must_use]
    pub fn pending(&self) -> (Amount, Amount) {
        let count = |wanted: fn(&Step) -> bool| {
            let files = self.plan.steps.iter().filter(|step| wanted(step)).flat_map(|step| &step.files);
            files.fold(Amount::default(), |sum, file| Amount {
                files: sum.files + 1,
                bytes: sum.bytes + file.to.map_or(0, |entry| entry.size),
            })
        };
        (count(Step::outgoing), count(Step::incoming))
    }
}

/// The commit whose state a survey compares with.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) head: Option<CommitKey>,
    pub(super) remote: Arc<Snapshot>,
    pub(super) agreed: Arc<Snapshot>,
}

impl Engine {
    /// Compares what is here with `seen` and plans. `record` is what this device has agreed on; none before it has.
    pub(super) async fn survey(
        &mut self,
        log: &mut Log,
        vault: VaultId,
        record: Option<&LastSync>,
        seen: Seen,
        push_derived: bool,
        watcher: &dyn Watcher,
    ) -> Result<Survey, SyncError> {
        let manifest = &seen.remote.tree;
        let held = self.unless_held()?.is_none();
        let noted = self.noted_together()?;
        let mut local = blocking(|| self.look(vault, manifest, watcher))?;
        let mut remote = seen.remote.tree.clone();
        remote.retain(|path, _| self.visible(path));

        let (mut base, mut hidden) = match record {
            Some(record) => self.agreed_base(record, &seen.agreed.tree)?,
            None => (Tree::new(), Tree::new()),
        };
        let joining = record.is_none_or(|record| record.joining);
        if joining {
            let known = self.base_from_history(log, &local.tree, &remote, seen.head).await?;
            for (path, entry) in known {
                base.entry(path).or_insert(entry);
            }
        }
        let decisions = record.map(|record| record.decisions.clone()).unwrap_or_default();
        base.retain(|path, _| self.visible(path));
        let groups = &seen.remote.groups;
        // Before the scan and after it: what was written by a command that ended in between may be half of what it wrote.
        let held = held || self.unless_held()?.is_none();
        let mut judged = blocking(|| self.judge(groups, &mut local, &mut base, &mut remote, held))?;
        if held {
            held_by_command(groups, &mut judged.unfit);
        }
        if joining {
            // Without a common past nobody can say that what is here is newer than what is wrong there.
            for (item, why) in &judged.unfit.there {
                judged.unfit.here.entry(item.clone()).or_insert_with(|| why.clone());
            }
        }
        let bound = Bound::of(noted, groups, &local.tree, &base);
        let mut plan = plan::plan(&Input {
            base: &base,
            local: &local.tree,
            remote: &remote,
            groups: &seen.remote.groups,
            ages: &seen.remote.ages,
            blocked: &local.blocked,
            unfit: &judged.unfit,
            together: &bound.items,
            mode: if joining { Mode::Joining } else { Mode::Ordinary },
            push_derived,
            brakes: Some(self.settings.brakes),
            decisions: &decisions,
            held: record.map(|record| record.held.as_slice()).unwrap_or_default(),
        });
        if let Some(hold) = plan::filter_hold(&hidden) {
            if decisions.approved.contains(&hold.id) {
                hidden.clear();
                plan.approved.push(hold);
            } else {
                plan.holds.push(hold);
            }
        }
        let here = local.tree.values().fold(Amount::default(), |sum, entry| Amount {
            files: sum.files + 1,
            bytes: sum.bytes + entry.size,
        });
        let holdings = judged.holdings;
        Ok(Survey { remote: seen.remote, base, hidden, local, bound, plan, here, holdings })
    }

    /// Scans the vault.
    fn look(&self, vault: VaultId, manifest: &Tree, watcher: &dyn Watcher) -> Result<Local, SyncError> {
        let known = self.ports.database.stats().unwrap_or_default();
        let now_ns = self.ports.clock.now_ns();
        let rehash = i64::try_from(self.settings.rehash.as_nanos()).unwrap_or(i64::MAX);
        let options = ScanOptions {
            vault,
            filter: &self.settings.filter,
            cache: &known,
            now_ns,
            settle: self.settings.settle,
            rehash_before: now_ns.saturating_sub(rehash),
            threads: self.settings.threads,
            prefer: &|path| manifest.contains_key(path),
            progress: &|scan| {
                watcher.progress(Progress {
                    phase: Phase::Scan,
                    files_done: usize::try_from(scan.hashed).unwrap_or(usize::MAX),
                    files_total: usize::try_from(scan.to_hash).unwrap_or(usize::MAX),
                    bytes_done: scan.hashed_bytes,
                    bytes_total: scan.to_hash_bytes,
                });
            },
        };
        let scan = scan(self.fs(), &self.layout, &options)?;
        if let Err(error) = self.ports.database.update_stats(&known, &scan.cache) {
            tracing::warn!(%error, "the stat cache could not be written; files are hashed again next time");
        }
        Ok(Local::of(scan))
    }

    /// Whether the filters let a path be synced.
    pub(super) fn visible(&self, path: &VaultPath) -> bool {
        self.settings.filter.verdict(path) == Verdict::Synced
    }

    /// The filters under which a device has agreed: mostly those it has now.
    fn filter_of(&self, record: &LastSync) -> Result<Cow<'_, Filter>, SyncError> {
        if record.filter == self.settings.filter_record {
            return Ok(Cow::Borrowed(&self.settings.filter));
        }
        Ok(Cow::Owned(Filter::new(&record.filter.include, &record.filter.exclude)?))
    }

    /// The base of a device that has agreed on something, and what of it the filters now exclude.
    fn agreed_base(&self, record: &LastSync, manifest: &Tree) -> Result<(Tree, Tree), SyncError> {
        let base = record.base(&seen_through(self.filter_of(record)?.as_ref(), manifest));
        let hidden = base.iter().filter(|(path, _)| !self.visible(path));
        let hidden = hidden.map(|(path, entry)| (path.clone(), *entry)).collect();
        Ok((base, hidden))
    }

    /// The base of a device whose record is lost, or that joins with files of its own: a local file that the path's history
    /// knows is unchanged since then. A path that the remote no longer has is none of these: joining deletes nothing.
    async fn base_from_history(
        &self,
        log: &mut Log,
        local: &Tree,
        remote: &Tree,
        head: Option<CommitKey>,
    ) -> Result<Tree, SyncError> {
        let differing: BTreeSet<VaultPath> = local
            .iter()
            .filter(|(path, entry)| remote.get(*path).is_some_and(|there| there != *entry))
            .map(|(path, _)| path.clone())
            .collect();
        let (Some(head), false) = (head, differing.is_empty()) else { return Ok(Tree::new()) };
        let history: BTreeMap<VaultPath, _> = log.versions(head, &differing).await?;
        let known = local.iter().filter(|(path, entry)| {
            history.get(*path).is_some_and(|versions: &BTreeSet<_>| versions.contains(&entry.digest))
        });
        Ok(known.map(|(path, entry)| (path.clone(), *entry)).collect())
    }

    /// Notes in `record`, whose commit is `agreed`, that `items` stand here as the commit `applied` has them.
    pub(super) fn agree_applied(
        &self,
        record: &mut LastSync,
        agreed: &Snapshot,
        applied: &Snapshot,
        items: &BTreeSet<Item>,
    ) -> Result<(), SyncError> {
        let filter = self.filter_of(record)?;
        let manifest = seen_through(&filter, &agreed.tree);
        let mut base = record.base(&manifest);
        base.retain(|path, _| !items.contains(&applied.groups.item(path)));
        let fresh = applied.tree.iter().filter(|(path, _)| items.contains(&applied.groups.item(path)));
        base.extend(fresh.filter(|(path, _)| self.visible(path)).map(|(path, entry)| (path.clone(), *entry)));
        record.set_base(record.commit, &manifest, &base);
        Ok(())
    }

    /// Brings `record` to what is agreed once `done` of the survey's items are: the manifest of `commit` is `manifest`.
    pub(super) fn agree(
        &self,
        record: &mut LastSync,
        survey: &Survey,
        done: &BTreeSet<Item>,
        commit: Option<CommitKey>,
        manifest: &Tree,
    ) -> Result<(), SyncError> {
        let mut base = plan::agreed(&survey.plan, &survey.base, done);
        if survey.hidden.is_empty() {
            record.filter = self.settings.filter_record.clone();
        }
        let filter = self.filter_of(record)?;
        base.extend(survey.hidden.iter().map(|(path, entry)| (path.clone(), *entry)));
        record.joining = survey.plan.holds.iter().any(|hold| hold.reason == Reason::Differs);
        record.held = survey.plan.to_remember(done);
        forget_decided(record, survey, done);
        base.retain(|path, _| filter.verdict(path) == Verdict::Synced);
        record.set_base(commit, &seen_through(&filter, manifest), &base);
        Ok(())
    }
}

/// Forgets decisions that are carried out: the same state, should it come again, is asked about again.
fn forget_decided(record: &mut LastSync, survey: &Survey, done: &BTreeSet<Item>) {
    for hold in survey.plan.approved.iter().chain(&survey.plan.rejected) {
        if hold.reason == Reason::Filter || hold.items.is_subset(done) {
            record.decisions.approved.remove(&hold.id);
            record.decisions.rejected.remove(&hold.id);
        }
    }
    record.decisions.join &= record.joining;
}

fn seen_through(filter: &Filter, manifest: &Tree) -> Tree {
    let seen = manifest.iter().filter(|(path, _)| filter.verdict(path) == Verdict::Synced);
    seen.map(|(path, entry)| (path.clone(), *entry)).collect()
}
