//! The acts of a user on one device for which the engine owes them something.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use cogzy_engine::model::{Digest, Entry, Item};
use cogzy_engine::plan::Hold;

use crate::key::Key;

/// Every content that any actor ever wrote, and for a group's member the state of the group that it
/// belongs to. Bytes on a disk that are not in here are torn.
#[derive(Debug, Clone, Default)]
pub struct Versions(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    contents: BTreeMap<Digest, Option<u64>>,
    count: u64,
}

impl Versions {
    /// A number that no version has had.
    pub fn fresh(&self) -> u64 {
        let mut known = self.0.lock().unwrap();
        known.count += 1;
        known.count
    }

    pub fn add(&self, bytes: &[u8], state: Option<u64>) {
        self.0.lock().unwrap().contents.insert(Digest::of(bytes), state);
    }

    pub fn knows(&self, digest: &Digest) -> bool {
        self.0.lock().unwrap().contents.contains_key(digest)
    }

    /// The state of its group that a member's content belongs to.
    pub fn state_of(&self, digest: &Digest) -> Option<u64> {
        self.0.lock().unwrap().contents.get(digest).copied().flatten()
    }
}

/// A file that a commit took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Entry before it was taken.
    pub entry: Entry,
    /// Time when it was taken last, by the bucket's clock.
    pub at_ms: i64,
}

/// One device's user.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub versions: Versions,
    /// Versions that the user wrote and has not replaced or deleted: they must be somewhere.
    owed: BTreeSet<(String, Digest)>,
    /// Versions among these for which a place in the trash is enough.
    in_trash: BTreeSet<(String, Digest)>,
    /// Versions that were owed when a person rejected something, until that is carried out.
    rejected: BTreeSet<(String, Digest)>,
    /// Versions written that no commit of this device has carried yet.
    unsent: BTreeSet<(String, Digest)>,
    /// Rights that the user gave to files, by path.
    pub modes: BTreeMap<String, u32>,
    /// Versions that a commit has carried.
    sent: BTreeSet<(String, Digest)>,
    /// The bucket has lost commits: their contents may be sent again.
    pub sends_again: bool,
    /// Paths that the user has ever deleted.
    deleted: BTreeSet<String>,
    /// Names that the user gave to files in another letter case, with the names before.
    recased: BTreeMap<String, String>,
    /// Versions that have ever stood here.
    held: BTreeSet<(String, Digest)>,
    /// The user has decided something the other way, or this device has lost its record: it may
    /// send old versions.
    pub excused: bool,
    /// Files in [`crate::attic`] that commits of this device have taken without approval, by path.
    pub taken: BTreeMap<String, Taken>,
    /// Paths whose loss a person approved.
    pub approved: BTreeSet<String>,
    /// A person has approved of something.
    pub approved_any: bool,
    /// Files of the attic that have another name now.
    pub moved: BTreeSet<String>,
    /// Files of the attic that the user replaced by files of other names, and of which no commit of
    /// this device has said so.
    pub exchanged: BTreeSet<String>,
    /// Trashes that were seen, each with the time of the first sight by the bucket's clock.
    pub trashes: BTreeMap<String, i64>,
    /// A program has written some files of a group and not the others: the group as it was left;
    /// nothing of it where an apply was under way, which may still put files back.
    pub half_written: Option<BTreeMap<String, Digest>>,
    /// Time at which a memory here first lacked nothing but its index, by the device's clock.
    pub index_missing_since: Option<i64>,
}

impl Ledger {
    pub fn new(versions: Versions) -> Self {
        Self { versions, ..Self::default() }
    }

    /// Describes the user's acts, as far as a look at the disk does not show them.
    pub fn describe(&self, key: &mut Key) {
        for versions in [&self.owed, &self.in_trash] {
            versions.iter().for_each(|(path, digest)| key.version(path, *digest));
            key.plain("|");
        }
        self.deleted.iter().for_each(|path| key.say(path));
        key.plain(format_args!("{} {}", self.sends_again, self.excused));
        for path in self
            .taken
            .keys()
            .chain(&self.approved)
            .chain(&self.moved)
            .chain(&self.exchanged)
            .chain(self.trashes.keys())
        {
            key.say(path);
        }
        key.plain(self.approved_any);
        for (path, digest) in self.half_written.iter().flatten() {
            key.version(path, *digest);
        }
        key.plain(self.half_written.is_some());
    }

    pub fn wrote(&mut self, path: &str, digest: Digest) {
        // A version that the user has replaced at this very place, after it had made way for
        // something else, may rest in the trash.
        let replaced = self.owed.iter().filter(|owed| owed.0 == path && owed.1 != digest).cloned();
        self.in_trash.extend(replaced);
        self.in_trash.remove(&(path.to_owned(), digest));
        self.owed.insert((path.into(), digest));
        self.held(path, digest);
        self.unsent.insert((path.into(), digest));
    }

