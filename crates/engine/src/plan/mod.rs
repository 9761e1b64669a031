//! The three-way plan: from what was agreed, what is here and what is there, to what is to be done.
//!
//! Pure functions over plain data: no I/O, no clock, no randomness, no tokio. `sync --dry-run` prints the very [`Plan`] that
//! `sync` executes, and a merge of two commits is the same function over the same kind of trees.
//!
//! The stages, each in its file: `diff` finds the items that moved, `reconcile` decides each by the table of the design,
//! `names` settles paths that cannot stand side by side, `safety` turns what looks like an accident into a [`Hold`], `together` keeps
//! back what must not be sent alone.
//!
//! Invariants, held by property tests: every step names an item once; a group is pulled, pushed or left as a whole; a version
//! that is replaced here without having been agreed is kept as a conflict (derived members excepted); a blocked item is
//! neither pushed nor pulled over, and what was written as one is pushed as one.

mod diff;
mod hold;
mod names;
mod reconcile;
mod reset;
mod safety;
mod step;
mod together;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Groups, Item, Tree, VaultPath, set_entry};

pub use crate::model::{Decisions, Direction, Held, Reason};
pub use hold::{Hold, filter_hold};
pub use names::in_the_way;
pub use reset::reset;
pub use safety::Brakes;
use safety::Holds;
pub use step::{Action, FileStep, Plan, Step, Waiting};

/// When a group's members last changed, in generations. An index is *fresh* where it changed with or since the primary
/// members it was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ages {
    /// Generation of the last change of a primary member; 0 for never.
    pub primary: u64,
    /// Generation of the last change of a derived member; 0 for never.
    pub derived: u64,
}

impl Ages {
    /// Whether the derived members have changed with or since the primary ones.
    #[must_use]
    pub const fn derived_is_fresh(self) -> bool {
        self.derived >= self.primary && self.derived > 0
    }
}

/// What the plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A device that knows what it last agreed on.
    Ordinary,
    /// A device without a base (its first join, or its record is lost): what differs on both sides waits for a decision.
    Joining,
    /// Two commits: "local" is the loser, "remote" the winner. Nobody can be asked, and nothing is on a disk.
    Merge,
}

/// Everything a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// What was agreed last.
    pub base: &'a Tree,
    /// What is here.
    pub local: &'a Tree,
    /// What is there.
    pub remote: &'a Tree,
    /// What belongs together.
    pub groups: &'a Groups,
    /// When the remote's groups last changed, by name.
    pub ages: &'a BTreeMap<String, Ages>,
    /// What cannot be judged here now.
    pub blocked: &'a Blocked,
    /// Groups whose files do not fit together.
    pub unfit: &'a Unfit,
    /// Items that are sent together or not at all, since one program wrote them as one.
    pub together: &'a [BTreeSet<Item>],
    /// What the plan is made for.
    pub mode: Mode,
    /// Send derived members that would otherwise stay here.
    pub push_derived: bool,
    /// When to ask first; none in a merge.
    pub brakes: Option<Brakes>,
    /// What has been decided about holds.
    pub decisions: &'a Decisions,
    /// What the last plan held.
    pub held: &'a [Held],
}

static NOTHING_BLOCKED: Blocked = Blocked { paths: BTreeMap::new(), foreign: BTreeMap::new() };
static NOTHING_UNFIT: Unfit = Unfit { here: BTreeMap::new(), there: BTreeMap::new() };
static NOTHING_DECIDED: Decisions = Decisions::none();

impl<'a> Input<'a> {
    /// An ordinary plan over three trees, without brakes: nothing is blocked, unfit, bound or decided.
    #[must_use]
    pub const fn of(
        [base, local, remote]: [&'a Tree; 3],
        groups: &'a Groups,
        ages: &'a BTreeMap<String, Ages>,
    ) -> Self {
        Self {
            base,
            local,
            remote,
            groups,
            ages,
            blocked: &NOTHING_BLOCKED,
            unfit: &NOTHING_UNFIT,
            together: &[],
            mode: Mode::Ordinary,
            push_derived: false,
            brakes: None,
            decisions: &NOTHING_DECIDED,
            held: &[],
        }
    }
}

/// Groups whose files do not fit together, as somebody who looked into them says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfit {
    /// Here, and why: neither pushed nor pulled over. What is held stays held, for a person may have to know both.
    pub here: BTreeMap<Item, String>,
    /// There, and why: what the remote holds counts as unchanged, and what is here may be committed over it.
    pub there: BTreeMap<Item, String>,
}

/// Paths here whose state is unknown or not yet stable: busy, not settled, unreadable. They are neither pushed nor pulled over,
/// and nothing about them counts as absence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocked {
    paths: BTreeMap<VaultPath, String>,
    /// Links and special files: they stand in the way of what should be there, but are no members of anything.
    foreign: BTreeMap<VaultPath, String>,
}

impl Blocked {
    /// Blocks one path, and everything below it should it be a folder.
    pub fn add(&mut self, path: VaultPath, why: impl Into<String>) {
        self.paths.insert(path, why.into());
    }

