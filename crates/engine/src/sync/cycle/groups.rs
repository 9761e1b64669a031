//! Looks into the groups: finds what their files hold, and decides what follows if they do not fit
//! together.
//!
//! A group is judged here before it is committed, and staged before it is applied. The facts found
//! in a file are remembered by its content, so a quiet cycle reads nothing. A content that this
//! device has sent or fetched once is not looked into again, until the database forgets it.
//!
//! `enforce`: a group that does not fit here is held back, upstream first; one that does not fit
//! there counts as unchanged. `warn`: the fault is only reported. `off`: nothing is read. Only the
//! cache is written; a crash costs a second look.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Incoming, Local, Wanted, stale};
use crate::fs::At;
use crate::model::{
    Digest, Entry, Facts, FileStat, Group, Groups, Holdings, Item, Tree, Validate, VaultPath,
};
use crate::plan::Unfit;
use crate::sync::report::{Report, Trouble, Weight};
use crate::sync::session::Context;
use crate::sync::{StaleIndex, SyncError};
use crate::vault::validate::{Fault, Kind, check, examine};
use crate::vault::{Stage, Verdict};

/// Number of contents whose facts this process remembers by itself.
const REMEMBERED: usize = 4096;

pub(crate) type Members = BTreeMap<VaultPath, Facts>;

/// Facts that this process knows, before it asks the database.
#[derive(Debug, Default)]
pub(crate) struct FactsKnown(Mutex<BTreeMap<(Digest, String), Facts>>);

impl FactsKnown {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

/// Facts of the groups on both sides, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) unfit: Unfit,
    pub(crate) holdings: Holdings,
    /// Derived members that count as deleted here.
    pub(crate) left_out: BTreeSet<VaultPath>,
    /// Groups whose derived members alone have been wrong for too long, with these members.
    pub(super) stale: BTreeMap<Item, Vec<VaultPath>>,
}

/// A group that is looked into.
pub(crate) struct Looked<'a> {
    pub(crate) name: &'a str,
    pub(crate) item: Item,
    pub(crate) enforce: bool,
}

impl Context {
    /// Looks into the groups here, as far as they have settled, and judges those there by the facts
    /// that are known. The entries of files that were looked into get their number of rows.
    pub(crate) fn judge(
        &self,
        groups: &Groups,
        local: &mut Local,
        base: &mut Tree,
        remote: &mut Tree,
        held: bool,
    ) -> Result<Judged, SyncError> {
        let mut judged = Judged::default();
        for looked in looked_into(groups) {
            // A member that cannot be seen is not absent: without it, nobody knows what fits.
            let held = held || hidden(groups, &looked, base, local);
            self.judge_here(groups, &looked, local, &mut judged, held)?;
            stale::leave_out(groups, &looked, base, local, &mut judged);
            self.count_known(groups, &looked, base);
            let there = self.count_known(groups, &looked, remote);
            if let Some(faults) = there.filter(|faults| !faults.is_empty()) {
                let name = looked.name;
                tracing::debug!(group = name, faults = %listed(&faults), "the remote's version does not fit together");
                if looked.enforce {
                    let message = there_is_wrong(&faults);
                    local.troubles.push(Trouble::of(&looked.item, message.clone(), Weight::Invalid));
                    judged.unfit.there.insert(looked.item, message);
                }
            }
        }
        Ok(judged)
    }

    /// Groups of which the filters hide primary members that the backup has, and show others.
    pub(crate) fn partly_hidden(&self, groups: &Groups, remote: &Tree) -> BTreeMap<Item, String> {
        let hidden = |group: &Group| {
            let mut members = groups.members(&group.name, remote).map(|(path, _)| path);
            let hidden = members.find(|path| {
                !groups.is_derived(path) && self.settings.filter.verdict(path) == Verdict::Excluded
            })?;
            let why = format!(
                "{hidden} belongs to it, and this device's filter excludes that: nothing of it is sent, since they would not fit together; set `filter.include` and `filter.exclude` so that all its files are synced here, or none"
            );
            Some((Item::Group(group.name.clone()), why))
        };
        groups.definitions().iter().filter_map(hidden).collect()
    }

