//! Pipelines: a program on each device that writes a corpus, and only some time later its vectors
//! and its index; now and then it is killed in between. Other actors write their groups at once;
//! this one tests the looks into groups.
//!
//! Each run has a count of its own, so files fit together exactly if they are of one run.

use std::collections::BTreeMap;
use std::time::Duration;

use cogzy_engine::model::{Digest, Group, Validate};
use cogzy_engine::sync::{Request, Weight};
use cogzy_testkit::memory;
use cogzy_testkit::rng::Rng;

use crate::disk::{Site, UserOp};
use crate::ledger::Versions;
use crate::oracle::Check;
use crate::trace::Trace;
use crate::world::World;

/// The files of the group, in the order in which they are written.
const MEMBERS: [&str; 3] = ["memory/nodes.json", "memory/nodes.npy", "memory/nodes.index"];

/// Time for which a group may be invalid on a device.
pub const MAX_INVALID: Duration = Duration::from_secs(300);

/// Time for which an index is waited for at the least: half of it, for the engine may see some
/// requests earlier than the oracle that an index is missing.
const TIME_FOR_AN_INDEX: i64 = MAX_INVALID.as_nanos() as i64 / 2;

/// One seed in so many has pipelines.
const ONE_SEED_IN: u64 = 4;

/// The group that is looked into.
pub fn group() -> Group {
    Group {
        name: "memory".into(),
        primary: MEMBERS[..2].iter().map(ToString::to_string).collect(),
        derived: vec!["memory/*.index".into()],
        validate: Validate::Enforce,
    }
}

pub fn is_member(path: &str) -> bool {
    MEMBERS.contains(&path)
}

/// The groups of the default configuration, in which noise is written, and one that is looked into.
pub fn groups() -> Vec<Group> {
    let noise = |name: &str, primary: [&str; 2], derived: &[&str]| Group {
        name: name.into(),
        primary: primary.map(str::to_owned).to_vec(),
        derived: derived.iter().map(|&glob| glob.to_owned()).collect(),
        validate: Validate::Off,
    };
    vec![
        noise("nodes", ["corpus/nodes.json", "vectors/nodes.npy"], &["indexes/**"]),
        noise("episodes", ["corpus/episodes.json", "vectors/episodes.npy"], &[]),
        group(),
    ]
}

/// No two files of the group are of different counts.
pub fn check(files: &BTreeMap<String, Digest>, versions: &Versions) -> Check {
    let of_path = |path: &&str| Some((path.to_string(), versions.state_of(files.get(*path)?)?));
    let counts: BTreeMap<String, u64> = MEMBERS.iter().filter_map(of_path).collect();
    let mut all = counts.values();
    let first = all.next();
    if all.all(|count| Some(count) == first) {
        return Ok(());
    }
    Err(format!("a memory does not fit together: {counts:?}"))
}

/// Marks what becomes of a group that does not fit together.
pub fn mark(trace: &Trace, weight: Weight) {
    match weight {
        Weight::Invalid => trace.mark("a group that does not fit together is held back"),
        Weight::Stale => trace.mark("a memory is saved without its index"),
        _ => {}
    }
}

/// The primary members among these files of the group.
fn without_index(files: &BTreeMap<String, Digest>) -> BTreeMap<String, Digest> {
    let primary = |path: &&str| Some(((*path).to_owned(), *files.get(*path)?));
    MEMBERS[..2].iter().filter_map(primary).collect()
}

/// True if a memory that its program `left` lacks only its index, the program had its time to
/// compute it, and the rest is `saved`, in a commit or in a conflict that has yet to be sent: then
/// what comes may displace it like any other.
pub fn saved_without_index(
    left: &BTreeMap<String, Digest>,
    site: &Site,
    now_ns: i64,
    saved: impl Fn(&Digest) -> bool,
) -> bool {
    let primary = without_index(left);
    let fits = !primary.is_empty() && check(&primary, &site.ledger.versions).is_ok();
    let had_time = site.ledger.index_missing_since.is_some_and(|since| now_ns - since >= TIME_FOR_AN_INDEX);
    fits && had_time && primary.values().all(saved)
}

/// Notes the first time at which a memory here lacks its index and nothing else. Later ones count
/// from then, too: an app that computes no index is not waited for with each memory.
pub fn note_missing_index(site: &mut Site, now_ns: i64) {
    let here = here(site);
    let fits = |files| check(files, &site.ledger.versions).is_ok();
    if !fits(&here) && fits(&without_index(&here)) {
        site.ledger.index_missing_since.get_or_insert(now_ns);
    }
}

fn here(site: &Site) -> BTreeMap<String, Digest> {
    let there = |path: &&str| Some(((*path).to_owned(), site.digest(site.file(path)?)));
    MEMBERS.iter().filter_map(there).collect()
}

