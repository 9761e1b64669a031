//! Worlds in which old data is pruned at every opportunity. One device races, one falls asleep for
//! up to 60 days in the middle of anything it does, and the seed decides the events in between.

use std::time::Duration;

use cogzy_engine::sync::{Request, Retention};
use cogzy_testkit::rng::Rng;
use futures_util::future::join_all;

use crate::chance::user_op;
use crate::device::{DAY, Device};
use crate::disk::Kind;
use crate::oracle::Check;
use crate::prune_oracle::OldData;
use crate::store::RemoteFaults;
use crate::trace::Trace;
use crate::world::World;

const DEVICES: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);
const KEEP: Retention = Retention { generations: 3, age: DAY, grace: Duration::from_secs(7 * 24 * 3600) };
/// Retention that keeps nothing but the newest state.
pub const LITTLE: Retention =
    Retention { generations: 1, age: Duration::ZERO, grace: Duration::from_secs(7 * 24 * 3600) };
/// With so much more than what retention justifies the bucket is content, in percent.
const ROOM: u64 = 130;
/// Contents of no use to the bound: a pack of one small file is mostly head and foot.
const SLACK: u64 = 2_000;

/// Runs a seed from the first step to the end.
pub async fn run(seed: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "prunes");
    let kinds: Vec<Kind> = (0..DEVICES).map(|_| disk(&mut rng)).collect();
    let mut world = World::new(seed, &kinds, trace);
    world.oracle.pruning = true;
    let mut old = OldData::default();
    let sound = rng.chance(50);
    for device in &mut world.devices {
        device.retention = KEEP;
        // Expired versions are looked for in the bucket, and not in a trash whose time is over.
        device.trash = 10_000 * DAY;
        // A version that is sent again is no news to its ledger.
        device.disk.site().ledger.excused = true;
        if !sound {
            *device.faults.lock().unwrap() = faults(&mut rng);
        }
    }
    for at in 0..DEVICES {
        world.pass(Duration::from_secs(3)).await;
        world.cycle(&[at], Request::FULL, true).await?;
    }
    for round in 0..2 + rng.below(3) {
        let sleeper = rng.below(DEVICES + 1);
        world.trace.note(format_args!("round {round}: d{sleeper} sleeps"));
        let versions = world.oracle.versions.clone();
        let mut lives = Vec::new();
        for (at, device) in world.devices.iter_mut().enumerate() {
            let rng = Rng::stream(seed, &format!("round {round} d{at}"));
            lives.push(live(device, rng, versions.clone(), at == sleeper));
        }
        join_all(lives).await;
        for at in 0..DEVICES {
            world.devices[at].faults.lock().unwrap().nap = None;
            if world.devices[at].fuse.is_dead() {
                world.crash(at, rng.chance(50))?;
            }
            world.devices[at].fuse.unset();
        }
        look(&mut world, &mut old, KEEP)?;
    }
    world.converge().await?;
    settle(&mut world, &mut old).await
}

fn disk(rng: &mut Rng) -> Kind {
    Kind {
        exchange: rng.chance(75),
        links: true,
        case: rng.chance(85),
        ordered: rng.chance(50),
        nfd: rng.chance(10),
        signs: true,
        tick_ns: 1_000,
    }
}

/// Faults on the way to the bucket: above all, a device does not know what has arrived there.
fn faults(rng: &mut Rng) -> RemoteFaults {
    let some = RemoteFaults {
        before: 5,
        lost_response: 10,
        late: 10,
        stale: 10,
        delay_ms: 500,
        ..RemoteFaults::default()
    };
    match rng.below(3) {
        0 => some,
        1 => RemoteFaults { refused: 4, damaged: 3, ..some },
        _ => RemoteFaults { late: 25, stale: 30, lost_response: 25, ..some },
    }
}

/// The life of one device in a round.
async fn live(device: &mut Device, mut rng: Rng, versions: crate::ledger::Versions, sleeps: bool) {
    if sleeps {
        let days = u32::try_from(1 + rng.below(60)).unwrap();
        device.faults.lock().unwrap().nap = Some((rng.below(30), days * DAY));
    }
    for _ in 0..1 + rng.below(5) {
        let time = *rng.pick(&[HOUR, DAY, 5 * DAY, 8 * DAY, 10 * DAY]);
        tokio::time::sleep(if sleeps { HOUR } else { time }).await;
        for _ in 0..rng.below(4) {
            let op = user_op(&mut rng, &versions);
            device.disk.clock.tick();
            device.disk.site().perform(&op, &device.disk);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        if rng.chance(15) {
            device.engine();
            device.fuse.set(u64::try_from(rng.below(80)).unwrap());
        }
        if rng.chance(85) {
            device.cycle(Request::FULL, true).await;
        }
        if rng.chance(70) {
            device.prune().await;
        }
    }
}

/// Checks the invariants of old data at any time.
pub fn look(world: &mut World, old: &mut OldData, keep: Retention) -> Check {
    let fates = old.look(&world.store, keep)?;
    world.oracle.expired.extend(fates.expired);
    // Their packs may have moved since the commits that named them.
    world.oracle.history.extend(fates.kept);
    world.check()?;
    world.oracle.history.retain(|digest| !fates.void.contains(digest));
    Ok(())
}

/// Checks that old data goes once all is well, and that then nothing moves.
async fn settle(world: &mut World, old: &mut OldData) -> Check {
    look(world, old, KEEP)?;
    for round in 0..5 {
        world.pass(8 * DAY).await;
        let at = round % DEVICES;
        if world.devices[at].prune().await.is_none() {
            return Err(format!("d{at} cannot prune"));
        }
        for at in 0..DEVICES {
            world.cycle(&[at], Request::FULL, true).await?;
        }
        look(world, old, KEEP)?;
    }
    world.pass(8 * DAY).await;
    let puts = world.store.lock().puts;
    let pruned = world.devices[0].prune().await.ok_or("d0 cannot prune")?;
    if world.store.lock().puts > puts || pruned.freed.objects > 0 {
        return Err(format!("a prune finds no end: {pruned:?}"));
    }
    old.reached().into_iter().filter(|(reached, _)| *reached).for_each(|(_, name)| world.trace.mark(name));
    let room = old.room(&world.store, KEEP);
    if room.used > room.justified * ROOM / 100 + SLACK {
        return Err(format!("the bucket takes more room than it may: {room:?}"));
    }
    for device in &mut world.devices {
        let verified = device.engine().verify(true, &cogzy_engine::sync::Unwatched).await;
        let verified = verified.map_err(|error| format!("{}: {error}", device.name))?;
        if !verified.faults.is_empty() {
            return Err(format!("{}: {:?}", device.name, verified.faults));
        }
        if !verified.aside.is_empty() {
            return Err(format!("{}: nobody lied here: {:?}", device.name, verified.aside));
        }
    }
    Ok(())
}