    /// The user has saved over a version. The same bytes at the same place are no new version: what
    /// a person has decided about them still holds.
    pub fn saved(&mut self, path: &str, before: Option<Digest>, digest: Digest) {
        self.wrote(path, digest);
        let version = (path.to_owned(), digest);
        if before == Some(digest) && self.rejected.contains(&version) {
            self.in_trash.insert(version);
        }
    }

    /// A person decides something the other way. Every version that is owed now may end in the
    /// trash, until that is carried out.
    pub fn reject(&mut self) {
        self.excused = true;
        self.rejected.clone_from(&self.owed);
    }

    /// The change that a person has rejected is taken back.
    pub fn carried_out(&mut self) {
        self.rejected.clear();
    }

    /// A version stands here.
    pub fn held(&mut self, path: &str, digest: Digest) {
        self.held.insert((path.into(), digest));
    }

    /// True if this device may replace a version: it must have known it, under the name that its
    /// user gave it in another letter case, too.
    pub fn may_replace(&self, path: &str, digest: Digest) -> bool {
        let mut names = self
            .recased
            .iter()
            .filter(|(_, before)| *before == path)
            .map(|(to, _)| to.as_str())
            .chain([path]);
        self.excused || names.any(|name| self.held.contains(&(name.to_owned(), digest)))
    }

    /// Lets files be sent again that were sent from below `folder`, or are `here`, and were not
    /// synced for a while: the other devices may have deleted them meanwhile.
    pub fn synced_again(&mut self, folder: &str, here: Vec<(String, Digest)>) {
        self.unsent.extend(here);
        self.unsent.extend(self.sent.iter().filter(|(path, _)| path.starts_with(folder)).cloned());
    }

    /// The version at `path` is gone by the user's own hand.
    pub fn released(&mut self, path: &str, digest: Digest) {
        self.owed.remove(&(path.to_owned(), digest));
        self.held(path, digest);
    }

    /// The version is gone by the user's own hand, whatever name in another letter case it had got.
    pub fn released_in_any_case(&mut self, path: &str, digest: Digest) {
        let name = path.to_lowercase();
        self.owed.retain(|owed| owed.1 != digest || owed.0.to_lowercase() != name);
        self.held(path, digest);
    }

    /// The file at `path` has the name `to` from now on, which differs in letter case.
    pub fn recased(&mut self, path: &str, to: &str, digest: Digest) {
        self.deleted(path);
        self.wrote(to, digest);
        self.recased.insert(to.to_owned(), path.to_owned());
    }

    /// An apply that was under way has put a version under the name that the user has just given in
    /// another letter case: the user has renamed that one, too.
    pub fn placed_under(&mut self, path: &str, digest: Digest) {
        if self.recased.contains_key(path) {
            self.unsent.insert((path.to_owned(), digest));
        }
    }

    pub fn deleted(&mut self, path: &str) {
        self.deleted.insert(path.into());
    }

    pub fn trash_is_enough(&mut self, path: &str, digest: Digest) {
        self.in_trash.insert((path.into(), digest));
    }

    /// Every version that is owed now may end in the trash: the user has agreed.
    pub fn trash_is_enough_for_all(&mut self) {
        self.in_trash.extend(self.owed.iter().cloned());
    }

    /// Lets a held change pass for the user: its losses, and those before it, are on purpose.
    pub fn approve(&mut self, hold: &Hold) {
        let file = |item: &Item| match item {
            Item::File(path) => Some(path.to_string()),
            Item::Group(_) => None,
        };
        self.approved.extend(hold.items.iter().filter_map(file));
        self.approved_any = true;
        self.taken.clear();
    }

    /// Notes that the device's clock has jumped so many seconds ahead: half a day at most counts as
    /// passed for what was taken. What is noted by this clock has lasted no shorter for a jump
    /// back.
    pub fn jumped(&mut self, seconds: i64) {
        let aged = seconds.clamp(0, 13 * 3_600) * 1_000;
        self.taken.values_mut().for_each(|taken| taken.at_ms -= aged);
        self.index_missing_since =
            self.index_missing_since.map(|since| since + seconds.min(0) * 1_000_000_000);
    }

    /// Versions that are owed, and whether the trash is enough.
    pub fn owed(&self) -> impl Iterator<Item = (&str, Digest, bool)> {
        self.owed.iter().map(|owed| (owed.0.as_str(), owed.1, self.in_trash.contains(owed)))
    }

    /// True if the user has given cause for a commit with this change; a version is sent once.
    pub fn answers_for(&mut self, path: &str, digest: Option<Digest>) -> bool {
        match digest {
            Some(digest) => {
                let version = (path.to_owned(), digest);
                let again = self.sends_again && self.sent.contains(&version);
                let first = self.unsent.remove(&version);
                if first {
                    self.sent.insert(version);
                }
                first || again || self.excused
            }
            None => self.deleted.contains(path) || self.excused,
        }
    }
}