    /// Blocks a path at which something stands that is never synced, and everything below it.
    pub fn add_foreign(&mut self, path: VaultPath, why: impl Into<String>) {
        self.foreign.insert(path, why.into());
    }

    /// Why `path` is blocked, if it is.
    #[must_use]
    pub fn reason(&self, path: &VaultPath) -> Option<&str> {
        self.find(path).map(|block| block.why)
    }

    /// The name that blocks `path`: its own, or that of a folder above it. A name that stands for a file
    /// or a link here cannot tell what was below it as a folder.
    fn find(&self, path: &VaultPath) -> Option<Block<'_>> {
        let at = |path: &VaultPath| {
            let known = self.paths.get_key_value(path).or_else(|| self.foreign.get_key_value(path));
            known.map(|(at, why)| Block { at, why })
        };
        at(path).or_else(|| path.folders().find_map(|folder| at(&VaultPath::new(folder).ok()?)))
    }

    /// Paths where something stands that is in no tree.
    fn unseen(&self, local: &Tree) -> impl Iterator<Item = Block<'_>> {
        let files = self.paths.iter().filter(|(path, _)| !local.contains_key(*path));
        files.map(|(at, why)| Block { at, why })
    }

    /// Items that cannot be judged because of a member of theirs, also one that no tree has yet.
    fn items(&self, groups: &Groups) -> BTreeMap<Item, Block<'_>> {
        let mut items: BTreeMap<Item, Block<'_>> =
            self.paths.iter().map(|(at, why)| (groups.item(at), Block { at, why })).collect();
        // A folder that cannot be read may hold members that nobody has seen yet.
        for group in groups.definitions() {
            let patterns = group.primary.iter().chain(&group.derived);
            if let Some(block) = patterns.into_iter().find_map(|pattern| self.find_below(pattern)) {
                items.entry(Item::Group(group.name.clone())).or_insert(block);
            }
        }
        items
    }

    /// The name that hides which files a group's pattern matches.
    fn find_below(&self, pattern: &str) -> Option<Block<'_>> {
        let fixed = pattern.split(['*', '?', '[', '{']).next().unwrap_or(pattern);
        self.find(&VaultPath::new(fixed.strip_suffix('/').unwrap_or(fixed)).ok()?)
    }
}

/// A name that blocks, and why.
#[derive(Debug, Clone, Copy)]
struct Block<'a> {
    at: &'a VaultPath,
    why: &'a str,
}

impl Block<'_> {
    fn waiting(self, item: Item) -> Waiting {
        let Self { at, why } = self;
        Waiting { item, why: format!("{at}: {why}"), blocked_by: Some(at.clone()) }
    }
}

/// Makes the plan.
#[must_use]
pub fn plan(input: &Input) -> Plan {
    let mut plan = Plan::default();
    let mut decided = BTreeMap::new();
    let blocked = input.blocked.items(input.groups);
    for item in diff::moved(input) {
        let view = diff::View::of(input, &item);
        match view.blocked(input.blocked).or_else(|| blocked.get(&item).copied()) {
            Some(block) => plan.waiting.push(block.waiting(item)),
            None => {
                if let Some(step) = reconcile::reconcile(input, &item, &view) {
                    decided.insert(item, step);
                }
            }
        }
    }
    names::settle(input, &mut decided, &mut plan.waiting, &[]);
    let Holds { open, approved, rejected } = safety::hold(input, &mut decided);
    (plan.holds, plan.approved, plan.rejected) = (open, approved, rejected);
    let kept = hold_back(input, &mut decided, &mut plan.waiting);
    let kept = together::keep(input.together, &mut decided, &mut plan) || kept;
    let mut again = kept || !(plan.holds.is_empty() && plan.approved.is_empty() && plan.rejected.is_empty());
    while again {
        // What is held or held back does not make room, and what was turned round takes it.
        names::settle(input, &mut decided, &mut plan.waiting, &plan.holds);
        again = together::keep(input.together, &mut decided, &mut plan);
    }
    plan.steps = decided.into_values().collect();
    plan.waiting.sort();
    plan
}

/// Takes the steps of groups that do not fit together here out of the plan: upstream first. Whether there were any.
fn hold_back(input: &Input, steps: &mut BTreeMap<Item, Step>, waiting: &mut Vec<Waiting>) -> bool {
    let moves = |item: &Item| steps.get(item).is_some_and(|step| step.incoming() || step.outgoing());
    let unfit: Vec<_> = input.unfit.here.iter().filter(|(item, _)| moves(item)).collect();
    let any = !unfit.is_empty();
    for (item, why) in unfit {
        steps.remove(item);
        waiting.push(Waiting::of(item.clone(), why.clone()));
    }
    any
}

/// What is agreed once `done` of the plan's items have been carried out: `base` with those items as both sides now have them.
/// Everything else keeps the base it had.
#[must_use]
pub fn agreed(plan: &Plan, base: &Tree, done: &BTreeSet<Item>) -> Tree {
    let mut tree = base.clone();
    for step in plan.steps.iter().filter(|step| done.contains(&step.item)) {
        for (path, entry) in &step.agreed {
            set_entry(&mut tree, path.clone(), *entry);
        }
    }
    tree
}
