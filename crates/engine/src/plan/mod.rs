//! The three-way plan: compares the last agreed state, the local one and the remote one, and
//! decides the steps.
//!
//! Pure functions over plain data: no I/O, no clock, no randomness, no tokio. `sync --dry-run`
//! prints the same [`Plan`] that `sync` executes. A merge of two commits is the same function over
//! trees of the same kind.
//!
//! Each stage has its own file: `diff` finds the items that changed, `reconcile` decides each by
//! the table of the design, `moves` keeps deletions back until what moved has arrived, `names`
//! settles paths that cannot exist side by side, `safety` turns apparent accidents into a [`Hold`]
//! (by what `tally` counts and `mass` judges), and `together` keeps back items that must not be
//! sent alone. `batches` then cuts what is to be sent into commits, and `losses` says what a commit
//! takes, for the plans after it.
//!
//! Invariants, held by property tests:
//! - Every step names an item once.
//! - A group is pulled, pushed or left as a whole.
//! - A local version that was never agreed on is kept as a conflict when it is replaced (derived
//!   members excepted).
//! - A blocked item is neither pushed nor pulled over.
//! - Items written in one transaction are pushed in one commit.
//! - Content that moved is at its new name before it leaves the old one.

mod batches;
mod diff;
mod hold;
mod losses;
mod mass;
mod moves;
mod names;
mod reconcile;
mod reset;
mod safety;
mod step;
mod tally;
mod together;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::model::{ConflictId, Groups, Item, Keep, Losses, Tree, VaultPath, set_entry};

pub use crate::model::{Decisions, Direction, Held, Reason};
pub use batches::{Limits, batches};
pub use hold::{Hold, Share, filter_hold, groups_hold};
pub use losses::losses;
pub use names::in_the_way;
use names::wait;
pub use reset::reset;
pub use safety::Brakes;
use safety::Holds;
pub use step::{Action, FileStep, Plan, Step, Waiting};

/// Generations in which a group's members last changed. An index is *fresh* if it changed with or
/// after the primary members it was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ages {
    /// Generation of the last change of a primary member; 0 for never.
    pub primary: u64,
    /// Generation of the last change of a derived member; 0 for never.
    pub derived: u64,
}

impl Ages {
    /// True if the derived members changed with or after the primary ones.
    #[must_use]
    pub const fn derived_is_fresh(self) -> bool {
        self.derived >= self.primary && self.derived > 0
    }
}

/// Situation that a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A device that knows the last agreed state.
    Ordinary,
    /// A device without a base: its first join, or a lost record. Items that differ on both sides
    /// wait for a decision.
    Joining,
    /// A merge of two commits: "local" is the loser, "remote" the winner. It has no one to ask and
    /// no disk.
    Merge,
}

/// Inputs of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Last agreed state.
    pub base: &'a Tree,
    /// Local state.
    pub local: &'a Tree,
    /// Remote state.
    pub remote: &'a Tree,
    /// Definitions of groups.
    pub groups: &'a Groups,
    /// Generations in which the remote's groups last changed, by name.
    pub ages: &'a BTreeMap<String, Ages>,
    /// Local paths that cannot be judged now.
    pub blocked: &'a Blocked,
    /// Groups whose members do not fit together.
    pub unfit: &'a Unfit,
    /// Derived members that stand here and count as deleted: they were not computed again for the
    /// primary members beside them.
    pub left_out: &'a BTreeSet<VaultPath>,
    /// Sets of items that one program wrote in one transaction. Each set is sent whole or not at
    /// all.
    pub together: &'a [BTreeSet<Item>],
    /// Situation that the plan is made for.
    pub mode: Mode,
    /// True to send derived members that would otherwise stay local.
    pub push_derived: bool,
    /// Limits above which a change waits for approval. `None` in a merge.
    pub brakes: Option<Brakes>,
    /// Decisions that were made about holds.
    pub decisions: &'a Decisions,
    /// Conflicts that are decided: a version that loses again becomes another one. In a merge, those
    /// that the base knows, for a loss on either side of it may be the decided one.
    pub closed: &'a BTreeMap<ConflictId, Keep>,
    /// Holds of the last plan.
    pub held: &'a [Held],
    /// Hold over a change of the groups that nobody has approved: its items wait.
    pub regroup: Option<&'a Hold>,
    /// Files that commits of this device took within the last day. With them put back, the base is
    /// the state of a day ago: the reference of the brakes.
    pub losses: &'a Losses,
}

static NOTHING_BLOCKED: Blocked =
    Blocked { paths: BTreeMap::new(), foreign: BTreeMap::new(), occupied: BTreeMap::new() };
