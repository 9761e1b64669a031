//! Ten years of three devices: what a vault comes to, and what a start, a save and a new device
//! cost then.
//!
//! All happens in virtual time, with faults on the way to the bucket, devices that are away for
//! days, and processes that end in the middle. The bucket and the requests are counted after a
//! month and after each year. Asserted is only that all devices, and one that joins, hold the same
//! then: the figures are for docs/SCALE.md.

use std::fmt;
use std::sync::Arc;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::model::Keep;
use cogzy_engine::sync::{Ask, Request, Unwatched};
use cogzy_testkit::rng::Rng;
use tokio::time::Instant;

use crate::device::{DAY, Device, Outcome, SETTLE};
use crate::disk::{Disk, Kind, UserOp};
use crate::ledger::Ledger;
use crate::oracle::{Check, visible};
use crate::store::{RemoteFaults, Store};
use crate::trace::Trace;
use crate::world::World;

/// Saves of a decade, unless another number is asked for.
pub const SAVES: u64 = 100_000;
const DEVICES: usize = 3;
const YEARS: u64 = 10;
const WEEKS: u64 = 52 * YEARS;
/// Files of each device, and files that all of them change.
const FILES: usize = 20;
const SHARED: usize = 4;
/// Objects that a listing names at a time, as with most stores.
const PAGE: usize = 1000;
/// Cycles within which a device comes to rest.
const ROUNDS: usize = 16;
const KIND: Kind =
    Kind { exchange: true, links: true, case: true, nfd: false, signs: true, ordered: false, tick_ns: 1_000 };

/// Lives a decade of so many saves, one a month at least.
pub async fn decade(seed: u64, saves: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "decade");
    let saves = saves.max(12 * YEARS);
    let mut world = World::new(seed, &[KIND; DEVICES], trace);
    world.store.lock().page = PAGE;
    let clock = SystemClock::new();
    let step = DAY.mul_f64(7.0 * WEEKS as f64 / saves as f64);
    let pruned_every = (saves / (2 * WEEKS)).max(1);
    let mut back = [0_u64; DEVICES];
    println!("{}", Sample::HEAD);
    for number in 1..=saves {
        world.pass(step.saturating_sub(2 * SETTLE)).await;
        let at = rng.below(DEVICES);
        save(&mut world, at, &mut rng);
        world.pass(2 * SETTLE).await;
        for (one, back) in back.iter_mut().enumerate() {
            if rng.one_in(500) {
                *back = number + u64::try_from(rng.below(100)).unwrap();
            }
            // Who has saved sends it, and the others look now and then.
            if *back <= number && (one == at || rng.chance(30)) {
                live(&mut world, one, &mut rng).await;
            }
        }
        if number % pruned_every == 0 {
            let one = rng.below(DEVICES);
            decide(&mut world.devices[one]).await;
            world.devices[one].prune().await;
            world.devices.iter().for_each(|device| device.disk.site().state.forget_unnamed());
        }
        if number == saves / (12 * YEARS) || number % (saves / YEARS) == 0 {
            let sample = measure(&mut world, seed, &mut rng).await?;
            let years = number as f64 * YEARS as f64 / saves as f64;
            println!("| {years:.2} | {sample} | {:.0} |", clock.monotonic().as_secs_f64());
        }
    }
    rest(&mut world).await
}

/// The user of a device saves a file of its own, or now and then one that others save, too.
fn save(world: &mut World, at: usize, rng: &mut Rng) {
    let path = match rng.one_in(20) {
        true => format!("notes/shared-{}.txt", rng.below(SHARED)),
        false => format!("traces/d{at}/{}.json", rng.below(FILES)),
    };
    let number = world.oracle.versions.fresh();
    let mut bytes = format!("{path} {number}\n").into_bytes();
    bytes.extend((0..200 + rng.below(2000)).map(|_| u8::try_from(rng.below(256)).unwrap()));
    world.oracle.versions.add(&bytes, None);
    world.user(at, &UserOp::Replace(path, bytes));
}

/// A cycle of a device, which may not come to its end.
async fn live(world: &mut World, at: usize, rng: &mut Rng) {
    let faults = RemoteFaults {
        before: 2,
        lost_response: 2,
        late: 1,
        stale: 3,
        damaged: 1,
        refused: 1,
        delay_ms: 200,
        ..RemoteFaults::default()
    };
    world.fault(at, if rng.one_in(10) { faults } else { RemoteFaults::default() });
    let device = &mut world.devices[at];
    device.engine();
    if rng.one_in(100) {
        device.fuse.set(u64::try_from(rng.below(60)).unwrap());
    }
    // All of the log is listed now and then.
    device.cycle(asking(rng.one_in(20)), true).await;
    if device.fuse.is_dead() {
        device.kill();
        if rng.chance(50) {
            device.disk.cut_power();
        }
    }
    device.fuse.unset();
}

