//! Holds: changes that wait for a person.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::diff::View;
use super::{Input, Step};
use crate::model::{Direction, Entry, Group, Groups, Held, HoldId, Item, Reason, Tree, VaultPath};

/// Change that waits for `approve` or `approve --reject`. All other items go on.
///
/// Two holds are equal if their ids are. Their shares of the vault change with files that come and
/// go beside them.
#[derive(Debug, Clone, Eq, Serialize)]
pub struct Hold {
    /// Id of the hold: the digest of its reason and of its items' base, local and remote contents.
    pub id: HoldId,
    /// Reason of the hold.
    pub reason: Reason,
    /// Side that would lose data.
    pub direction: Direction,
    /// Items on hold.
    pub items: BTreeSet<Item>,
    /// Share of the vault, for a mass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<Share>,
}

/// Share of the vault that a mass loss covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Files that go or change, with those that did so earlier in the same run.
    pub files: usize,
    /// Files that stood.
    pub of: usize,
    /// True if earlier commits took some of them.
    pub slowly: bool,
    /// True if files of other names come in their place.
    pub replaced: bool,
}

impl PartialEq for Hold {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, side) = (
            self.items.len(),
            match self.direction {
                Direction::Outgoing => "on this device",
                Direction::Incoming => "by another device",
            },
        );
        let first = self.items.first().map(ToString::to_string).unwrap_or_default();
        let which = if count == 1 { first } else { format!("{count} items, first {first}") };
        match self.reason {
            Reason::Differs => {
                write!(f, "both sides hold different versions and no common past is known: {which}")
            }
            Reason::GroupLoss => write!(f, "{which} was deleted, or shrunk by more than half, {side}"),
            Reason::MassDelete | Reason::MassChange => {
                let Share { files, of, slowly, replaced } =
                    self.share.unwrap_or(Share { files: count, of: count, slowly: false, replaced: false });
                let verb = match (self.reason, replaced) {
                    (Reason::MassDelete, _) => "deleted",
                    (_, true) => "replaced by files of other names",
                    _ => "changed",
                };
                let within = if slowly { " within a day" } else { "" };
                match (files, of) {
                    (0, _) => write!(f, "files came {side} in the place of others that stand again: {which}"),
                    (1, 1) => write!(f, "the only file was {verb} {side}{within}: {which}"),
                    _ => write!(f, "{files} of {of} files were {verb} {side}{within}: {which}"),
                }
            }
            Reason::Filter => write!(f, "the filters now exclude files that were synced: {which}"),
            Reason::Groups => write!(
                f,
                "another device changed which files belong together, or how they are checked: {which}"
            ),
        }
    }
}

impl Hold {
    /// Result of letting the change pass, in words.
    #[must_use]
    pub const fn if_approved(&self) -> &'static str {
        match (self.reason, self.direction) {
            (Reason::Differs, _) => "the backup's version replaces the one here, which is kept as a conflict",
            (Reason::Filter, _) => "the files stay on both sides, and are no longer synced from here",
            (Reason::Groups, _) => "the files are synced by the new rules",
            (_, Direction::Outgoing) => "the change goes to the backup and to your other devices",
            (_, Direction::Incoming) => "the change comes to this device; what stood here goes to the trash",
        }
    }

    /// Result of deciding the other way, in words.
    #[must_use]
    pub const fn if_rejected(&self) -> &'static str {
        match (self.reason, self.direction) {
            (Reason::Filter, _) => "to go on syncing them, take the new pattern out of `filter` again",
            (Reason::Groups, _) => "the rules of this device are put back, for all your devices",
            (Reason::Differs, _) | (_, Direction::Incoming) => {
                "the version here stays, and goes to the backup and to your other devices"
            }
            (_, Direction::Outgoing) => {
                "the backup's version comes back here; what stands here now goes to the trash"
            }
        }
    }

    /// True if `approve --reject` decides it: filters are changed back where they are written.
    #[must_use]
    pub const fn can_be_rejected(&self) -> bool {
        !matches!(self.reason, Reason::Filter)
    }

    /// Record of the hold, kept while it is open.
    #[must_use]
    pub fn held(&self) -> Held {
        Held { reason: self.reason, direction: self.direction, items: self.items.clone() }
    }

    pub(super) fn over(input: &Input, reason: Reason, direction: Direction, steps: &[&Step]) -> Self {
        let items: BTreeSet<Item> = steps.iter().map(|step| step.item.clone()).collect();
        let mut hasher = IdHasher::new(reason, direction);
        for item in &items {
            for (path, member) in &View::of(input, item).members {
                hasher.path(path, [member.base, member.local, member.remote]);
            }
        }
        Self { id: hasher.finish(), reason, direction, items, share: None }
    }
}

/// Hold over synced files that the filters now exclude. Nothing happens to them on either side, but
/// the user must know. `None` if there are no such files.
#[must_use]
pub fn filter_hold(hidden: &Tree) -> Option<Hold> {
    let mut hasher = IdHasher::new(Reason::Filter, Direction::Outgoing);
    for (path, entry) in hidden {
        hasher.path(path, [Some(*entry), None, None]);
    }
    let items: BTreeSet<Item> = hidden.keys().cloned().map(Item::File).collect();
    let (id, direction) = (hasher.finish(), Direction::Outgoing);
    (!items.is_empty()).then_some(Hold { id, reason: Reason::Filter, direction, items, share: None })
}

/// Hold over a change of the groups that this device did not make: over the items of `paths` that
/// are grouped or checked otherwise, and the groups that changed. `None` if the definitions are the
/// same.
#[must_use]
pub fn groups_hold<'a>(
    accepted: &Groups,
    changed: &Groups,
    paths: impl IntoIterator<Item = &'a VaultPath>,
) -> Option<Hold> {
    let (before, after) = (accepted.definitions(), changed.definitions());
    if before == after {
        return None;
    }
    let rule = |groups: &Groups, path: &VaultPath| {
        groups.find(path).map(|(group, role)| (group.name.clone(), role, group.validate))
    };
    let differs = |path: &&VaultPath| rule(accepted, path) != rule(changed, path);
    let mut items: BTreeSet<Item> =
        paths.into_iter().filter(differs).map(|path| accepted.item(path)).collect();
    let mut named = |some: &[Group], others: &[Group]| {
        let new = some.iter().filter(|group| !others.contains(group));
        items.extend(new.map(|group| Item::Group(group.name.clone())));
    };
    named(before, after);
    named(after, before);
    let mut hasher = IdHasher::new(Reason::Groups, Direction::Incoming);
    for definitions in [before, after] {
        hasher.text(&format!("{definitions:?}"));
    }
    let (id, direction) = (hasher.finish(), Direction::Incoming);
    Some(Hold { id, reason: Reason::Groups, direction, items, share: None })
}

struct IdHasher(blake3::Hasher);

impl IdHasher {
    fn new(reason: Reason, direction: Direction) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[reason as u8, direction as u8]);
        Self(hasher)
    }

    fn text(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    fn path(&mut self, path: &VaultPath, sides: [Option<Entry>; 3]) {
        self.text(path.as_str());
        for entry in sides {
            match entry {
                Some(entry) => self.0.update(&[1]).update(entry.digest.as_bytes()),
                None => self.0.update(&[0]),
            };
        }
    }

    fn finish(self) -> HoldId {
        let mut bytes = [0; HoldId::LEN];
        self.0.finalize_xof().fill(&mut bytes);
        HoldId::from_bytes(bytes)
    }
}
