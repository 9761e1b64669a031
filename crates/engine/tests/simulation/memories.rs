//! Worlds of memories: apps on several devices add, change and delete memories of one group at the
//! same time, and all devices merge.
//!
//! An app reads the group from its disk, changes a few memories, at times sorts them, and writes
//! corpus, vectors and index at once. At times it reads when it starts, and writes only after some
//! pulls. Commits are made at the same moment, requests are lost, and processes end in the middle.
//! In half of the worlds they add lines to a [`log`], too. [`book`] knows every memory, and asks:
//! no write is lost but to a write of the same memory that knew it or whose conflict waits for a
//! person; what was deleted does not come back; and every vector stands beside its memory.

mod app;
mod book;
mod log;
mod week;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cogzy_engine::model::{ConflictId, Item, Keep};
use cogzy_engine::sync::{Merge, Refusal, Report, Request, SyncError, Unwatched};
use cogzy_testkit::rng::Rng;
use futures_util::future::join_all;

use crate::device::{Device, Outcome};
use crate::disk::Kind;
use crate::oracle::Check;
use crate::store::RemoteFaults;
use crate::trace::Trace;
use crate::world::World;
use book::Book;
use log::{LOG, Lines};

pub use week::{HOURS, week};

/// After a heal all must have come to rest within so many rounds.
const ROUNDS: usize = 16;

/// Memories that an app changes at once.
const A_FEW: usize = 4;

/// The acts of all users of a world.
type Shared = Arc<Mutex<Book>>;

/// The log that they add to, in a world that has one.
type SharedLog = Option<Arc<Mutex<Lines>>>;

/// Runs a seed from the first step to the end.
pub async fn run(seed: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "memories");
    let count = 2 + rng.below(2);
    let kinds: Vec<Kind> = (0..count).map(|_| disk(&mut rng)).collect();
    let mut world = World::new(seed, &kinds, trace);
    let book = Shared::default();
    let log: SharedLog = Rng::stream(seed, "log").chance(50).then(Arc::default);
    for device in &mut world.devices {
        device.merge = Merge::Entries;
    }
    app::act(&world.devices[0], &mut rng, &book, A_FEW)?;
    for at in 0..count {
        world.pass(Duration::from_secs(3)).await;
        cycle(&mut world.devices[at], &book).await?;
    }
    let sound = rng.chance(30);
    for round in 0..2 + rng.below(5) {
        world.trace.note(format_args!("round {round}"));
        let mut lives = Vec::new();
        for (at, device) in world.devices.iter_mut().enumerate() {
            let mut rng = Rng::stream(seed, &format!("memories {round} d{at}"));
            let starts = Rng::stream(seed, &format!("starts {round} d{at}"));
            *device.faults.lock().unwrap() = if sound { RemoteFaults::default() } else { faults(&mut rng) };
            lives.push(live(device, [rng, starts], Arc::clone(&book), log.clone()));
        }
        join_all(lives).await.into_iter().collect::<Check>()?;
        for at in 0..count {
            let device = &mut world.devices[at];
            if device.fuse.is_dead() {
                let power = rng.chance(50);
                device.kill();
                if power {
                    device.disk.cut_power();
                }
            }
            world.devices[at].fuse.unset();
        }
    }
    world.heal();
    rest(&mut world, &book).await?;
    let open = app::open(&mut world).await?;
    let shown = app::shown(&world.devices[0])?;
    book.lock().unwrap().no_write_is_lost(&shown, &open)?;
    world.trace.mark(if open.is_empty() { "memories: all merged" } else { "memories: a clash waits" });
    let lines = log.map(|log| std::mem::take(&mut *log.lock().unwrap())).unwrap_or_default();
    lines.none_is_lost(&mut world).await?;
    merge_by_hand(&mut world).await?;
    rest(&mut world, &book).await?;
    lines.all_are_there(&world)?;
    let shown = app::shown(&world.devices[0])?;
    // A version that has waited for long may bring back what was deleted since.
    book.lock().unwrap().nothing_is_gone(&shown)
}

