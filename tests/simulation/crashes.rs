//! Every crash of every scenario: before each effect of a cycle, and before each effect of the recovery from that crash. A write
//! to the disk is an effect, so is a PUT, before and after it is applied, and so is a transaction of the database.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cogzy_vault::sync::Request;

use crate::device::Outcome;
use crate::disk::Kind;
use crate::oracle::Check;
use crate::person::Asked;
use crate::prune;
use crate::prune_oracle::OldData;
use crate::rng::Rng;
use crate::run::{Ran, in_virtual_time};
use crate::scenarios::{Scenario, tell};
use crate::stories::ALL;
use crate::trace::{Marks, Trace};
use crate::world::World;

/// A file system as most are; and the least that a disk may promise.
const KINDS: [Kind; 2] = [
    Kind { exchange: true, case: true, nfd: false, ordered: true, tick_ns: 1 },
    Kind { exchange: false, case: false, nfd: true, ordered: false, tick_ns: 1_000_000 },
];

/// Where the second crashes are sampled, so are the first ones that they follow.
const FIRSTS: u64 = 4;

/// Where one run is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub scenario: usize,
    pub kind: usize,
    /// Before which effect of the cycle.
    pub first: u64,
    /// Before which effect of the cycle after it.
    pub second: Option<u64>,
    /// Whether the power goes, and not only the process.
    pub power: bool,
}

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let second = self.second.map_or_else(|| "none".into(), |at| at.to_string());
        write!(f, "--cut {},{},{},{second},{}", self.scenario, self.kind, self.first, self.power)
    }
}

impl std::str::FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split(',').collect();
        let [scenario, kind, first, second, power] = parts.as_slice() else {
            return Err(format!("{text} is no cut"));
        };
        let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        Ok(Self {
            scenario: usize::try_from(number(scenario)?).map_err(|error| error.to_string())?,
            kind: usize::try_from(number(kind)?).map_err(|error| error.to_string())?,
            first: number(first)?,
            second: if *second == "none" { None } else { Some(number(second)?) },
            power: *power == "true",
        })
    }
}

/// How far a run came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    /// The cycle was cut short.
    pub first: bool,
    /// So was the next, while it had something to recover.
    pub second: bool,
}

/// One run, and how far it came.
pub fn cut(at: Cut, aloud: bool) -> (Ran, Reached) {
    let reached = Mutex::default();
    let ran = in_virtual_time(aloud, |trace| story(at, trace, &reached));
    (ran, reached.into_inner().unwrap())
}

/// Whether something is on a disk that the next process has to finish.
fn is_unfinished(world: &World, device: usize) -> bool {
    let site = world.devices[device].disk.site();
    ["sync/applying", "sync/pending"].iter().any(|name| site.file(name).is_some())
}

async fn story(at: Cut, trace: Trace, reached: &Mutex<Reached>) -> Check {
    let scenario = &ALL[at.scenario];
    let mut world = tell(scenario, KINDS[at.kind], 1, trace).await?;
    let mut old = OldData::default();
    world.heal();
    look(&mut world, &mut old, scenario)?;
    let first = crash(&mut world, scenario.asked, at.first, at).await?;
    reached.lock().unwrap().first = first;
    look(&mut world, &mut old, scenario)?;
    if first
        && let Some(second) = at.second
        && crash(&mut world, None, second, at).await?
    {
        reached.lock().unwrap().second = is_unfinished(&world, scenario.actor);
    }
    world.converge().await?;
    look(&mut world, &mut old, scenario)?;
    if !scenario.prunes() {
        return Ok(());
    }
    // Another time it comes to its end.
    world.devices[scenario.actor].prune().await.ok_or("it cannot prune")?;
    look(&mut world, &mut old, scenario)
}

/// What must hold of old data, where the story is about that.
fn look(world: &mut World, old: &mut OldData, scenario: &Scenario) -> Check {
    if scenario.prunes() { prune::look(world, old, prune::LITTLE) } else { Ok(()) }
}

/// Runs the actor's cycle, or what it is asked for, and cuts it short; whether it came so far.
async fn crash(world: &mut World, asked: Option<Asked>, before: u64, at: Cut) -> Result<bool, String> {
    let actor = ALL[at.scenario].actor;
    let device = &mut world.devices[actor];
    device.engine();
    device.fuse.set(before);
    let outcome = match asked {
        Some(asked) => Some(world.ask(actor, asked).await?),
        None => world.cycle(&[actor], Request::FULL, true).await?.pop(),
    };
    if !matches!(outcome, Some(Outcome::Ended)) {
        world.devices[actor].fuse.unset();
        return Ok(false);
    }
    // Which of the volatile effects survive is drawn anew for each cut.
    let drawn = at.first * 1009 + at.second.map_or(0, |second| second + 1);
    world.devices[actor].disk.site().rng = Rng::new(drawn);
    world.crash(actor, at.power)?;
    Ok(true)
}

/// All cuts of all scenarios, or of one, or only the first cuts, or of the second ones each `stride`-th: how many were made, how many failed, and what was reached.
pub fn all(only: Option<usize>, once: bool, stride: u64) -> (usize, usize, Marks) {
    let (next, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = AtomicUsize::new(0);
    let marks: Mutex<Marks> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = ALL.len() * KINDS.len();
    let try_one = |at: Cut| {
        let (ran, reached) = cut(at, false);
        made.fetch_add(1, Ordering::Relaxed);
        let mut all = marks.lock().unwrap();
        ran.trace.take_marks().into_iter().for_each(|(name, times)| *all.entry(name).or_default() += times);
        drop(all);
        if let Err(why) = ran.check {
            println!("{}: {why}\n    cargo test --test simulation -- {at}", ALL[at.scenario].name);
            failed.fetch_add(1, Ordering::Relaxed);
        }
        reached
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return;
                    }
                    let (scenario, kind) = (job % ALL.len(), job / ALL.len());
                    if only.is_some_and(|only| only != scenario) {
                        continue;
                    }
                    for first in 0.. {
                        let at = |second, power| Cut { scenario, kind, first, second, power };
                        if !try_one(at(None, true)).first {
                            break;
                        }
                        try_one(at(None, false));
                        let mut second = first % stride;
                        let deeper = !once && (stride == 1 || first.is_multiple_of(FIRSTS));
                        while deeper && try_one(at(Some(second), (first + second).is_multiple_of(2))).second {
                            second += stride;
                        }
                    }
                }
            });
        }
    });
    (made.into_inner(), failed.into_inner(), marks.into_inner().unwrap())
}