    fn judge_here(
        &self,
        groups: &Groups,
        looked: &Looked<'_>,
        local: &mut Local,
        judged: &mut Judged,
        held: bool,
    ) -> Result<(), SyncError> {
        let paths: Vec<VaultPath> =
            groups.members(looked.name, &local.tree).map(|(path, _)| path.clone()).collect();
        // A file that still changes is judged once it has settled, and without one that could not be
        // read the others tell nothing; until then its group waits anyway.
        let settled = !held && !local.blocked.hides(groups, &looked.item, paths.iter());
        let mut found = Members::new();
        for path in paths {
            let (Some(entry), Some(kind)) = (local.tree.get(&path).copied(), kind(groups, &path)) else {
                continue;
            };
            let mut facts = self.known_facts(&entry.digest, &kind);
            if facts.is_none() && settled && local.stats.contains_key(&path) {
                let digest = entry.digest;
                facts = self.facts_here(local, &path, &digest, &kind)?;
                if facts.is_none() {
                    local.blocked.add(path.clone(), "it changed while it was looked into");
                }
            }
            if let Some(facts) = facts {
                judged.holdings.add(&path, entry.size, &facts);
                if entry.rows != facts.rows() {
                    local.tree.insert(path.clone(), Entry { rows: facts.rows(), ..entry });
                }
                found.insert(path, facts);
            }
        }
        let faults = check(&found);
        // Some may have changed only now: nothing was found of these.
        let settled = settled && !local.blocked.hides(groups, &looked.item, found.keys());
        if !settled {
            return Ok(());
        }
        let (invalid, stale) = (format!("invalid:{}", looked.name), format!("stale:{}", looked.name));
        if faults.is_empty() || !looked.enforce {
            self.ends(&invalid);
            self.ends(&stale);
        }
        if faults.is_empty() {
            return Ok(());
        }
        let message = listed(&faults);
        if !looked.enforce {
            local.troubles.push(Trouble::of(&looked.item, message, Weight::Warned));
            return Ok(());
        }
        let overdue = self.lasts(&invalid) >= self.settings.max_invalid;
        // A pipeline computes an index only once the vectors are there, however long those took: so
        // the wait for it begins when nothing else is wrong. It does not begin anew with each
        // further memory of an app that computes none.
        let only_derived = faults.iter().all(|fault| groups.is_derived(&fault.path));
        let not_computed = only_derived && self.lasts(&stale) >= self.settings.max_invalid;
        if overdue && not_computed && self.settings.stale_index == StaleIndex::LeaveOut {
            let paths = faults.iter().map(|fault| fault.path.clone()).collect();
            judged.stale.insert(looked.item.clone(), paths);
        }
        let weight = if overdue { Weight::Overdue } else { Weight::Invalid };
        let message = format!("{message}; held back until its files fit together");
        judged.unfit.here.insert(looked.item.clone(), message.clone());
        local.troubles.push(Trouble::of(&looked.item, message, weight));
        Ok(())
    }