fn disk(rng: &mut Rng) -> Kind {
    Kind {
        exchange: rng.chance(75),
        links: true,
        case: true,
        ordered: rng.chance(50),
        nfd: false,
        signs: true,
        tick_ns: 1_000,
    }
}

fn faults(rng: &mut Rng) -> RemoteFaults {
    let some = RemoteFaults { delay_ms: 500, ..RemoteFaults::default() };
    match rng.below(4) {
        0 => RemoteFaults { before: 100, ..some },
        1 => RemoteFaults { lost_response: 15, late: 15, ..some },
        2 => RemoteFaults { stale: 15, ..some },
        _ => some,
    }
}

/// The life of one device in a round.
async fn live(device: &mut Device, [mut rng, mut starts]: [Rng; 2], book: Shared, log: SharedLog) -> Check {
    for _ in 0..1 + rng.below(3) {
        if let Some(log) = log.as_ref().filter(|_| rng.chance(50)) {
            log.lock().unwrap().append(device, &mut rng);
        }
        if rng.chance(70) {
            app::act(device, &mut rng, &book, A_FEW)?;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        if rng.chance(15) {
            device.engine();
            device.fuse.set(u64::try_from(rng.below(120)).unwrap());
        }
        cycle(device, &book).await?;
        if starts.chance(30) {
            app::start(device, &book)?;
        }
    }
    Ok(())
}

/// One cycle, of which the book is told.
async fn cycle(device: &mut Device, book: &Shared) -> Result<Outcome, String> {
    let outcome = device.cycle(Request::FULL, true).await;
    let shown = app::shown(device)?;
    if let Outcome::Done(report) = &outcome {
        approve(device, report)?;
        book.lock().unwrap().synced(&device.name, &shown, report);
    } else {
        book.lock().unwrap().is_cut(&device.name);
    }
    Ok(outcome)
}

/// A person who deletes many memories means it.
fn approve(device: &mut Device, report: &Report) -> Check {
    for hold in &report.holds {
        match device.decide(hold, true) {
            Err(error) if !device.fuse.is_dead() => return Err(format!("{}: {error}", device.name)),
            _ => {}
        }
    }
    Ok(())
}

/// All devices come to hold the same.
async fn rest(world: &mut World, book: &Shared) -> Check {
    world.pass(Duration::from_secs(24 * 3600)).await;
    for _ in 0..ROUNDS {
        let mut quiet = true;
        for device in &mut world.devices {
            tokio::time::sleep(Duration::from_secs(10)).await;
            match cycle(device, book).await? {
                Outcome::Done(report) => {
                    quiet &= !report.moved() && report.holds.is_empty() && !report.again();
                }
                other => return Err(format!("{} is stopped: {other:?}", device.name)),
            }
        }
        if quiet {
            return world.all_hold_the_same();
        }
    }
    Err(format!("not at rest after {ROUNDS} rounds"))
}

fn has(device: &Device, conflict: ConflictId) -> bool {
    device.disk.site().file(&format!("sync/conflicts/{conflict}/conflict.json")).is_some()
}

/// A person puts what lost a clash beside the rest, and merges what waits.
async fn merge_by_hand(world: &mut World) -> Check {
    let open = world.devices[0].engine().conflicts().await.map_err(|error| error.to_string())?;
    for listed in open {
        // Where the version was set aside it is known what it came from.
        let at = world.devices.iter().position(|device| has(device, listed.conflict.id)).unwrap_or(0);
        let device = &mut world.devices[at];
        tokio::time::sleep(Duration::from_secs(10)).await;
        let id = listed.conflict.id;
        let is_log = |item: &Item| matches!(item, Item::File(path) if path.as_str() == LOG);
        let item = &listed.conflict.item;
        let decided = if matches!(item, Item::File(_)) && !is_log(item) {
            device.engine().resolve(id, Keep::Mine, true, &Unwatched).await
        } else {
            world.trace.mark("memories: merged by hand");
            device.engine().merge_conflict(id, true, &Unwatched).await
        };
        match decided {
            // An earlier one may have decided it.
            Ok(_) | Err(SyncError::Refused(Refusal::Decided { .. })) => {}
            Err(error) => return Err(format!("{} cannot merge by hand: {error}", device.name)),
        }
    }
    Ok(())
}
