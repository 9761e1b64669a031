//! Names that a run must have reached: a fault, or an arm of the plan, that never came up has not
//! been tested.

use std::collections::BTreeSet;

use crate::trace::Marks;

/// Reached by fifty worlds in which old data is pruned.
pub const PRUNES: &[&str] =
    &["prune: marked", "prune: repacked", "prune: freed", "nap before put packs", "nap before put commits"];

/// Reached by fifty worlds with an adversary.
pub const ADVERSARIES: &[&str] = &[
    "adversary: bomb",
    "adversary: checkpoint",
    "adversary: damage",
    "adversary: delete",
    "adversary: horizon",
    "adversary: junk",
    "adversary: mark",
    "adversary: poison",
    "adversary: recipe",
    "adversary: repeat",
    "adversary: replay",
    "adversary: sweep",
    "adversary: unmark",
    "adversary: withhold",
];

/// Reached by fifty worlds of memories.
pub const MEMORIES: &[&str] =
    &["memories: a clash waits", "memories: a log grows", "memories: a log merged", "memories: all merged"];

/// Reached by three hundred seeds together with the crashes of a few stories.
pub const OFTEN: &[&str] = &[
    "attic: Delete",
    "attic: Encrypt",
    "attic: Move",
    "attic: Overwrite",
    "clock jump",
    "clock jump of 60 days",
    "a group that does not fit together is held back",
    "a memory is saved without its index",
    "cycle ends: again",
    "cycle ends: corrupt",
    "cycle ends: offline",
    "cycle ends: refused",
    "database lost",
    "device: never comes back",
    "disk error",
    "disk full",
    "disk read-only",
    "disk unmounted",
    "edit in the middle of a cycle",
    "filter changed",
    "hold approved",
    "hold rejected",
    "kill -9",
    "mount: another disk",
    "mount: away",
    "mount: back",
    "mount: busy",
    "person: reset",
    "person: resolve",
    "person: restore",
    "person: undo",
    "pipeline: came to its end",
    "pipeline: in the middle of a cycle",
    "pipeline: killed in between",
    "power cut",
    "record lost",
    "reference lost",
    "remote: flipped bit",
    "remote: late PUT",
    "remote: lost response",
    "remote: offline",
    "remote: refused (403, 429, 503)",
    "remote: rolled back",
    "remote: stale listing",
    "remote: truncated body",
    "root: missing",
    "root: replaced",
    "user: a folder becomes a link",
    "user: append",
    "user: chmod",
    "user: delete",
    "user: edit that keeps size and time",
    "user: folder delete",
    "user: folder rename",
    "user: group delete",
    "user: group update",
    "user: open",
    "user: rename of case alone",
    "user: rewrite in place",
    "user: symbolic link",
    "user: temp + rename",
    "user: write to an open file",
    "scan: some places",
    "watcher: missed a change",
    "plan: adopt a file",
    "plan: adopt a group",
    "plan: conflict a file",
    "plan: conflict a group",
    "plan: keep local a group",
    "plan: pull a file",
    "plan: pull a group",
    "plan: push a file",
    "plan: push a group",
    "plan: waiting",
    "plan: held Differs Incoming",
    "plan: held Filter Outgoing",
    "plan: held GroupLoss Incoming",
    "plan: held GroupLoss Outgoing",
    "plan: held MassChange Outgoing",
    "plan: approved GroupLoss Outgoing",
    "plan: rejected GroupLoss Outgoing",
];

/// Reached by two thousand seeds together with the crashes of all stories.
pub const SELDOM: &[&str] = &[
    "person: prune",
    "plan: held MassChange Incoming",
    "plan: held MassDelete Incoming",
    "plan: held MassDelete Outgoing",
    "plan: rejected GroupLoss Incoming",
];

/// An effect that came up so many times must have been cut short, too.
const MANY: u64 = 1_000;

/// Names that should have been reached and were not: these lists, and a crash before every kind of
/// effect that came up [`MANY`] times.
pub fn missing(marks: &Marks, reached: &[&[&str]]) -> BTreeSet<String> {
    let required = reached.iter().copied().flatten().map(|name| (*name).to_owned());
    let often = marks.iter().filter(|(_, times)| **times >= MANY);
    let effects = often.filter_map(|(name, _)| name.strip_prefix("effect: "));
    let crashes = effects.map(|effect| format!("crash before: {effect}"));
    required.chain(crashes).filter(|name| !marks.contains_key(name.as_str())).collect()
}