static NOTHING_UNFIT: Unfit =
    Unfit { here: BTreeMap::new(), there: BTreeMap::new(), partial: BTreeMap::new() };
static NOTHING_LEFT_OUT: BTreeSet<VaultPath> = BTreeSet::new();
static NOTHING_DECIDED: Decisions = Decisions::none();
static NOTHING_CLOSED: BTreeMap<ConflictId, Keep> = BTreeMap::new();
static NOTHING_LOST: Losses = Losses::new();

impl<'a> Input<'a> {
    /// An ordinary plan over three trees, without brakes: nothing is blocked, unfit, bound or
    /// decided.
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
            left_out: &NOTHING_LEFT_OUT,
            together: &[],
            mode: Mode::Ordinary,
            push_derived: false,
            brakes: None,
            decisions: &NOTHING_DECIDED,
            closed: &NOTHING_CLOSED,
            held: &[],
            regroup: None,
            losses: &NOTHING_LOST,
        }
    }
}

/// Groups whose files do not fit together, by a look into the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfit {
    /// Groups that do not fit locally, with the cause: neither pushed nor pulled over. A hold on
    /// such a group stays, because the person may have to know both.
    pub here: BTreeMap<Item, String>,
    /// Groups that do not fit on the remote, with the cause: they count as unchanged there, and a
    /// local version may be committed over them.
    pub there: BTreeMap<Item, String>,
    /// Groups of which this device's filter hides primary members, with the cause: not pushed,
    /// since nobody here can tell if the others still fit to these.
    pub partial: BTreeMap<Item, String>,
}

/// Local paths whose state is unknown or not yet stable: busy, not settled, or unreadable. They are
/// neither pushed nor pulled over, and never count as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocked {
    paths: BTreeMap<VaultPath, String>,
    /// Links and special files. They occupy a path but are members of nothing.
    foreign: BTreeMap<VaultPath, String>,
    /// Folders that stay, each with the name of something in it that is not synced.
    occupied: BTreeMap<VaultPath, String>,
}

impl Blocked {
    /// Blocks one path, and everything below it if it is a folder.
    pub fn add(&mut self, path: VaultPath, why: impl Into<String>) {
        self.paths.insert(path, why.into());
    }

    /// Blocks a path occupied by something that is never synced, and everything below it.
    pub fn add_foreign(&mut self, path: VaultPath, why: impl Into<String>) {
        self.foreign.insert(path, why.into());
    }

    /// Keeps files from taking the place of `folder`: `name`, which stands in it, is not synced.
    /// Nothing else is blocked by that.
    pub fn occupy(&mut self, folder: VaultPath, name: String) {
        self.occupied.insert(folder, name);
    }

    /// All paths that are blocked by themselves.
    pub fn paths(&self) -> impl Iterator<Item = &VaultPath> {
        self.paths.keys().chain(self.foreign.keys())
    }

    /// Why `path` is blocked, if it is.
    #[must_use]
    pub fn reason(&self, path: &VaultPath) -> Option<&str> {
        self.find(path).map(|block| block.why)
    }

    /// The name that blocks `path`: its own, or that of a folder above it. If a file or a link has
    /// taken the place of a folder, the files that were below it are unknown.
    fn find(&self, path: &VaultPath) -> Option<Block<'_>> {
        let at = |path: &VaultPath| {
            let known = self.paths.get_key_value(path).or_else(|| self.foreign.get_key_value(path));
            known.map(|(at, why)| Block { at, why })
        };
        at(path).or_else(|| path.folders().find_map(|folder| at(&VaultPath::new(folder).ok()?)))
    }

    /// A name below `folder` that blocks: what stands there keeps a file from taking the folder's
    /// place, though no tree has it.
    fn below(&self, folder: &VaultPath) -> Option<Block<'_>> {
        let inside = format!("{folder}/");
        [&self.paths, &self.foreign].into_iter().find_map(|names| {
            let (at, why) =
                names.range::<str, _>((Bound::Excluded(inside.as_str()), Bound::Unbounded)).next()?;
            at.as_str().starts_with(&inside).then_some(Block { at, why })
        })
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
        // A folder that cannot be read may hold members that no scan has seen yet.
        for group in groups.definitions() {
            let patterns = group.primary.iter().chain(&group.derived);
            if let Some(block) = patterns.into_iter().find_map(|pattern| self.find_below(pattern)) {
                items.entry(Item::Group(group.name.clone())).or_insert(block);
            }
        }
        items
    }

    /// True if something keeps an item from being judged: at one of its `known` members, or at one
    /// that no tree has yet.
    pub fn hides<'a>(
        &self,
        groups: &Groups,
        item: &Item,
        mut known: impl Iterator<Item = &'a VaultPath>,
    ) -> bool {
        known.any(|path| self.find(path).is_some()) || self.items(groups).contains_key(item)
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
        Waiting { item, why: format!("{at}: {why}"), blocked_by: Some(at.clone()), lasts: false }
    }
}

