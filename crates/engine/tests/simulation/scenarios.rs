//! Short stories, each ending where one device is about to run a cycle: [`crate::crashes`] cuts
//! that cycle short everywhere.

use std::time::Duration;

use cogzy_engine::sync::Request;
use cogzy_testkit::rng::Rng;

use crate::attic;
use crate::chance::{content, group_update};
use crate::device::{DAY, Outcome, groups};
use crate::disk::{Kind, UserOp};
use crate::oracle::Check;
use crate::person::Asked;
use crate::prune;
use crate::store::RemoteFaults;
use crate::world::World;

/// An event. The number is the device's.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    Write(usize, &'static str),
    /// A file of several chunks.
    Large(usize, &'static str),
    /// The same bytes, whichever device writes them.
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
    /// More than a grace period.
    Weeks(u64),
    /// A cycle that comes to its end.
    Sync(usize),
    /// Cycles that run at the same time.
    Together(&'static [usize]),
    /// So many generations.
    Many(usize, usize),
    /// From now on all PUTs of this device arrive, but no answer comes back; or arrive later; or
    /// all is well again.
    LoseResponses(usize),
    DelayPuts(usize),
    Calm(usize),
    /// PUTs that are on their way arrive.
    Arrive,
    /// So many files of the attic are written; so many of those that are there are deleted.
    Fill(usize, usize),
    Thin(usize, usize),
    /// Displaced files stay in the trash for so many days.
    KeepTrash(usize, u32),
    /// A disk of its own is mounted inside the device's vault.
    Disk(usize),
    /// The user puts a link there.
    Link(usize, &'static str),
    /// The user moves a folder out of the vault, and puts a link in its place.
    LinkFolder(usize, &'static str),
    Exclude(usize),
    LoseDatabase(usize),
    LoseRecord(usize),
    Prune(usize),
    /// A person decides all that is held.
    Decide(usize, bool),
}

/// A story, and the device that is cut short after it.
pub struct Scenario {
    pub name: &'static str,
    pub devices: usize,
    pub before: &'static [Act],
    pub actor: usize,
    /// A wish that a person has of the actor. None for a cycle.
    pub asked: Option<Asked>,
}

impl Scenario {
    /// True if it is about old data.
    pub fn prunes(&self) -> bool {
        matches!(self.asked, Some(Asked::Prune))
    }
}

/// A world in which the story has been told.
pub async fn tell(
    scenario: &Scenario,
    kind: Kind,
    seed: u64,
    trace: crate::trace::Trace,
) -> Result<World, String> {
    let mut world = World::new(seed, &vec![kind; scenario.devices], trace);
    world.oracle.pruning = scenario.prunes();
    if scenario.prunes() {
        world.devices.iter_mut().for_each(|device| device.retention = prune::LITTLE);
    }
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
    use Act::{
        Arrive, Calm, Decide, DelayPuts, Delete, DeleteGroup, Disk, Exclude, Fill, Group, Index, KeepTrash,
        Large, Link, LinkFolder, LoseDatabase, LoseRecord, LoseResponses, Many, Open, Prune, Rename, Same,
        Seconds, Sync, Thin, Together, Weeks, Write, WriteOpen,
    };
    match act {
        Write(at, path) => world.user(at, &UserOp::Replace(path.into(), fresh(path))),
        Large(at, path) => {
            let mut bytes = vec![0; 90_000];
            let mut same = Rng::new(7);
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
        Weeks(weeks) => world.pass(u32::try_from(7 * weeks).unwrap() * DAY).await,
        Prune(at) => {
            world.devices[at].prune().await.ok_or("it cannot prune")?;
        }
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
        Disk(at) => world.devices[at].disk.site().mount_a_disk(),
        Link(at, path) => world.user(at, &UserOp::Link(path.into())),
        LinkFolder(at, path) => world.user(at, &UserOp::LinkFolder(path.into())),
        Fill(at, count) => {
            for path in attic::paths().take(count) {
                let bytes = fresh(&path);
                world.user(at, &UserOp::Replace(path, bytes));
            }
        }
        Thin(at, count) => thin(world, at, count),
        KeepTrash(at, days) => world.devices[at].keep_trash(days * DAY),
        Arrive => world.store.settle(),
        Exclude(at) => world.devices[at].set_exclude(vec!["cache/**".into(), "private/**".into()]),
        LoseDatabase(at) => world.devices[at].lose_database(),
        LoseRecord(at) => world.devices[at].lose_record(),
        Decide(at, approve) => decide(world, at, approve).await?,
    }
    Ok(())
}

fn thin(world: &mut World, at: usize, count: usize) {
    let there = world.devices[at].disk.site().files_below("attic");
    for (path, _) in there.into_iter().take(count) {
        world.user(at, &UserOp::Delete(path));
    }
}

async fn decide(world: &mut World, at: usize, approve: bool) -> Check {
    world.pass(Duration::from_secs(3)).await;
    let outcome = world.cycle(&[at], Request::FULL, true).await?.pop();
    let Some(Outcome::Done(report)) = outcome else { return Err(format!("{outcome:?}")) };
    if report.holds.is_empty() {
        return Err("nothing is held".into());
    }
    for hold in report.holds {
        world.devices[at].decide(&hold, approve).map_err(|error| error.to_string())?;
    }
    Ok(())
}
