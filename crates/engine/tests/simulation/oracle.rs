//! Everything that must hold, checked from outside: the oracle reads the bucket by docs/FORMAT.md
//! and the disks by themselves, and asks no engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cogzy_engine::clock::Clock;
use cogzy_engine::model::{Change, Commit, CommitKey, CommitKind, Digest, Entry, Groups, Item, Role, Tree};

use crate::attic;
use crate::device::{Device, groups};
use crate::disk::{Site, is_in, is_ours};
use crate::ledger::Versions;
use crate::pipeline;
use crate::replayed::{Objects, Replayed, Within, parse, restore};
use crate::store::Store;

static GROUPS: LazyLock<Groups> = LazyLock::new(|| Groups::new(groups()).unwrap());

/// A clock is believed up to a day ahead of the server's, and another day for each recent jump.
const TRASH_SLACK_MS: i64 = 5 * 24 * 3_600_000;

/// A broken invariant.
pub type Check = Result<(), String>;

/// The bucket as the oracle has seen it.
#[derive(Debug, Clone)]
pub struct Oracle {
    pub versions: Versions,
    commits: BTreeMap<CommitKey, Replayed>,
    parents: BTreeSet<CommitKey>,
    within: Within,
    /// Contents that some commit names and that can be put together.
    pub history: BTreeSet<Digest>,
    /// Old data is pruned: [`crate::prune_oracle`] looks for missing objects, and versions may have
    /// expired.
    pub pruning: bool,
    pub expired: BTreeSet<Digest>,
}

impl Oracle {
    pub fn new(versions: Versions) -> Self {
        let (commits, parents) = (BTreeMap::new(), BTreeSet::new());
        Self {
            versions,
            commits,
            parents,
            within: Within::default(),
            history: BTreeSet::new(),
            pruning: false,
            expired: BTreeSet::new(),
        }
    }

    /// Commits without a child.
    pub fn heads(&self) -> Vec<CommitKey> {
        self.commits.keys().filter(|key| !self.parents.contains(*key)).copied().collect()
    }

    pub fn commit(&self, key: CommitKey) -> &Replayed {
        &self.commits[&key]
    }

    /// True if a version is in the history, or was until its retention ended.
    fn known(&self, digest: &Digest) -> bool {
        self.history.contains(digest) || self.expired.contains(digest)
    }

    /// Reads the commits that are new.
    pub fn read_bucket(&mut self, store: &Store, devices: &[Device]) -> Check {
        let bucket = store.lock();
        if let Some(key) = bucket.overwritten.first() {
            return Err(format!("{key} was put with other bytes than before"));
        }
        let objects = bucket.objects.range("commits/".to_owned().."commits0".to_owned());
        for (name, (body, _)) in objects {
            let key = CommitKey::parse(&name["commits/".len()..]).ok_or(format!("{name} is no commit"))?;
            if !self.commits.contains_key(&key) {
                let commit = parse(body)?;
                let replayed = self
                    .replay(key, &commit, &bucket.objects)
                    .map_err(|why| format!("commit {key}: {why}"))?;
                let parent = commit.parents.first().map(|parent| self.commits[parent].tree.clone());
                let parent = parent.unwrap_or_default();
                let judged = attribute(&commit, &parent, devices)
                    .and_then(|()| attic::judge(&commit, &parent, &replayed.tree, devices, bucket.now_ms()));
                judged.map_err(|why| format!("commit {key}: {why}"))?;
                self.parents.extend(&commit.parents);
                self.commits.insert(key, replayed);
            }
        }
        Ok(())
    }

    fn replay(&mut self, key: CommitKey, commit: &Commit, objects: &Objects) -> Result<Replayed, String> {
        for parent in &commit.parents {
            if !self.commits.contains_key(parent) {
                return Err(format!("its parent {parent} is not in the bucket"));
            }
        }
        let first = commit.parents.first().map(|parent| self.commits[parent].clone());
        let mut state = first.unwrap_or_default();
        let packs = self.within.take(key, commit);
        for (pack, _) in &packs {
            if !self.pruning && self.within.bytes(*pack, objects).is_none() {
                return Err(format!("it names pack {pack}, which is not there"));
            }
        }
        let named = state.take(commit, packs);
        for change in &commit.changes {
            let path = change.path.as_str();
            if ["config.json", "sync/", "cache/", ".cogzy"].iter().any(|never| path.starts_with(never))
                || is_ours(path)
            {
                return Err(format!("it carries {path}"));
            }
            match change.entry {
                Some(entry) => state.tree.insert(change.path.clone(), entry),
                None => state.tree.remove(&change.path),
            };
        }
        for entry in named {
            if !self.versions.knows(&entry.digest) {
                return Err(format!("it carries a torn version: {}", entry.digest));
            }
            match restore(&state, &self.within, &entry, objects) {
                Err(_) if self.pruning => {}
                restored => {
                    restored?;
                    self.history.insert(entry.digest);
                }
            }
        }
        let members = state.tree.iter().map(|(path, entry)| (path.as_str().to_owned(), entry.digest));
        let members = members.collect();
        self.check_groups(&members)?;
        // A reset keeps displaced files as they were, also half written ones: so conflicts are not
        // checked for this.
        pipeline::check(&members, &self.versions)?;
        // A file that was written to after it had been displaced is kept as a single file, whatever
        // group it is in.
        for conflict in commit.kept.iter().filter(|conflict| matches!(conflict.item, Item::Group(_))) {
            let files = conflict
                .files
                .iter()
                .filter_map(|file| Some((file.path.as_str().to_owned(), file.entry?.digest)));
            self.check_groups(&files.collect())
                .map_err(|why| format!("in conflict {}: {why}", conflict.id))?;
        }
        Ok(state)
    }

