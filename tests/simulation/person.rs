//! What a person asks a device for: to go back, to take back, to decide, to begin anew.

use cogzy_vault::model::Keep;
use cogzy_vault::sync::Point;

use crate::device::{Device, Outcome};
use crate::oracle::Check;
use crate::rng::Rng;
use crate::world::World;

/// One of these, drawn by chance.
pub async fn asks(world: &mut World, rng: &mut Rng, at: usize) -> Check {
    let device = &mut world.devices[at];
    if !device.joined {
        return Ok(());
    }
    device.engine();
    if rng.chance(20) {
        device.fuse.set(u64::try_from(rng.below(80)).unwrap());
    }
    let outcome = match rng.below(4) {
        0 => restore(device, rng).await,
        1 => undo(device, rng).await,
        2 => decide(device, rng).await,
        _ => reset(device).await,
    };
    match &outcome {
        Outcome::Ended => {
            let power = rng.chance(60);
            return world.crash(at, power);
        }
        Outcome::Failed(error) => {
            world.trace.note(format_args!("{} answers: {error}", world.devices[at].name));
        }
        Outcome::Done(_) | Outcome::Meets => {}
    }
    world.devices[at].fuse.unset();
    world.check_outcome(&outcome, false)?;
    world.check()
}

/// A generation that there may be.
fn point(device: &mut Device, rng: &mut Rng) -> Point {
    let generation = 1 + rng.below(12);
    device.say(format_args!("is asked for generation {generation}"));
    Point::Generation(generation.to_string().parse().unwrap())
}

async fn restore(device: &mut Device, rng: &mut Rng) -> Outcome {
    let point = point(device, rng);
    let arms = device.arms();
    let work = async |device: &mut Device| match device.engine().restore(&point, &[], true, &arms).await {
        Ok(rewritten) => {
            device.mark("person: restore");
            Outcome::Done(rewritten.report)
        }
        Err(error) => Outcome::Failed(error),
    };
    device.live(work).await
}

async fn undo(device: &mut Device, rng: &mut Rng) -> Outcome {
    let (point, force) = (point(device, rng), rng.chance(50));
    let arms = device.arms();
    let work = async |device: &mut Device| match device.engine().undo(&point, force, true, &arms).await {
        Ok(rewritten) => {
            device.mark("person: undo");
            Outcome::Done(rewritten.report)
        }
        Err(error) => Outcome::Failed(error),
    };
    device.live(work).await
}

async fn decide(device: &mut Device, rng: &mut Rng) -> Outcome {
    let keep = *rng.pick(&[Keep::Mine, Keep::Remote, Keep::Both]);
    let (nth, arms) = (rng.below(8), device.arms());
    let work = async |device: &mut Device| {
        let listed = match device.engine().conflicts().await {
            Ok(listed) => listed,
            Err(error) => return Outcome::Failed(error),
        };
        let Some(listed) = listed.get(nth % listed.len().max(1)) else {
            return Outcome::Done(Default::default());
        };
        let id = listed.conflict.id;
        device.say(format_args!("is told of {id}: {keep:?}"));
        match device.engine().resolve(id, keep, true, &arms).await {
            Ok(rewritten) => {
                device.mark("person: resolve");
                Outcome::Done(rewritten.report)
            }
            Err(error) => Outcome::Failed(error),
        }
    };
    device.live(work).await
}

async fn reset(device: &mut Device) -> Outcome {
    device.say("is reset");
    let arms = device.arms();
    let work = async |device: &mut Device| match device.engine().reset(false, &arms).await {
        Ok(reset) => {
            device.mark("person: reset");
            Outcome::Done(reset.report.unwrap_or_default())
        }
        Err(error) => Outcome::Failed(error),
    };
    device.live(work).await
}
