//! Wishes of a person: to go back, to take back, to decide, to begin anew.

use cogzy_engine::model::Keep;
use cogzy_engine::sync::{Point, Report, SyncError};
use cogzy_testkit::rng::Rng;

use crate::device::{Device, Outcome};
use crate::oracle::Check;
use crate::pipeline;
use crate::world::World;

/// One of these.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// All as it was at a generation.
    Restore(u64),
    /// Without what a generation changed; with force, if so.
    Undo(u64, bool),
    /// An open conflict, by its place in the list, if there are any.
    Resolve(usize, Keep),
    Reset,
    Prune,
}

/// A wish, drawn by chance.
pub async fn asks(world: &mut World, rng: &mut Rng, at: usize) -> Check {
    if !world.devices[at].joined {
        return Ok(());
    }
    let generation = u64::try_from(1 + rng.below(12)).unwrap();
    let asked = match rng.below(4) {
        0 => Asked::Restore(generation),
        1 => Asked::Undo(generation, rng.chance(50)),
        2 => Asked::Resolve(rng.below(8), *rng.pick(&[Keep::Mine, Keep::Remote, Keep::Both])),
        _ => Asked::Reset,
    };
    world.devices[at].engine();
    if rng.chance(20) {
        world.devices[at].fuse.set(u64::try_from(rng.below(80)).unwrap());
    }
    let outcome = world.ask(at, asked).await?;
    if matches!(outcome, Outcome::Ended) {
        let power = rng.chance(60);
        return world.crash(at, power);
    }
    world.devices[at].fuse.unset();
    world.check_outcome(&outcome, false)
}

impl World {
    /// Lets a device do an act that a person asks for, then checks everything.
    pub async fn ask(&mut self, at: usize, asked: Asked) -> Result<Outcome, String> {
        let device = &mut self.devices[at];
        self.trace.note(format_args!("{} is asked: {asked:?}", device.name));
        if let Asked::Reset | Asked::Restore(_) | Asked::Undo(..) = asked {
            // A person who names a version lets half written files go.
            let mut site = device.disk.site();
            pipeline::let_go(&mut site, matches!(asked, Asked::Reset));
            // What was taken before no longer counts: this is what the vault is to be.
            site.ledger.taken.clear();
        }
        let outcome = device
            .live(async |device| match carry_out(device, asked).await {
                Ok(report) => Outcome::Done(Box::new(report)),
                Err(error) => Outcome::Failed(error),
            })
            .await;
        if matches!(outcome, Outcome::Done(_)) {
            self.trace.mark(match asked {
                Asked::Restore(_) => "person: restore",
                Asked::Undo(..) => "person: undo",
                Asked::Resolve(..) => "person: resolve",
                Asked::Reset => "person: reset",
                Asked::Prune => "person: prune",
            });
        }
        self.check()?;
        Ok(outcome)
    }
}

async fn carry_out(device: &mut Device, asked: Asked) -> Result<Report, SyncError> {
    let arms = device.arms();
    let engine = device.engine();
    let point = |generation: u64| Point::Generation(generation.to_string().parse().unwrap());
    let rewritten = match asked {
        Asked::Restore(generation) => engine.restore(&point(generation), &[], true, &arms).await?,
        Asked::Undo(generation, force) => engine.undo(&point(generation), force, true, &arms).await?,
        Asked::Resolve(nth, keep) => {
            let open = engine.conflicts().await?;
            let Some(listed) = open.get(nth % open.len().max(1)) else { return Ok(Report::default()) };
            engine.resolve(listed.conflict.id, keep, true, &arms).await?
        }
        Asked::Prune => return engine.prune(false, &arms).await.map(|_| Report::default()),
        Asked::Reset => return Ok(engine.reset(false, &arms).await?.report.unwrap_or_default()),
    };
    Ok(rewritten.report)
}
