//! Tests of the plan against the design: exhaustive tables, properties over random histories, and
//! the brakes.
//!
//! Expected results are derived in other terms than the code uses: a test that repeats the code
//! proves nothing.

mod batches;
mod brakes;
mod files;
mod groups;
mod mass;
mod merge;
mod moves;
mod names;
mod properties;
mod renamed;
mod reset;
mod slow;
mod together;
mod unfit;
mod waiting;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Action, Ages, Blocked, Brakes, Decisions, FileStep, Held, Hold, Input, Mode, Plan, Reason, Step, Unfit,
    plan,
};
use crate::model::{
    Conflict, ConflictId, Digest, Entry, Group, Groups, Item, Keep, Losses, Tree, Validate, VaultPath,
};

/// Owned inputs of a plan.
#[derive(Clone)]
struct Case {
    base: Tree,
    local: Tree,
    remote: Tree,
    groups: Groups,
    ages: BTreeMap<String, Ages>,
    blocked: Blocked,
    unfit: Unfit,
    left_out: BTreeSet<VaultPath>,
    together: Vec<BTreeSet<Item>>,
    mode: Mode,
    push_derived: bool,
    brakes: Option<Brakes>,
    decisions: Decisions,
    closed: BTreeMap<ConflictId, Keep>,
    held: Vec<Held>,
    regroup: Option<Hold>,
    losses: Losses,
}

impl Case {
    /// Creates the case of an ordinary device without groups or brakes.
    fn of(base: Tree, local: Tree, remote: Tree) -> Self {
        Self {
            base,
            local,
            remote,
            groups: Groups::default(),
            ages: BTreeMap::new(),
            blocked: Blocked::default(),
            unfit: Unfit::default(),
            left_out: BTreeSet::new(),
            together: Vec::new(),
            mode: Mode::Ordinary,
            push_derived: false,
            brakes: None,
            decisions: Decisions::default(),
            closed: BTreeMap::new(),
            held: Vec::new(),
            regroup: None,
            losses: Losses::new(),
        }
    }

    fn input(&self) -> Input<'_> {
        Input {
            base: &self.base,
            local: &self.local,
            remote: &self.remote,
            groups: &self.groups,
            ages: &self.ages,
            blocked: &self.blocked,
            unfit: &self.unfit,
            left_out: &self.left_out,
            together: &self.together,
            mode: self.mode,
            push_derived: self.push_derived,
            brakes: self.brakes,
            decisions: &self.decisions,
            closed: &self.closed,
            held: &self.held,
            regroup: self.regroup.as_ref(),
            losses: &self.losses,
        }
    }

    fn plan(&self) -> Plan {
        plan(&self.input())
    }

    /// The same case after its open holds are approved or rejected.
    fn decided(mut self, approve: bool) -> Self {
        let ids: Vec<_> = self.plan().holds.iter().map(|hold| hold.id).collect();
        assert!(!ids.is_empty(), "there is nothing to decide");
        let decisions = if approve { &mut self.decisions.approved } else { &mut self.decisions.rejected };
        decisions.extend(ids);
        self
    }
}

fn path(text: &str) -> VaultPath {
    VaultPath::new(text).unwrap()
}

fn file(text: &str) -> Item {
    Item::File(path(text))
}

fn group(name: &str) -> Item {
    Item::Group(name.to_owned())
}

/// Entry of a file that holds `content`.
fn entry(content: &str) -> Entry {
    sized(content, content.len() as u64)
}

/// Entry with a chosen size: the planner never reads bytes.
fn sized(content: &str, size: u64) -> Entry {
    Entry { digest: Digest::of(content.as_bytes()), size, mtime_ms: 0, mode: 0o644, rows: None }
}

/// The same entry with another time and mode, which never count as a change.
fn touched(entry: Entry, by: i64) -> Entry {
    Entry { mtime_ms: entry.mtime_ms + by, mode: 0o600, ..entry }
}

fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(name, content)| (path(name), entry(content))).collect()
}

/// Tree of `count` files below a folder, all with the same content.
fn many(folder: &str, count: usize, content: &str) -> Tree {
    (0..count).map(|n| (path(&format!("{folder}/{n:03}.json")), entry(content))).collect()
}

fn groups_of(definitions: &[(&str, &[&str], &[&str])]) -> Groups {
    let owned = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let one = |(name, primary, derived): &(&str, &[&str], &[&str])| Group {
        name: (*name).to_owned(),
        primary: owned(primary),
        derived: owned(derived),
        validate: Validate::Off,
    };
    Groups::new(definitions.iter().map(one).collect()).unwrap()
}

/// Groups with a corpus, its vectors and an index.
fn nodes() -> Groups {
    groups_of(&[("nodes", &["nodes.json", "nodes.npy"], &["index/*"])])
}

fn step<'a>(plan: &'a Plan, item: &Item) -> Option<&'a Step> {
    plan.steps.iter().find(|step| step.item == *item)
}

fn kept(step: &Step) -> Option<&Conflict> {
    match &step.action {
        Action::Conflict(conflict) => Some(conflict),
        _ => None,
    }
}

/// Applies a step's files to a tree. Each must be as the step expects, else the step was made for
/// another tree.
fn apply(tree: &mut Tree, files: &[FileStep]) {
    for FileStep { path, from, to } in files {
        assert_eq!(tree.get(path), from.as_ref(), "{path} is not what the step replaces");
        assert_ne!(from, to, "{path} does not change in this step");
        match to {
            Some(entry) => tree.insert(path.clone(), *entry),
            None => tree.remove(path),
        };
    }
}

/// Finds a file at a path that another path of the tree needs as a folder.
fn file_as_folder(tree: &Tree) -> Option<&VaultPath> {
    tree.keys().find(|path| path.folders().any(|folder| tree.contains_key(&self::path(folder))))
}

/// Finds two paths that differ only in letter case.
fn twins(tree: &Tree) -> Option<&VaultPath> {
    let mut keys = BTreeSet::new();
    tree.keys().find(|path| !keys.insert(path.fold_key()))
}