    /// No group is half of one state and half of another.
    pub fn check_groups(&self, files: &BTreeMap<String, Digest>) -> Check {
        for group in groups().into_iter().filter(|group| group.name != pipeline::group().name) {
            let states: BTreeMap<&str, Option<u64>> = group
                .primary
                .iter()
                .map(|path| {
                    (path.as_str(), files.get(path).and_then(|digest| self.versions.state_of(digest)))
                })
                .collect();
            if states.values().collect::<BTreeSet<_>>().len() > 1 {
                return Err(format!("group {} is split: {states:?}", group.name));
            }
        }
        Ok(())
    }

    /// Checks a disk for the invariants of any time.
    pub fn check_disk(&self, device: &Device) -> Check {
        let mut site = device.disk.site();
        site.check_outside().map_err(|why| format!("{}: {why}", device.name))?;
        pipeline::note_missing_index(&mut site, device.disk.clock.now_ns());
        let mut visible = visible(&site);
        for (path, digest) in &visible {
            site.ledger.held(path, *digest);
            if !self.versions.knows(digest) {
                return Err(format!("{}: {path} is torn: {digest}", device.name));
            }
        }
        if let Some(left) = site.ledger.half_written.take() {
            let touched = left.iter().any(|(path, digest)| visible.get(path) != Some(digest));
            let (kept, cut_short) = (stored(&site, "conflicts"), site.file("sync/applying").is_some());
            let saved = |digest: &Digest| cut_short || self.known(digest) || kept.contains(digest);
            if touched && !pipeline::saved_without_index(&left, &site, device.disk.clock.now_ns(), saved) {
                return Err(format!("{}: a memory that its user has half written was touched", device.name));
            }
            if !touched {
                visible.retain(|path, _| !pipeline::is_member(path));
            }
            // What an apply that was cut short has displaced is where it belongs once it is
            // finished.
            site.ledger.half_written = (!touched || cut_short).then_some(left);
        }
        // While an apply is under way or cut short, its journal says so.
        if site.file("sync/applying").is_none() {
            let fits = self.check_groups(&visible).and_then(|()| pipeline::check(&visible, &self.versions));
            fits.map_err(|why| format!("{}: {why}", device.name))?;
        }
        site.check_modes().map_err(|why| format!("{}: {why}", device.name))?;
        self.check_trash(&mut site, device)?;
        let everywhere = everywhere(&site, false);
        for (path, digest, _) in site.ledger.owed() {
            if !everywhere.contains(&digest) && !self.known(&digest) {
                return Err(format!("{}: version {digest} of {path} is lost", device.name));
            }
        }
        Ok(())
    }

    /// Checks that displaced files stay for the set time, whatever the device's clock says.
    fn check_trash(&self, site: &mut Site, device: &Device) -> Check {
        let now = device.store.lock().now_ms();
        let keep = i64::try_from(device.trash.as_millis()).unwrap();
        let concluded = |(path, _): (String, _)| {
            let (id, name) = path.strip_prefix("sync/trash/")?.split_once('/')?;
            ["applying.json", "applied.json"].contains(&name).then(|| id.to_owned())
        };
        let there: BTreeSet<String> =
            site.files_below("sync/trash").into_iter().filter_map(concluded).collect();
        for (id, since) in site.ledger.trashes.extract_if(.., |id, _| !there.contains(id)) {
            if now - since < keep - TRASH_SLACK_MS {
                let hours = (now - since) / 3_600_000;
                return Err(format!("{}: what was displaced is gone after {hours} hours: {id}", device.name));
            }
        }
        for id in there {
            site.ledger.trashes.entry(id).or_insert(now);
        }
        Ok(())
    }

