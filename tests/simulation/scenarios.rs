//! Short stories, each ending where one device is about to run a cycle: [`crate::crashes`] cuts that cycle short everywhere.

use std::time::Duration;

use cogzy_vault::sync::Request;

use crate::chance::{content, group_update};
use crate::device::{Outcome, groups};
use crate::disk::{Kind, UserOp};
use crate::oracle::Check;
use crate::store::RemoteFaults;
use crate::world::World;

/// One thing that happens. The number is the device's.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Write(usize, &'static str),
    /// A file of several chunks.
    Large(usize, &'static str),
    /// The same bytes, whoever writes them.
    Same(usize, &'static str),
    Group(usize, &'static str),
    Index(usize),
    Delete(usize, &'static str),
    DeleteGroup(usize, &'static str),
    Rename(usize, &'static str, &'static str),
    /// A program opens a file; later it writes to it.
    Open(usize, &'static str),
    WriteOpen(usize),
    Seconds(u64),
    /// A cycle that comes to its end.
    Sync(usize),
    /// Cycles that run at the same time.
    Together(&'static [usize]),
    /// So many generations.
    Many(usize, usize),
    /// From now on all PUTs of this device arrive, but no answer comes back; or arrive later; or all is well again.
    LoseResponses(usize),
    DelayPuts(usize),
    Calm(usize),
    /// PUTs that are on their way arrive.
    Arrive,
    Exclude(usize),
    LoseDatabase(usize),
    LoseRecord(usize),
    /// A person decides all that is held.
    Decide(usize, bool),
}

/// A story, and who is cut short after it.
pub struct Scenario {
    pub name: &'static str,
    pub devices: usize,
    pub before: &'static [Act],
    pub actor: usize,
}

const fn story(name: &'static str, devices: usize, actor: usize, before: &'static [Act]) -> Scenario {
    Scenario { name, devices, before, actor }
}

use Act::{
    Arrive, Calm, Decide, DelayPuts, Delete, DeleteGroup, Exclude, Group, Index, Large, LoseDatabase,
    LoseRecord, LoseResponses, Many, Open, Rename, Same, Seconds, Sync, Together, Write, WriteOpen,
};

const A: &str = "traces/a.json";
const B: &str = "traces/b.json";
const C: &str = "traces/deep/c.json";
const NODES: &str = "nodes";

pub const ALL: &[Scenario] = &[
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
    story("a checkpoint", 1, 0, &[Many(0, 31), Write(0, A), Seconds(3)]),
];

/// A world in which the story has been told.
pub async fn tell(
    scenario: &Scenario,
    kind: Kind,
    seed: u64,
    trace: crate::trace::Trace,
) -> Result<World, String> {
    let mut world = World::new(seed, &vec![kind; scenario.devices], trace);
    for act in scenario.before {
        perform(&mut world, *act).await.map_err(|why| format!("before, at {act:?}: {why}"))?;
    }
    Ok(world)
}

async fn perform(world: &mut World, act: Act) -> Check {
    let versions = world.oracle.versions.clone();
    let mut rng = world.rng.clone();
    let mut fresh = |path: &str| {
        let number = versions.fresh();
        let bytes = format!("{path} {number} {}\n", ".".repeat(200 + rng.below(100))).into_bytes();
        versions.add(&bytes, None);
        bytes
    };
    match act {
        Write(at, path) => world.user(at, &UserOp::Replace(path.into(), fresh(path))),
        Large(at, path) => {
            let mut bytes = vec![0; 90_000];
            let mut same = crate::rng::Rng::new(7);
            bytes.iter_mut().for_each(|byte| *byte = u8::try_from(same.below(256)).unwrap());
            bytes.extend(fresh(path));
            versions.add(&bytes, None);
            world.user(at, &UserOp::Replace(path.into(), bytes));
        }
        Same(at, path) => {
            let bytes = format!("the same in {path}\n").into_bytes();
            versions.add(&bytes, None);
            world.user(at, &UserOp::Replace(path.into(), bytes));
        }
        Group(at, name) => world.user(at, &group_update(&mut world.rng.clone(), &versions, name)),
        Index(at) => {
            let bytes = content(&mut world.rng.clone(), &versions, None, "indexes/faiss.index");
            world.user(at, &UserOp::Replace("indexes/faiss.index".into(), bytes));
        }
        Delete(at, path) => world.user(at, &UserOp::Delete(path.into())),
        DeleteGroup(at, name) => {
            let group = groups().into_iter().find(|group| group.name == name).ok_or("no such group")?;
            world.user(at, &UserOp::DeleteTogether(group.primary));
        }
        Rename(at, from, to) => world.user(at, &UserOp::RenameFolder(from.into(), to.into())),
        Open(at, path) => world.user(at, &UserOp::Hold(path.into())),
        WriteOpen(at) => world.user(at, &UserOp::WriteHeld(b"late\n".to_vec())),
        Seconds(seconds) => world.pass(Duration::from_secs(seconds)).await,
        Sync(at) => drop(world.cycle(&[at], Request::FULL, true).await?),
        Together(which) => drop(world.cycle(which, Request::FULL, true).await?),
        Many(at, count) => {
            for _ in 0..count {
                let bytes = fresh("notes/x.txt");
                world.user(at, &UserOp::Replace("notes/x.txt".into(), bytes));
                world.pass(Duration::from_secs(3)).await;
                let outcome = world.cycle(&[at], Request::FULL, true).await?.pop();
                let Some(Outcome::Done(_)) = outcome else { return Err(format!("{outcome:?}")) };
            }
        }
        LoseResponses(at) => world.fault(at, RemoteFaults { lost_response: 100, ..RemoteFaults::default() }),
        DelayPuts(at) => world.fault(at, RemoteFaults { late_commits: true, ..RemoteFaults::default() }),
        Calm(at) => world.fault(at, RemoteFaults::default()),
        Arrive => world.store.settle(),
        Exclude(at) => world.devices[at].set_exclude(vec!["cache/**".into(), "private/**".into()]),
        LoseDatabase(at) => world.devices[at].lose_database(),
        LoseRecord(at) => world.devices[at].lose_record(),
        Decide(at, approve) => {
            world.pass(Duration::from_secs(3)).await;
            let outcome = world.cycle(&[at], Request::FULL, true).await?.pop();
            let Some(Outcome::Done(report)) = outcome else { return Err(format!("{outcome:?}")) };
            if report.holds.is_empty() {
                return Err("nothing is held".into());
            }
            for hold in report.holds {
                world.devices[at].decide(hold.id, approve).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}
