//! A week of two devices: each adds, changes and deletes 200 memories an hour, and is offline half
//! of the time. At the end both hold the same, and only clashes wait for a person.

use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::model::Item;
use cogzy_engine::sync::Merge;
use cogzy_testkit::rng::Rng;
use futures_util::future::join_all;

use super::{A_FEW, Shared, app, cycle, disk, rest};
use crate::device::Device;
use crate::disk::Kind;
use crate::oracle::Check;
use crate::store::RemoteFaults;
use crate::trace::Trace;
use crate::world::World;

/// Hours of a week.
pub const HOURS: u64 = 7 * 24;

/// Memories that an app writes or deletes in an hour.
const AN_HOUR: usize = 200;

/// Memories that it changes at once, at most.
const AT_ONCE: usize = 18;

/// Hours that a device is online or offline at a stretch, at most.
const STRETCH: usize = 6;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs so many hours.
pub async fn week(seed: u64, hours: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "week");
    let kinds: [Kind; 2] = std::array::from_fn(|_| disk(&mut rng));
    let mut world = World::new(seed, &kinds, trace);
    let book = Shared::default();
    for device in &mut world.devices {
        device.merge = Merge::Entries;
        // The simulated disk is in memory.
        device.keep_trash(HOUR);
    }
    app::act(&world.devices[0], &mut rng, &book, A_FEW)?;
    for at in 0..kinds.len() {
        world.pass(Duration::from_secs(3)).await;
        cycle(&mut world.devices[at], &book).await?;
    }
    let lives = world.devices.iter_mut().map(|device| {
        let rng = Rng::stream(seed, &format!("week {}", device.name));
        live(device, rng, hours, Arc::clone(&book))
    });
    join_all(lives).await.into_iter().collect::<Check>()?;
    world.heal();
    rest(&mut world, &book).await?;
    for device in &mut world.devices {
        let open = device.engine().conflicts().await.map_err(|error| error.to_string())?;
        if let Some(whole) = open.iter().find(|one| matches!(one.conflict.item, Item::Group(_))) {
            return Err(format!("{}: a whole version waits: {:?}", device.name, whole.unmerged));
        }
    }
    let open = app::open(&mut world).await?;
    let shown = app::shown(&world.devices[0])?;
    let book = book.lock().unwrap();
    println!("{} memories of {}; {} wait for a person", shown.len(), book.told(), open.len());
    book.no_write_is_lost(&shown, &open)?;
    book.nothing_is_gone(&shown)?;
    book.only_clashes_wait(&shown, &open)
}

/// The life of one device.
async fn live(device: &mut Device, mut rng: Rng, hours: u64, book: Shared) -> Check {
    let mut online = true;
    let mut stretch = 0;
    for hour in 0..hours {
        if stretch == 0 {
            stretch = 1 + rng.below(STRETCH);
            online = !online;
            let before = if online { 0 } else { 100 };
            let faults = RemoteFaults { before, delay_ms: 200, ..RemoteFaults::default() };
            *device.faults.lock().unwrap() = faults;
        }
        stretch -= 1;
        let mut written = 0;
        while written < AN_HOUR {
            written += app::act(device, &mut rng, &book, AT_ONCE)?;
            tokio::time::sleep(Duration::from_secs(3)).await;
            if online {
                cycle(device, &book).await?;
            }
            tokio::time::sleep(HOUR / 20).await;
        }
        cycle(device, &book).await?;
        let mut site = device.disk.site();
        site.state.forget_unnamed();
        let memories = book.lock().unwrap().told();
        println!("hour {hour}: {} is {}, {memories}", device.name, if online { "online" } else { "offline" });
    }
    Ok(())
}