    /// Judges staged groups, together with the members that stay in their places. Returns the
    /// groups that may not be applied.
    pub(crate) fn judge_staged(
        &self,
        incoming: &Incoming<'_>,
        staged: &BTreeSet<&Item>,
        wanted: &[Wanted],
        stage: &Stage,
        report: &mut Report,
    ) -> Result<BTreeSet<Item>, SyncError> {
        let groups = &incoming.remote.groups;
        let mut refused = BTreeSet::new();
        for looked in looked_into(groups).filter(|looked| staged.contains(&looked.item)) {
            let mut found = Members::new();
            for (path, entry) in groups.members(looked.name, &incoming.remote.tree) {
                let Some(kind) = kind(groups, path) else { continue };
                let file = wanted.iter().find(|file| file.entry == *entry && file.name == path.as_str());
                let facts = match (self.known_facts(&entry.digest, &kind), file) {
                    (Some(known), _) => Some(known),
                    (None, Some(file)) => self.facts_in(stage, file.slot, &entry.digest, &kind)?,
                    (None, None) => self.facts_here(incoming.local, path, &entry.digest, &kind)?,
                };
                found.extend(facts.map(|facts| (path.clone(), facts)));
            }
            let faults = check(&found);
            if faults.is_empty() {
                continue;
            }
            let message = there_is_wrong(&faults);
            tracing::warn!(group = looked.name, generation = incoming.remote.seq(), "{message}");
            if looked.enforce {
                // From now on the next plan takes it for unchanged, and may send the local version.
                report.wait(&looked.item, message);
                refused.insert(looked.item);
            } else {
                report.problems.push(Trouble::of(&looked.item, message, Weight::Warned));
            }
        }
        Ok(refused)
    }

    /// Enforced groups whose files stand still here and do not fit together, with the cause. A
    /// derived member that is not in the `agreed` tree is this device's own affair.
    pub(crate) fn unfit_here(
        &self,
        groups: &Groups,
        agreed: &Tree,
        local: &Local,
    ) -> Result<Vec<(Item, String)>, SyncError> {
        let mut unfit = Vec::new();
        let seen = |looked: &Looked<'_>| looked.enforce && !hidden(groups, looked, agreed, local);
        'groups: for looked in looked_into(groups).filter(seen) {
            let mut found = Members::new();
            let ours = |path: &VaultPath| groups.is_derived(path) && !agreed.contains_key(path);
            for (path, entry) in groups.members(looked.name, &local.tree) {
                let Some(kind) = kind(groups, path).filter(|_| !ours(path)) else { continue };
                let facts = match self.known_facts(&entry.digest, &kind) {
                    None if local.blocked.reason(path).is_none() => {
                        self.facts_here(local, path, &entry.digest, &kind)?
                    }
                    known => known,
                };
                // A file that still changes may be half written.
                let Some(facts) = facts else { continue 'groups };
                found.insert(path.clone(), facts);
            }
            let faults = check(&found);
            if !faults.is_empty() {
                unfit.push((looked.item, listed(&faults)));
            }
        }
        Ok(unfit)
    }

    /// Looks into a local file. None if it has changed since the scan.
    fn facts_here(
        &self,
        local: &Local,
        path: &VaultPath,
        digest: &Digest,
        kind: &Kind,
    ) -> Result<Option<Facts>, SyncError> {
        let Some(stat) = local.stats.get(path) else { return Ok(None) };
        let relative = local.names.on_disk(path).unwrap_or_else(|| path.to_string());
        self.look_into(self.layout.root(), &relative, stat, digest, kind)
    }

    /// Looks into the file in a slot of `stage`.
    pub(crate) fn facts_in(
        &self,
        stage: &Stage,
        slot: u32,
        digest: &Digest,
        kind: &Kind,
    ) -> Result<Option<Facts>, SyncError> {
        let place = stage.path(slot);
        let stat = self.fs().lstat(&place).at("look at", &place)?;
        let (folder, name) = (place.parent(), place.file_name().and_then(|name| name.to_str()));
        let (Some(folder), Some(name)) = (folder, name) else { return Ok(None) };
        self.look_into(folder, name, &stat, digest, kind)
    }

    /// Fills in the rows of entries whose content was looked into before. Returns the group's
    /// faults, if all its files were.
    fn count_known(&self, groups: &Groups, looked: &Looked<'_>, tree: &mut Tree) -> Option<Vec<Fault>> {
        let mut found = Members::new();
        let mut whole = true;
        let paths: Vec<VaultPath> = groups.members(looked.name, tree).map(|(path, _)| path.clone()).collect();
        for path in paths {
            let (Some(kind), Some(entry)) = (kind(groups, &path), tree.get(&path).copied()) else { continue };
            match self.known_facts(&entry.digest, &kind) {
                Some(facts) => {
                    // An unchanged entry stays shared with other trees.
                    if entry.rows != facts.rows() {
                        tree.insert(path.clone(), Entry { rows: facts.rows(), ..entry });
                    }
                    found.insert(path, facts);
                }
                None => whole = false,
            }
        }
        whole.then(|| check(&found))
    }