    /// Checks a disk for the invariants after convergence.
    pub fn check_converged(&self, device: &Device, filter: &dyn Fn(&str) -> bool) -> Check {
        self.check_disk(device)?;
        let heads = self.heads();
        let nothing = Replayed::default();
        let head = match heads.as_slice() {
            [] => &nothing,
            [head] => self.commit(*head),
            many => return Err(format!("there are {} heads", many.len())),
        };
        let site = device.disk.site();
        let here = visible(&site);
        let there: BTreeMap<String, Digest> =
            head.tree.iter().map(|(path, entry)| (path.as_str().to_owned(), entry.digest)).collect();
        for path in here.keys().chain(there.keys()).filter(|path| filter(path) && !is_derived(path)) {
            if here.get(path) != there.get(path) {
                let [here, there] = [here.get(path), there.get(path)];
                return Err(format!("{}: {path} is {here:?} and not {there:?}", device.name));
            }
        }
        let (kept, trash) = (everywhere(&site, true), stored(&site, "trash"));
        for (path, digest, trash_is_enough) in site.ledger.owed() {
            let derived = is_derived(path);
            let enough = self.known(&digest)
                || kept.contains(&digest)
                || (trash.contains(&digest) && (trash_is_enough || derived));
            if !enough {
                return Err(format!(
                    "{}: version {digest} of {path} is in no commit and no conflict (in the trash: {})",
                    device.name,
                    trash.contains(&digest)
                ));
            }
        }
        Ok(())
    }
}

/// True for files that are computed again from others.
pub fn is_derived(path: &str) -> bool {
    path.starts_with("indexes/") || path.ends_with(".index")
}

/// Checks that every change was made by an actor.
fn attribute(commit: &Commit, parent: &Tree, devices: &[Device]) -> Check {
    let Some(maker) = &commit.device else { return Ok(()) };
    let content = |entry: &Entry| (entry.digest, entry.size);
    let same = |change: &&Change| change.entry.as_ref().map(content) == parent.get(&change.path).map(content);
    if commit.kind == CommitKind::Prune {
        return Ok(());
    }
    let nothing = commit.changes.is_empty() && commit.kept.is_empty() && commit.resolved.is_empty();
    if nothing || commit.changes.iter().any(|change| same(&change)) {
        return Err(format!("{} sends what is there already", maker.name));
    }
    if commit.kind != CommitKind::Sync {
        // A person has asked for it, and what it replaces is in the history.
        return Ok(());
    }
    let device = devices.iter().find(|device| device.name == maker.name).ok_or("nobody made it")?;
    let mut site = device.disk.site();
    let definitions = &*GROUPS;
    let primary =
        |change: &Change| definitions.find(&change.path).is_some_and(|(_, role)| role == Role::Primary);
    let replaced: BTreeSet<Item> = commit
        .changes
        .iter()
        .filter(|change| primary(change))
        .map(|change| definitions.item(&change.path))
        .collect();
    for change in &commit.changes {
        let digest = change.entry.map(|entry| entry.digest);
        // With a new state of the primaries goes the index that stands beside them here, whichever
        // device made it, or none.
        if !primary(change) && replaced.contains(&definitions.item(&change.path)) {
            continue;
        }
        let replaced = parent.get(&change.path).map(|entry| entry.digest);
        if replaced.is_some_and(|digest| !site.ledger.may_replace(change.path.as_str(), digest)) {
            return Err(format!(
                "{} overrules a version of {} that it has never held",
                maker.name, change.path
            ));
        }
        if !site.ledger.answers_for(change.path.as_str(), digest) {
            let what = digest.map_or_else(|| "deletes it".to_owned(), |digest| format!("makes it {digest}"));
            return Err(format!("{} {what} at {}, but its user did not", maker.name, change.path));
        }
    }
    Ok(())
}

/// The files that the app sees, and that are synced unless a filter says otherwise.
pub fn visible(site: &Site) -> BTreeMap<String, Digest> {
    let never = |path: &str| {
        ["sync/", ".cogzy", "config.json"].iter().any(|never| path.starts_with(never))
            || path.ends_with(".tmp")
            || is_ours(path)
    };
    let files = site.files_of_user().into_iter().filter(|(path, _)| !never(path));
    files.map(|(path, ino)| (path, site.digest(ino))).collect()
}

/// Every content on a disk; without the files that will be thrown away, if it is to last.
fn everywhere(site: &Site, lasting: bool) -> BTreeSet<Digest> {
    let passing = |path: &str| lasting && (is_in(path, "staging") || is_in(path, "trash"));
    let files = site.files_of_user().into_iter().filter(|(path, _)| !passing(path));
    files.map(|(_, ino)| site.digest(ino)).collect()
}

/// Every content in places of the engine's own that are called `name`.
fn stored(site: &Site, name: &str) -> BTreeSet<Digest> {
    let files = site.files_of_user().into_iter().filter(|(path, _)| is_in(path, name));
    files.map(|(_, ino)| site.digest(ino)).collect()
}