/// Makes a plan.
#[must_use]
pub fn plan(input: &Input) -> Plan {
    let mut plan = Plan::default();
    let mut decided = BTreeMap::new();
    let blocked = input.blocked.items(input.groups);
    for item in diff::moved(input) {
        let view = diff::View::of(input, &item);
        let block = view.blocked(input.blocked).or_else(|| blocked.get(&item).copied());
        let stranger = input.mode == Mode::Joining && reconcile::has_no_past(&view, block.is_some());
        let wrong = input.unfit.there.get(&item).filter(|_| stranger);
        if stranger && (block.is_some() || wrong.is_none()) {
            plan.strangers.insert(item.clone());
        }
        match (block, wrong) {
            (Some(block), _) => plan.waiting.push(block.waiting(item)),
            // Nothing shows that the local version is newer than the wrong one there.
            (None, Some(why)) => plan.waiting.push(Waiting::of(item, why.clone())),
            (None, None) => {
                if let Some(step) = reconcile::reconcile(input, &item, &view) {
                    decided.insert(item, step);
                }
            }
        }
    }
    moves::wait_for_names(input, &mut decided, &mut plan.waiting, &[]);
    names::settle(input, &mut decided, &mut plan.waiting, &[]);
    while moves::wait_for_names(input, &mut decided, &mut plan.waiting, &[]) {
        // An old name that stays frees no room.
        names::settle(input, &mut decided, &mut plan.waiting, &[]);
    }
    let Holds { open, approved, rejected } = safety::hold(input, &mut decided);
    let differ = [&open, &approved, &rejected].into_iter().flatten();
    let differ = differ.filter(|hold| hold.reason == Reason::Differs).flat_map(|hold| &hold.items);
    plan.strangers.extend(differ.cloned());
    (plan.holds, plan.approved, plan.rejected) = (open, approved, rejected);
    let kept = hold_back(input, &mut decided, &mut plan);
    let kept = together::keep_back(input.together, &mut decided, &mut plan) || kept;
    let mut again = kept || !(plan.holds.is_empty() && plan.approved.is_empty() && plan.rejected.is_empty());
    while again {
        // An item on hold frees no names, and a rejected one takes some.
        names::settle(input, &mut decided, &mut plan.waiting, &plan.holds);
        again = together::keep_back(input.together, &mut decided, &mut plan);
        again |= moves::wait_for_names(input, &mut decided, &mut plan.waiting, &plan.holds);
    }
    plan.steps = decided.into_values().collect();
    plan.waiting.sort();
    plan
}

/// Removes the steps of groups that do not fit together locally: upstream first. A local change
/// that a person has rejected is taken back all the same. Of groups of which a part is hidden here
/// it removes only what would be sent. True if it removed any.
fn hold_back(input: &Input, steps: &mut BTreeMap<Item, Step>, plan: &mut Plan) -> bool {
    let taken_back = |item: &Item| {
        let mut outgoing = plan.rejected.iter().filter(|hold| hold.direction == Direction::Outgoing);
        outgoing.any(|hold| hold.items.contains(item))
    };
    let moves = |item: &Item| {
        steps.get(item).is_some_and(|step| step.incoming() || step.outgoing()) && !taken_back(item)
    };
    let unfit: Vec<_> = input.unfit.here.iter().filter(|(item, _)| moves(item)).collect();
    let fits = |item: &Item| !input.unfit.here.contains_key(item);
    let sent = |item: &Item| steps.get(item).is_some_and(Step::outgoing) && fits(item);
    let partial: Vec<_> = input.unfit.partial.iter().filter(|(item, _)| sent(item)).collect();
    let unfit = unfit.into_iter().map(|(item, why)| Waiting::of(item.clone(), why.clone()));
    let partial = partial.into_iter().map(|(item, why)| Waiting::lasting(item.clone(), why.clone()));
    let waiting: Vec<Waiting> = unfit.chain(partial).collect();
    wait(steps, &mut plan.waiting, waiting)
}

/// Agreed state after the items in `done` are carried out: `base` with those items as both sides
/// now have them. All other items keep their base.
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
