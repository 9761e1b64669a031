//! The stories that [`crate::crashes`] cuts short.

mod asked;

use std::sync::LazyLock;

use crate::scenarios::Act::{
    Arrive, Calm, Decide, DelayPuts, Delete, DeleteGroup, Exclude, Group, Index, Large, Link, LoseDatabase,
    LoseRecord, LoseResponses, Many, Open, Rename, Same, Seconds, Sync, Together, Write, WriteOpen,
};
use crate::scenarios::{Act, Scenario};

const fn story(name: &'static str, devices: usize, actor: usize, before: &'static [Act]) -> Scenario {
    Scenario { name, devices, before, actor, asked: None }
}

const A: &str = "traces/a.json";
const B: &str = "traces/b.json";
const C: &str = "traces/deep/c.json";
const NODES: &str = "nodes";

/// All stories; one is named by its place.
pub static ALL: LazyLock<Vec<&Scenario>> = LazyLock::new(|| SYNCED.iter().chain(asked::ASKED).collect());

/// Stories that a quick run follows: their crashes reach every kind of effect that others do.
const TELLING: [&str; 10] = [
    "the first device makes the vault",
    "an empty device joins",
    "pull of a file",
    "pull of a file where a folder was",
    "conflict over a file",
    "a write to a file that was displaced",
    "a trash whose time is over",
    "a checkpoint",
    "a conflict of which both are kept",
    "a prune that sweeps and deletes",
];

/// The places of all stories.
pub fn every() -> Vec<usize> {
    (0..ALL.len()).collect()
}

/// The places of those stories that together cut short most kinds of effects.
pub fn telling() -> Vec<usize> {
    let place = |name: &&str| ALL.iter().position(|story| story.name == *name).unwrap();
    TELLING.iter().map(place).collect()
}

