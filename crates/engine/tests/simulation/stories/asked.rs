//! Stories at whose end a person asks for something.

use cogzy_engine::model::Keep;

use super::{A, B, C, NODES};
use crate::person::Asked;
use crate::scenarios::Act::{
    Arrive, Calm, DelayPuts, Delete, Group, Large, Prune, Same, Seconds, Sync, Weeks, Write,
};
use crate::scenarios::{Act, Scenario};

const fn asked(
    name: &'static str,
    devices: usize,
    actor: usize,
    before: &'static [Act],
    asked: Asked,
) -> Scenario {
    Scenario { name, devices, before, actor, asked: Some(asked) }
}

/// Two states of a group, of a file, and a file that is gone.
const PAST: &[Act] = &[
    Write(0, A),
    Write(0, B),
    Group(0, NODES),
    Seconds(3),
    Sync(0),
    Write(0, A),
    Delete(0, B),
    Group(0, NODES),
    Seconds(3),
    Sync(0),
];

/// Both devices have written the same; the second one's version has lost.
const LOST: &[Act] = &[
    Write(0, A),
    Group(0, NODES),
    Seconds(3),
    Sync(0),
    Sync(1),
    Group(0, NODES),
    Group(1, NODES),
    Seconds(3),
    Sync(0),
    Sync(1),
];

/// A pack that nothing needs any more, marked for long enough.
const MARKED: &[Act] = &[
    Write(0, A),
    Group(0, NODES),
    Seconds(3),
    Sync(0),
    Write(0, A),
    Group(0, NODES),
    Seconds(3),
    Sync(0),
    Weeks(2),
    Prune(0),
    Weeks(2),
];

/// The same pack before it was marked.
const FORGOTTEN: &[Act] = MARKED.split_at(MARKED.len() - 2).0;

pub const ASKED: &[Scenario] = &[
    asked("a restore of everything", 1, 0, PAST, Asked::Restore(1)),
    asked("taking back a generation", 1, 0, PAST, Asked::Undo(2, false)),
    asked("a conflict decided for what lost", 2, 1, LOST, Asked::Resolve(0, Keep::Mine)),
    asked("a conflict of which both are kept", 2, 1, LOST, Asked::Resolve(0, Keep::Both)),
    asked("a conflict decided for what stands", 2, 1, LOST, Asked::Resolve(0, Keep::Remote)),
    asked(
        "a reset over unsent edits",
        2,
        1,
        &[
            Write(0, A),
            Group(0, NODES),
            Seconds(3),
            Sync(0),
            Sync(1),
            Write(1, A),
            Group(1, NODES),
            Write(1, B),
            Group(0, NODES),
            Seconds(3),
            Sync(0),
        ],
        Asked::Reset,
    ),
    asked("a prune that marks", 1, 0, FORGOTTEN, Asked::Prune),
    asked("a prune that sweeps and deletes", 1, 0, MARKED, Asked::Prune),
    asked(
        "a prune that moves what is left of a pack",
        2,
        0,
        &[
            Large(0, A),
            Large(0, B),
            Write(0, C),
            Seconds(3),
            Sync(0),
            Delete(0, A),
            Delete(0, B),
            Seconds(3),
            Sync(0),
            Sync(1),
            Weeks(2),
        ],
        Asked::Prune,
    ),
    asked(
        "a prune beside a commit that relies on what it sweeps",
        2,
        0,
        &[
            Write(0, A),
            Same(0, B),
            Seconds(3),
            Sync(0),
            Sync(1),
            Delete(0, B),
            Seconds(3),
            Sync(0),
            Weeks(2),
            DelayPuts(1),
            Same(1, C),
            Same(1, B),
            Write(1, A),
            Seconds(3),
            Sync(1),
            Prune(0),
            Weeks(2),
            Calm(1),
            Arrive,
        ],
        Asked::Prune,
    ),
];
