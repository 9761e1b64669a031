//! Differences between the trees: the items that changed, and the change on each side.

use std::collections::{BTreeMap, BTreeSet};

use super::{Block, Blocked, FileStep, Input};
use crate::model::{Entry, Item, Role, Tree, VaultPath};

/// Items with at least one path that differs between any two of the three trees.
pub(super) fn moved(input: &Input) -> BTreeSet<Item> {
    let mut items = BTreeSet::new();
    for (one, other) in [(input.base, input.local), (input.base, input.remote)] {
        for path in differing(one, other) {
            items.insert(input.groups.item(path));
        }
    }
    items
}

/// Paths at which two trees differ, in order.
pub(super) fn differing<'a>(one: &'a Tree, other: &'a Tree) -> impl Iterator<Item = &'a VaultPath> {
    one.diff(other).map(|(path, _, _)| path)
}

/// One path in the three trees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) role: Role,
    pub(super) base: Option<Entry>,
    /// Version here, as it counts: None for one that is left out.
    pub(super) local: Option<Entry>,
    pub(super) remote: Option<Entry>,
    /// Version that stands on this disk.
    standing: Option<Entry>,
}

impl Member {
    pub(super) fn moved_here(&self) -> bool {
        self.base != self.local
    }

    pub(super) fn moved_there(&self) -> bool {
        self.base != self.remote
    }

    /// True if the local file has the later modification time. For
    /// [`crate::planted::Bug::WallClock`].
    pub(super) fn newer_here(&self) -> bool {
        self.local.zip(self.remote).is_some_and(|(local, remote)| local.mtime_ms > remote.mtime_ms)
    }

    pub(super) fn differs(&self) -> bool {
        self.local != self.remote
    }
}

/// All paths of one item. A single file is a view of one primary member.
#[derive(Debug)]
pub(super) struct View {
    pub(super) members: BTreeMap<VaultPath, Member>,
}

impl View {
    pub(super) fn of(input: &Input, item: &Item) -> Self {
        let member = |path: &VaultPath, role| Member {
            role,
            base: input.base.get(path).copied(),
            local: input.local.get(path).copied().filter(|_| !input.left_out.contains(path)),
            remote: input.remote.get(path).copied(),
            standing: input.local.get(path).copied(),
        };
        let members = match item {
            Item::File(path) => BTreeMap::from([(path.clone(), member(path, Role::Primary))]),
            Item::Group(name) => {
                let trees = [input.base, input.local, input.remote];
                let paths = trees.into_iter().flat_map(|tree| input.groups.members(name, tree));
                let role = |path| if input.groups.is_derived(path) { Role::Derived } else { Role::Primary };
                paths.map(|(path, _)| (path.clone(), member(path, role(path)))).collect()
            }
        };
        Self { members }
    }

    /// Why the item cannot be judged now: the first of its members that is blocked.
    pub(super) fn blocked<'b>(&self, blocked: &'b Blocked) -> Option<Block<'b>> {
        self.members.keys().find_map(|path| blocked.find(path))
    }

    /// True if a member of this role satisfies `test`.
    pub(super) fn any(&self, role: Role, test: fn(&Member) -> bool) -> bool {
        self.members.values().any(|member| member.role == role && test(member))
    }

    /// Changes that make the remote equal to the local side.
    pub(super) fn outgoing(&self) -> Vec<FileStep> {
        self.steps(|member| (member.remote, member.local))
    }

    /// Changes that make the local side equal to the remote. Members that were left out go: what
    /// comes is not what they were computed from.
    pub(super) fn incoming(&self) -> Vec<FileStep> {
        self.steps(|member| (member.standing, member.remote))
    }

    fn steps(&self, ends: fn(&Member) -> (Option<Entry>, Option<Entry>)) -> Vec<FileStep> {
        let step = |(path, member): (&VaultPath, &Member)| {
            let (from, to) = ends(member);
            (from != to).then(|| FileStep { path: path.clone(), from, to })
        };
        let mut steps: Vec<FileStep> = self.members.iter().filter_map(step).collect();
        // Most items are one file, and a first push has a step for each.
        steps.shrink_to_fit();
        steps
    }

    /// State of all members on one side.
    pub(super) fn side(&self, side: fn(&Member) -> Option<Entry>) -> Vec<(VaultPath, Option<Entry>)> {
        self.members.iter().map(|(path, member)| (path.clone(), side(member))).collect()
    }
}