    fn look_into(
        &self,
        root: &Path,
        relative: &str,
        stat: &FileStat,
        digest: &Digest,
        kind: &Kind,
    ) -> Result<Option<Facts>, SyncError> {
        let facts = examine(self.fs(), root, relative, stat, kind, self.settings.search)
            .at("look into", &root.join(relative))?;
        if let Some(facts) = &facts {
            self.remember(digest, kind, facts);
        }
        Ok(facts)
    }

    pub(crate) fn known_facts(&self, digest: &Digest, kind: &Kind) -> Option<Facts> {
        let key = (*digest, kind.tag(self.settings.search));
        let mut known = self.facts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(facts) = known.get(&key) {
            return Some(facts.clone());
        }
        let text = self.ports.database.fact(digest, &key.1);
        let text = text
            .inspect_err(|error| tracing::warn!(%error, "what is known of a file could not be read"))
            .ok()??;
        // Another version of the program wrote facts that do not parse: the file is looked into
        // again.
        let facts: Facts = serde_json::from_str(&text).ok()?;
        known.insert(key, facts.clone());
        Some(facts)
    }

    fn remember(&self, digest: &Digest, kind: &Kind, facts: &Facts) {
        let tag = kind.tag(self.settings.search);
        let text = serde_json::to_string(facts).unwrap_or_default();
        if let Err(error) = self.ports.database.put_fact(digest, &tag, &text) {
            tracing::warn!(%error, "what is known of a file could not be kept; it is looked into again next time");
        }
        let mut known = self.facts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert((*digest, tag), facts.clone());
    }

    /// Time for which the state called `name` has lasted. If it is new, it begins now.
    fn lasts(&self, name: &str) -> Duration {
        let now = self.ports.clock.now_ms();
        let known = self.ports.database.noted(name).unwrap_or_default();
        if known.is_none()
            && let Err(error) = self.ports.database.note(name, now)
        {
            tracing::warn!(%error, name, "since when a group is invalid could not be noted");
        }
        Duration::from_millis(now.saturating_sub(known.unwrap_or(now)))
    }

    /// Notes that the state called `name` is over.
    fn ends(&self, name: &str) {
        let known = self.ports.database.noted(name).unwrap_or_default();
        if known.is_some()
            && let Err(error) = self.ports.database.forget(name)
        {
            tracing::warn!(%error, name, "that a group is valid again could not be noted");
        }
    }
}

pub(crate) fn looked_into(groups: &Groups) -> impl Iterator<Item = Looked<'_>> {
    let looked = groups.definitions().iter().filter(|group| group.validate != Validate::Off);
    looked.map(|group| Looked {
        name: &group.name,
        item: Item::Group(group.name.clone()),
        enforce: group.validate == Validate::Enforce,
    })
}

/// True if a member of the group, agreed or not, cannot be seen here.
fn hidden(groups: &Groups, looked: &Looked<'_>, agreed: &Tree, local: &Local) -> bool {
    let known = groups.members(looked.name, agreed).map(|(path, _)| path);
    local.blocked.hides(groups, &looked.item, known)
}

pub(crate) fn kind(groups: &Groups, path: &VaultPath) -> Option<Kind> {
    groups.find(path).and_then(|(_, role)| Kind::of(path, role))
}

pub(crate) fn listed(faults: &[Fault]) -> String {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn there_is_wrong(faults: &[Fault]) -> String {
    format!("the remote's version does not fit together and is left alone: {}", listed(faults))
}