/// The group as a user's program has left it on a disk. None if it fits together; else the files as
/// they were left, or no file if the engine was in the middle of an apply.
pub fn left_half_written(site: &Site, versions: &Versions) -> Option<BTreeMap<String, Digest>> {
    let here = here(site);
    if site.file("sync/applying").is_some() {
        return Some(BTreeMap::new());
    }
    check(&here, versions).is_err().then_some(here)
}

/// Lets a half-written memory go, if there is one: a reset keeps it as a conflict, while all else
/// puts this disk back to a version that a person has named, with nothing left to decide, so that
/// the trash is enough.
pub fn let_go(site: &mut Site, in_conflict: bool) {
    if site.ledger.half_written.is_none() {
        return;
    }
    site.ledger.half_written = Some(BTreeMap::new());
    for (path, digest) in here(site).iter().filter(|_| !in_conflict) {
        site.ledger.trash_is_enough(path, *digest);
    }
}

/// A run that is under way.
struct Run {
    count: u64,
    written: usize,
}

/// The pipelines of all devices.
pub struct Pipelines {
    seed: u64,
    under_way: BTreeMap<usize, Run>,
}

impl Pipelines {
    pub const fn new(seed: u64) -> Self {
        Self { seed, under_way: BTreeMap::new() }
    }

    /// The act of a pipeline before step `number`, if there is one.
    pub async fn step(&mut self, world: &mut World, number: usize) -> Check {
        if self.seed % ONE_SEED_IN != ONE_SEED_IN - 1 {
            return Ok(());
        }
        let rng = &mut Rng::stream(self.seed, &format!("pipeline {number}"));
        let at = rng.below(world.devices.len());
        let running = self.under_way.contains_key(&at);
        if running && rng.chance(15) {
            world.trace.note(format_args!("d{at} has its pipeline killed"));
            world.trace.mark("pipeline: killed in between");
            self.under_way.remove(&at);
        } else if rng.chance(if running { 80 } else { 40 }) {
            if !running {
                self.begin(world, at);
            }
            self.write_next(world, at, rng).await?;
        }
        if rng.chance(40) {
            let seconds = *rng.pick(&[1, 3, 30, 400]);
            world.pass(Duration::from_secs(seconds)).await;
        }
        Ok(())
    }

    /// The next file of the run on this device: between two cycles or in the middle of one.
    async fn write_next(&mut self, world: &mut World, at: usize, rng: &mut Rng) -> Check {
        let Some(op) = self.next(world, at) else { return Ok(()) };
        let device = &mut world.devices[at];
        // Without exchange, no call would notice a rename over a file at the very last moment.
        if !(rng.chance(25) && device.disk.site().state.kind.exchange) {
            world.user(at, &op);
            return Ok(());
        }
        device.engine();
        device.disk.site().interruptions = vec![(u64::try_from(rng.below(200)).unwrap(), op)];
        world.trace.mark("pipeline: in the middle of a cycle");
        let cycle = world.cycle(&[at], Request::FULL, true).await;
        // A cycle that ended before it came to that: the pipeline was killed before it wrote.
        world.devices[at].disk.site().interruptions.clear();
        cycle.map(drop)
    }

    fn next(&mut self, world: &World, at: usize) -> Option<UserOp> {
        let run = self.under_way.get_mut(&at)?;
        let path = MEMBERS[run.written];
        let count = usize::try_from(run.count).unwrap();
        let bytes = match run.written {
            0 => memory::corpus(count, &world.devices[at].name).into_bytes(),
            1 => memory::matrix(count, 2, count as f32),
            _ => memory::index(count, 2, count as f32),
        };
        world.oracle.versions.add(&bytes, Some(run.count));
        run.written += 1;
        if run.written == MEMBERS.len() {
            world.trace.mark("pipeline: came to its end");
            self.under_way.remove(&at);
        }
        Some(UserOp::Replace(path.into(), bytes))
    }

    /// Lets runs under way come to their end, and writes half-written groups again.
    pub fn finish(&mut self, world: &World) {
        for at in 0..world.devices.len() {
            world.devices[at].disk.site().interruptions.clear();
            self.end(world, at);
            if world.devices[at].disk.site().ledger.half_written.is_some() {
                self.begin(world, at);
                self.end(world, at);
            }
        }
    }

    fn begin(&mut self, world: &World, at: usize) {
        self.under_way.insert(at, Run { count: world.oracle.versions.fresh(), written: 0 });
    }

    fn end(&mut self, world: &World, at: usize) {
        while let Some(op) = self.next(world, at) {
            world.user(at, &op);
        }
    }
}