const SYNCED: &[Scenario] = &[
    story("the first device makes the vault", 1, 0, &[Write(0, A), Group(0, NODES), Seconds(3)]),
    story("push of a file", 1, 0, &[Sync(0), Write(0, A), Seconds(3)]),
    story("push of a large file", 1, 0, &[Sync(0), Large(0, A), Seconds(3)]),
    story("push of a group", 1, 0, &[Group(0, NODES), Seconds(3), Sync(0), Group(0, NODES), Seconds(3)]),
    story(
        "push of a delete",
        1,
        0,
        &[Write(0, A), Write(0, B), Seconds(3), Sync(0), Delete(0, A), Seconds(3)],
    ),
    story(
        "push of a renamed folder",
        1,
        0,
        &[Write(0, C), Seconds(3), Sync(0), Rename(0, "traces/deep", "notes"), Seconds(3)],
    ),
    story("an empty device joins", 2, 1, &[Write(0, A), Group(0, NODES), Seconds(3), Sync(0)]),
    story(
        "a full device joins",
        2,
        1,
        &[
            Write(0, A),
            Group(0, NODES),
            Same(0, B),
            Write(1, A),
            Group(1, NODES),
            Same(1, B),
            Write(1, C),
            Seconds(3),
            Sync(0),
        ],
    ),
    story(
        "pull of a file",
        2,
        1,
        &[Write(0, A), Seconds(3), Sync(0), Sync(1), Write(0, A), Write(0, B), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a large file",
        2,
        1,
        &[Large(0, A), Seconds(3), Sync(0), Sync(1), Large(0, A), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a group",
        2,
        1,
        &[Group(0, NODES), Seconds(3), Sync(0), Sync(1), Group(0, NODES), Index(0), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a delete",
        2,
        1,
        &[Write(0, C), Write(0, A), Seconds(3), Sync(0), Sync(1), Delete(0, C), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a renamed folder",
        2,
        1,
        &[Write(0, C), Seconds(3), Sync(0), Sync(1), Rename(0, "traces/deep", "notes"), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a file where a folder was",
        2,
        1,
        &[Write(0, C), Seconds(3), Sync(0), Sync(1), Write(0, "traces/deep"), Seconds(3), Sync(0)],
    ),
    story(
        "pull of a folder where a file was",
        2,
        1,
        &[Write(0, "traces/deep"), Seconds(3), Sync(0), Sync(1), Write(0, C), Seconds(3), Sync(0)],
    ),
    story(
        "conflict over a file",
        2,
        1,
        &[Write(0, A), Seconds(3), Sync(0), Sync(1), Write(0, A), Write(1, A), Seconds(3), Sync(0)],
    ),
    story(
        "conflict over a group",
        2,
        1,
        &[
            Group(0, NODES),
            Index(0),
            Seconds(3),
            Sync(0),
            Sync(1),
            Group(0, NODES),
            Group(1, NODES),
            Seconds(3),
            Sync(0),
        ],
    ),
    story(
        "deleted here, changed there",
        2,
        1,
        &[Write(0, A), Seconds(3), Sync(0), Sync(1), Write(0, A), Delete(1, A), Seconds(3), Sync(0)],
    ),
    story(
        "changed here, deleted there",
        2,
        1,
        &[
            Write(0, A),
            Write(0, B),
            Seconds(3),
            Sync(0),
            Sync(1),
            Delete(0, A),
            Write(1, A),
            Seconds(3),
            Sync(0),
        ],
    ),
    story(
        "the same edit on both sides",
        2,
        1,
        &[Write(0, A), Seconds(3), Sync(0), Sync(1), Same(0, A), Same(1, A), Seconds(3), Sync(0)],
    ),
    story(
        "rebuilt indexes on both sides",
        2,
        1,
        &[Group(0, NODES), Index(0), Seconds(3), Sync(0), Sync(1), Index(0), Index(1), Seconds(3), Sync(0)],
    ),
    story(
        "merge of a fork",
        3,
        2,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Sync(2),
            Write(0, A),
            Write(1, B),
            DelayPuts(1),
            Seconds(3),
            Sync(1),
            Calm(1),
            Sync(0),
            Arrive,
        ],
    ),
    story(
        "merge of a fork with a conflict",
        3,
        2,
        &[
            Group(0, NODES),
            Seconds(3),
            Sync(0),
            Sync(1),
            Sync(2),
            Group(0, NODES),
            Group(1, NODES),
            DelayPuts(1),
            Seconds(3),
            Sync(1),
            Calm(1),
            Sync(0),
            Arrive,
        ],
    ),
    story(
        "merge of three heads",
        4,
        3,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Sync(2),
            Sync(3),
            Write(0, A),
            Write(1, B),
            Write(2, C),
            DelayPuts(1),
            DelayPuts(2),
            Seconds(3),
            Sync(1),
            Sync(2),
            Sync(0),
            Calm(1),
            Calm(2),
            Arrive,
        ],
    ),
    story(
        "two commits at the same instant",
        2,
        0,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(0, A),
            Write(1, B),
            Seconds(3),
            Together(&[0, 1]),
            Write(0, A),
            Write(1, A),
            Seconds(3),
            Sync(1),
        ],
    ),
    story(
        "two devices make the vault at once",
        2,
        0,
        &[Write(0, A), Write(1, B), Seconds(3), Together(&[0, 1])],
    ),
    story(
        "a commit that arrives late",
        2,
        0,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(1, B),
            DelayPuts(1),
            Seconds(3),
            Sync(1),
            Many(0, 3),
            Arrive,
        ],
    ),
    story(
        "a commit whose response was lost",
        1,
        0,
        &[Write(0, A), Seconds(3), Sync(0), Write(0, A), LoseResponses(0), Seconds(3), Sync(0), Calm(0)],
    ),
    story(
        "a database that was lost",
        2,
        1,
        &[
            Write(0, A),
            Group(0, NODES),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(0, A),
            Write(1, B),
            Seconds(3),
            Sync(0),
            LoseDatabase(1),
        ],
    ),
    story(
        "a record that was lost",
        2,
        1,
        &[
            Write(0, A),
            Write(0, B),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(0, A),
            Write(1, B),
            Seconds(3),
            Sync(0),
            LoseRecord(1),
        ],
    ),
    story(
        "a filter that hides synced files",
        1,
        0,
        &[Write(0, "private/p.txt"), Write(0, A), Seconds(3), Sync(0), Exclude(0), Sync(0), Decide(0, true)],
    ),
    story(
        "a held deletion that is approved",
        2,
        0,
        &[
            Group(0, NODES),
            Seconds(3),
            Sync(0),
            Sync(1),
            DeleteGroup(0, NODES),
            Seconds(3),
            Sync(0),
            Decide(0, true),
        ],
    ),
    story(
        "a held deletion that is rejected",
        2,
        1,
        &[
            Group(0, NODES),
            Seconds(3),
            Sync(0),
            Sync(1),
            DeleteGroup(0, NODES),
            Seconds(3),
            Sync(0),
            Decide(0, true),
            Sync(0),
            Sync(1),
            Decide(1, false),
        ],
    ),
    story(
        "a write to a file that was displaced",
        2,
        1,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Open(1, A),
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            WriteOpen(1),
            Seconds(3),
        ],
    ),
    story(
        "a trash whose time is over",
        2,
        1,
        &[
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(0, A),
            Seconds(3),
            Sync(0),
            Sync(1),
            Seconds(3),
            Sync(1),
            Seconds(40 * 24 * 3600),
        ],
    ),
    story(
        "a link where a folder was",
        2,
        1,
        &[
            Write(0, C),
            Seconds(3),
            Sync(0),
            Sync(1),
            Link(1, "traces/deep"),
            Write(0, C),
            Seconds(3),
            Sync(0),
        ],
    ),
    story("a checkpoint", 1, 0, &[Many(0, 31), Write(0, A), Seconds(3)]),
];