/// A cycle as of a daemon: it looks at the vault, and at all of the log or at its end.
fn asking(whole: bool) -> Request {
    Request { ask: Ask { scan: true, whole }, ..Request::FULL }
}

/// A person takes what stands, of all that waits.
async fn decide(device: &mut Device) {
    let open = device.engine().conflicts().await.unwrap_or_default();
    for listed in open {
        // A decision that a fault prevents is made next week.
        let _later = device.engine().resolve(listed.conflict.id, Keep::Remote, true, &Unwatched).await;
    }
}

/// All devices come to hold the same.
async fn rest(world: &mut World) -> Check {
    world.heal();
    world.pass(DAY).await;
    for _ in 0..ROUNDS {
        let mut quiet = true;
        for device in &mut world.devices {
            tokio::time::sleep(5 * SETTLE).await;
            quiet &= is_quiet(device, true).await?;
        }
        if quiet && world.all_hold_the_same().is_ok() {
            return Ok(());
        }
    }
    Err(format!("the devices do not hold the same after {ROUNDS} rounds"))
}

/// Runs a cycle, and tells whether nothing moved.
async fn is_quiet(device: &mut Device, whole: bool) -> Result<bool, String> {
    match device.cycle(asking(whole), true).await {
        Outcome::Done(report) => {
            for hold in &report.holds {
                device.decide(hold, true).map_err(|error| error.to_string())?;
            }
            Ok(!report.moved() && report.holds.is_empty() && !report.again())
        }
        other => Err(format!("{} is stopped: {other:?}", device.name)),
    }
}

/// A vault at some time of its life.
#[derive(Debug)]
struct Sample {
    /// Objects and their bytes: commits, checkpoints, packs.
    there: [(usize, usize); 3],
    /// Requests of the start of a device that has everything.
    start: u64,
    /// Requests of a save by a process that runs.
    save: u64,
    /// Requests of a device that joins and fetches everything.
    join: u64,
}

impl Sample {
    const HEAD: &str = "| years | commits | KB | checkpoints | KB | packs | KB | a start: requests | a save | a new device | real time, s |\n|---|---|---|---|---|---|---|---|---|---|---|";
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (objects, bytes) in self.there {
            write!(f, "{objects} | {} | ", bytes / 1000)?;
        }
        write!(f, "{} | {} | {}", self.start, self.save, self.join)
    }
}

/// Counts what is there, and what things cost now.
async fn measure(world: &mut World, seed: u64, rng: &mut Rng) -> Result<Sample, String> {
    rest(world).await?;
    let store = world.store.clone();
    let there = ["commits/", "checkpoints/", "packs/"].map(|kind| there(&store, kind));
    let requests = || store.lock().requests;
    let before = requests();
    world.devices[0].kill();
    let whole = world.devices[0].engine().whole_listing_in().is_zero();
    is_quiet(&mut world.devices[0], whole).await?;
    let start = requests() - before;
    save(world, 0, rng);
    world.pass(2 * SETTLE).await;
    let before = requests();
    is_quiet(&mut world.devices[0], false).await?;
    let saved = requests() - before;
    let (mut new, before) = (another(world, seed), requests());
    for round in 0..ROUNDS {
        tokio::time::sleep(2 * SETTLE).await;
        if is_quiet(&mut new, round == 0).await? {
            break;
        }
    }
    let join = requests() - before;
    if visible(&new.disk.site()) != visible(&world.devices[0].disk.site()) {
        return Err("a new device does not hold what the others do".to_owned());
    }
    Ok(Sample { there, start, save: saved, join })
}

/// The objects of a kind, and their bytes.
fn there(store: &Store, kind: &str) -> (usize, usize) {
    let bucket = store.lock();
    let bodies =
        bucket.objects.iter().filter(|(key, _)| key.starts_with(kind)).map(|(_, (body, _))| body.len());
    bodies.fold((0, 0), |(objects, bytes), body| (objects + 1, bytes + body))
}

/// A device that has nothing yet.
fn another(world: &World, seed: u64) -> Device {
    // All clocks of a world began together.
    let clock = Arc::new(world.devices[0].disk.clock.copy(Instant::now()));
    let rng = Rng::stream(seed, "another disk");
    let ledger = Ledger::new(world.oracle.versions.clone());
    let disk = Disk::new("another", KIND, rng, clock, world.trace.clone(), ledger);
    disk.site().furnish();
    Device::new(disk, world.store.clone(), seed)
}
