//! Content that leaves one name and arrives under another: it moves and is not lost.
//!
//! A new name takes one content that left, so that one copy does not excuse many deletions. A file
//! that moves to the name of a derived member is lost: it would be computed again. A name that has
//! not settled cannot be sent yet; the deletion of its old name waits for it, or a renamed folder
//! would first pass for a deleted one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Hold, Input, Step, Waiting};
use crate::model::{Content, Entry, Groups, Item, VaultPath};

/// Names that content left, and names that it arrived under.
#[derive(Debug, Default)]
pub(super) struct Moves<'a> {
    pub(super) left: BTreeSet<&'a VaultPath>,
    pub(super) arrived: BTreeSet<&'a VaultPath>,
}

/// Names by the content that left them, each list in the order of the plan.
struct Stock<'a> {
    groups: &'a Groups,
    /// True for the contents of derived members.
    names: BTreeMap<(bool, Content), VecDeque<&'a VaultPath>>,
}

impl<'a> Moves<'a> {
    /// Matches contents that the steps delete, and those that went `before`, with contents that
    /// arrive.
    pub(super) fn of(
        groups: &'a Groups,
        steps: &[&'a Step],
        before: impl Iterator<Item = (&'a VaultPath, Entry)>,
    ) -> Self {
        let mut stock = Stock::of(groups, deletions(steps).chain(before));
        let mut moves = Self::default();
        for (path, entry) in arrivals(steps) {
            if let Some(left) = stock.take(path, entry) {
                moves.left.insert(left);
                moves.arrived.insert(path);
            }
        }
        moves
    }
}

/// Removes deletions from the plan whose content stands under a name that has not settled yet, or
/// that waits for another item or for a person. They wait too. True if there were any.
pub(super) fn wait_for_names(
    input: &Input,
    steps: &mut BTreeMap<Item, Step>,
    waiting: &mut Vec<Waiting>,
    holds: &[Hold],
) -> bool {
    let outgoing: Vec<&Step> = steps.values().filter(|step| step.outgoing()).collect();
    let mut stock = Stock::of(input.groups, deletions(&outgoing));
    for (path, entry) in arrivals(&outgoing) {
        stock.take(path, entry);
    }
    if stock.names.is_empty() {
        return false;
    }
    let mut stopped = Vec::new();
    let mut claimed = claimed(input, waiting);
    let held = holds.iter().flat_map(|hold| &hold.items).flat_map(|item| names_of(input, item));
    let names: BTreeSet<&VaultPath> =
        input.blocked.paths.keys().chain(waiting.iter().filter_map(of_file)).chain(held).collect();
    for name in names {
        let here = input.local.get(name).filter(|entry| input.base.get(name) != Some(*entry));
        let Some(entry) = here.filter(|entry| claimed.take(name, **entry).is_none()) else { continue };
        if let Some(path) = stock.take(name, *entry) {
            let unsettled = input.blocked.find(name).is_some();
            let why = if unsettled { "has not settled yet" } else { "waits itself" };
            let why = format!("{path}: its content stands under {name}, which {why}");
            stopped.push(Waiting::of(input.groups.item(path), why));
        }
    }
    stopped.retain(|wait| steps.remove(&wait.item).is_some());
    let any = !stopped.is_empty();
    waiting.extend(stopped);
    any
}

/// Contents of deletions that wait already: each waits for one name.
fn claimed<'a>(input: &Input<'a>, waiting: &'a [Waiting]) -> Stock<'a> {
    let gone = waiting.iter().filter_map(of_file).filter(|path| !input.local.contains_key(*path));
    Stock::of(input.groups, gone.filter_map(|path| Some((path, *input.base.get(path)?))))
}

/// Names of an item that stand here.
fn names_of<'a>(input: &Input<'a>, item: &'a Item) -> Vec<&'a VaultPath> {
    match item {
        Item::File(path) => vec![path],
        Item::Group(name) => input.groups.members(name, input.local).map(|(path, _)| path).collect(),
    }
}

fn of_file(waiting: &Waiting) -> Option<&VaultPath> {
    match &waiting.item {
        Item::File(path) => Some(path),
        Item::Group(_) => None,
    }
}

impl<'a> Stock<'a> {
    fn of(groups: &'a Groups, leaving: impl Iterator<Item = (&'a VaultPath, Entry)>) -> Self {
        let mut stock = Self { groups, names: BTreeMap::new() };
        for (path, entry) in leaving {
            stock.names.entry(stock.key(path, entry)).or_default().push_back(path);
        }
        stock
    }

    fn key(&self, path: &VaultPath, entry: Entry) -> (bool, Content) {
        (self.groups.is_derived(path), entry.content())
    }

    /// Takes a name that the content left which arrives as `path`.
    fn take(&mut self, path: &VaultPath, entry: Entry) -> Option<&'a VaultPath> {
        let key = self.key(path, entry);
        let names = self.names.get_mut(&key)?;
        let first = names.pop_front();
        if names.is_empty() {
            self.names.remove(&key);
        }
        first
    }
}

fn deletions<'a>(steps: &[&'a Step]) -> impl Iterator<Item = (&'a VaultPath, Entry)> {
    let gone = steps.iter().flat_map(|step| &step.files).filter(|file| file.to.is_none());
    gone.filter_map(|file| Some((&file.path, file.from?)))
}

fn arrivals<'a>(steps: &[&'a Step]) -> impl Iterator<Item = (&'a VaultPath, Entry)> {
    let all = steps.iter().flat_map(|step| &step.files);
    all.filter(|file| file.from != file.to).filter_map(|file| Some((&file.path, file.to?)))
}
