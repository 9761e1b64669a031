//! Runs of the simulation, each with a runtime, a clock and a trace of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use cogzy_engine::clock::{Clock, SystemClock};

use crate::chance::{self, Without};
use crate::crashes::{self, Found};
use crate::cut::Cut;
use crate::oracle::Check;
use crate::trace::{Trace, add};
use crate::work::{Batch, Came, work};
use crate::{adversary, coverage, drift, memories, prune, shrink, stories};

/// The amount that a complete run tries.
struct Extent {
    seeds: u64,
    /// Worlds in which old data is pruned.
    prunes: u64,
    /// Worlds with an adversary.
    adversaries: u64,
    /// Worlds of memories.
    memories: u64,
    /// Stories whose crashes are followed.
    stories: fn() -> Vec<usize>,
    /// Names that must be reached.
    reached: &'static [&'static [&'static str]],
}

/// `cargo test`.
const QUICK: Extent = Extent {
    seeds: 300,
    prunes: 50,
    adversaries: 50,
    memories: 50,
    stories: stories::telling,
    reached: &[coverage::OFTEN],
};

/// The same with `COGZY_TEST_WHOLE=1`, and `--whole`.
const WHOLE: Extent = Extent {
    seeds: 2_000,
    prunes: 200,
    adversaries: 200,
    memories: 200,
    stories: stories::every,
    reached: &[coverage::OFTEN, coverage::SELDOM],
};

/// Crashes one after the other: that of a cycle, and that of the recovery from it.
const DEEP: usize = 2;

/// Seeds that failed once, by a mistake of the engine or of the simulation; and three, 325, 588 and
/// 1166, that end a process at a moment at which few seeds do: just before it begins a journal, or
/// tells what it reads. They are part of every run.
const REGRESSIONS: &[u64] = &[
    325, 344, 513, 588, 680, 783, 1_166, 1_733, 1_819, 1_847, 1_857, 1_954, 2_575, 3_625, 4_183, 21_568,
    22_719, 22_741, 23_330, 24_233, 27_547, 29_036, 30_691, 31_017, 35_072, 36_553, 38_986, 219_521, 223_118,
    365_124, 900_102, 1_007_672, 1_008_956, 1_034_271, 1_041_108, 1_053_451, 2_031_711, 2_035_595, 2_043_867,
    4_005_585, 4_065_525, 4_071_093, 4_095_182,
];

/// Worlds that failed once in which old data is pruned.
const PRUNE_REGRESSIONS: &[u64] = &[106, 195, 272, 307_025, 403_242];

/// Worlds with an adversary that failed once.
const ADVERSARY_REGRESSIONS: &[u64] = &[147, 463, 1_093, 2_559];

/// Worlds of memories that failed once.
const MEMORY_REGRESSIONS: &[u64] = &[1_596, 1_971, 1_989, 2_225, 2_441];

/// Result of one run.
pub struct Ran {
    pub check: Check,
    pub trace: Trace,
}

/// Runs something in virtual time.
pub fn in_virtual_time<F: Future<Output = Check>>(aloud: bool, work: impl FnOnce(Trace) -> F) -> Ran {
    let trace = Trace::new(aloud);
    let inner = trace.clone();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let check = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { work(inner).await })));
    let check = check.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(format!("panic: {}", text.unwrap_or_else(|| "of another kind".into())))
    });
    Ran { check, trace }
}

pub fn seed(seed: u64, without: &Without, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { chance::run(seed, without, trace).await })
}

/// Runs what the command line asks for.
pub fn main(args: &[String]) -> ExitCode {
    let value = |name: &str| args.get(args.iter().position(|arg| arg == name)? + 1);
    let number = |name: &str| value(name)?.parse::<u64>().ok();
    let asked = |name: &str| args.iter().any(|arg| arg == name);
    let code = |sound| if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if cogzy_testkit::is_left_out("simulation", args) {
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "planted-bugs")]
    if asked("--planted") {
        return code(crate::planted::all(number("--planted").and_then(|only| usize::try_from(only).ok())));
    }
    if asked("--drift") {
        return code(alike());
    }
    if let Some(one) = number("--seed") {
        let without =
            value("--without").map(|list| list.split(',').filter_map(|at| at.parse().ok()).collect());
        return replay(|| seed(one, &without.unwrap_or_default(), true));
    }
    if let Some(one) = number("--prune") {
        return replay(|| prune_world(one, true));
    }
    if let Some(one) = number("--adversary") {
        return replay(|| adversary_world(one, true));
    }
    if let Some(one) = number("--memory") {
        return replay(|| memory_world(one, true));
    }
    if let Some(Ok(at)) = value("--cut").map(|text| text.parse::<Cut>()) {
        return replay(|| crashes::cut(&at, true));
    }
    let from = number("--from").unwrap_or(0);
    if let Some(count) = number("--prunes") {
        return code(work(&[prunes(from, count)]).iter().all(|came| tell_prunes(from, count, came)));
    }
    if let Some(count) = number("--adversaries") {
        return code(
            work(&[adversaries(from, count)]).iter().all(|came| tell_adversaries(from, count, came)),
        );
    }
    if let Some(count) = number("--memories") {
        return code(work(&[memory_worlds(from, count)]).iter().all(|came| tell_memories(from, count, came)));
    }
    let deep = number("--deep").and_then(|deep| usize::try_from(deep).ok()).unwrap_or(DEEP);
    if asked("--seeds") || asked("--crashes") {
        let only = number("--crashes").and_then(|only| usize::try_from(only).ok());
        let stories = match only {
            Some(only) => vec![only],
            None if asked("--crashes") => stories::every(),
            None => Vec::new(),
        };
        return code(run(&Asked {
            from,
            seeds: number("--seeds").unwrap_or(0),
            stories,
            deep,
            extent: None,
        }));
    }
    let extent = if asked("--whole") || cogzy_testkit::whole() { &WHOLE } else { &QUICK };
    let asked = Asked { from, seeds: extent.seeds, stories: (extent.stories)(), deep, extent: Some(extent) };
    code(run(&asked))
}

/// Runs something aloud, with what the engine logs.
fn replay(run: impl FnOnce() -> Ran) -> ExitCode {
    tracing_subscriber::fmt().without_time().with_max_level(tracing::Level::DEBUG).init();
    let ran = run();
    println!("trace {}", ran.trace.hash());
    match ran.check {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// True if the fakes behave like the originals.
fn alike() -> bool {
    let looked = drift::look();
    match &looked {
        Ok(calls) => {
            println!("{calls} calls answered as by a real disk; the bucket keeps the contract of remotes");
        }
        Err(why) => println!("{why}"),
    }
    looked.is_ok()
}

/// Seeds and crashes to run, from seed `from` on.
struct Asked {
    from: u64,
    seeds: u64,
    stories: Vec<usize>,
    deep: usize,
    /// The amount of a complete run, which has worlds that prune, too, and checks what was reached.
    extent: Option<&'static Extent>,
}

/// Runs crashes and seeds and, in a complete run, worlds that prune. True where all is well.
fn run(asked: &Asked) -> bool {
    let mut sound = asked.extent.is_none() || alike();
    let found = Found::default();
    let mut batches =
        vec![crashes::batch(&asked.stories, asked.deep, &found), seeds(asked.from, asked.seeds)];
    batches.extend(asked.extent.map(|extent| prunes(0, extent.prunes)));
    batches.extend(asked.extent.map(|extent| adversaries(0, extent.adversaries)));
    batches.extend(asked.extent.map(|extent| memory_worlds(0, extent.memories)));
    let clock = SystemClock::new();
    let mut came = work(&batches).into_iter();
    let (crashed, seeded) = (came.next().unwrap(), came.next().unwrap());
    if asked.seeds > 0 {
        sound &= tell_seeds(asked.from, asked.seeds, &seeded);
    }
    if !asked.stories.is_empty() {
        sound &= found.tell(&crashed);
    }
    let mut marks = seeded.marks;
    add(&mut marks, crashed.marks);
    for (name, times) in &marks {
        println!("{times:9}  {name}");
    }
    if let Some(extent) = asked.extent {
        sound &= tell_prunes(0, extent.prunes, &came.next().unwrap());
        sound &= tell_adversaries(0, extent.adversaries, &came.next().unwrap());
        sound &= tell_memories(0, extent.memories, &came.next().unwrap());
        let missing = coverage::missing(&marks, extent.reached);
        missing.iter().for_each(|name| println!("never reached: {name}"));
        sound &= missing.is_empty();
    }
    println!("all in {:.1} s", clock.monotonic().as_secs_f64());
    sound
}

/// Many seeds.
fn seeds(from: u64, count: u64) -> Batch<'static> {
    let first = if count > 0 { REGRESSIONS } else { &[] };
    numbered(first, from, count, |at| seed(at, &Without::new(), false))
}

/// Tells which seeds failed and why. True where none did.
fn tell_seeds(from: u64, count: u64, came: &Came) -> bool {
    for (seed, why) in came.failed.iter().take(20) {
        println!("seed {seed}: {why}\n    cargo test --test simulation -- --seed {seed}");
    }
    for (seed, why) in came.failed.iter().take(3) {
        let list: Vec<String> = shrink::shrink(*seed, why).iter().map(ToString::to_string).collect();
        println!(
            "the least of it: cargo test --test simulation -- --seed {seed} --without {}",
            list.join(",")
        );
    }
    let seconds = came.time.as_secs_f64();
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    println!("{count} seeds from {from}: {} failed; {seconds:.1} s, {rate:.0} a second", came.failed.len());
    came.failed.is_empty()
}

/// Runs with these numbers first, then with `count` from `from` on.
fn numbered<'a>(first: &'a [u64], from: u64, count: u64, run: impl Fn(u64) -> Ran + Sync + 'a) -> Batch<'a> {
    let kept = u64::try_from(first.len()).unwrap();
    let nth = move |at: u64| {
        let old = usize::try_from(at).ok().and_then(|at| first.get(at)).copied();
        old.unwrap_or_else(|| from + at - kept)
    };
    Batch { count: kept + count, run: Box::new(move |at| (nth(at), run(nth(at)))) }
}

/// Worlds in which old data is pruned.
fn prunes(from: u64, count: u64) -> Batch<'static> {
    numbered(PRUNE_REGRESSIONS, from, count, |at| prune_world(at, false))
}

/// Tells which of these worlds failed, and what they reached. True where all is well.
fn tell_prunes(from: u64, count: u64, came: &Came) -> bool {
    for (seed, why) in came.failed.iter().take(20) {
        println!("prune {seed}: {why}\n    cargo test --test simulation -- --prune {seed}");
    }
    let seconds = came.time.as_secs_f64();
    println!("{count} prunes from {from}: {} failed; {seconds:.1} s", came.failed.len());
    for (name, times) in came.marks.iter().filter(|(name, _)| name.starts_with("prune:")) {
        println!("{times:9}  {name}");
    }
    let missing: Vec<&&str> =
        coverage::PRUNES.iter().filter(|name| !came.marks.contains_key(**name)).collect();
    missing.iter().for_each(|name| println!("never reached: {name}"));
    came.failed.is_empty() && (count < QUICK.prunes || missing.is_empty())
}

/// Runs a world in which old data is pruned.
pub fn prune_world(seed: u64, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { prune::run(seed, trace).await })
}

/// Worlds with an adversary.
fn adversaries(from: u64, count: u64) -> Batch<'static> {
    numbered(ADVERSARY_REGRESSIONS, from, count, |at| adversary_world(at, false))
}

/// Tells which of these worlds failed, and what they reached. True where all is well.
fn tell_adversaries(from: u64, count: u64, came: &Came) -> bool {
    for (seed, why) in came.failed.iter().take(20) {
        println!("adversary {seed}: {why}\n    cargo test --test simulation -- --adversary {seed}");
    }
    let seconds = came.time.as_secs_f64();
    println!("{count} adversaries from {from}: {} failed; {seconds:.1} s", came.failed.len());
    let missing: Vec<&&str> =
        coverage::ADVERSARIES.iter().filter(|name| !came.marks.contains_key(**name)).collect();
    missing.iter().for_each(|name| println!("never reached: {name}"));
    came.failed.is_empty() && (count < QUICK.adversaries || missing.is_empty())
}

/// Runs a world with an adversary.
pub fn adversary_world(seed: u64, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { adversary::run(seed, trace).await })
}

/// Worlds of memories.
fn memory_worlds(from: u64, count: u64) -> Batch<'static> {
    numbered(MEMORY_REGRESSIONS, from, count, |at| memory_world(at, false))
}

/// Tells which of these worlds failed, and what they reached. True where all is well.
fn tell_memories(from: u64, count: u64, came: &Came) -> bool {
    for (seed, why) in came.failed.iter().take(20) {
        println!("memory {seed}: {why}\n    cargo test --test simulation -- --memory {seed}");
    }
    let seconds = came.time.as_secs_f64();
    println!("{count} worlds of memories from {from}: {} failed; {seconds:.1} s", came.failed.len());
    for (name, times) in came.marks.iter().filter(|(name, _)| name.starts_with("memories:")) {
        println!("{times:9}  {name}");
    }
    let missing: Vec<&&str> =
        coverage::MEMORIES.iter().filter(|name| !came.marks.contains_key(**name)).collect();
    missing.iter().for_each(|name| println!("never reached: {name}"));
    came.failed.is_empty() && (count < QUICK.memories || missing.is_empty())
}

/// Runs a world of memories.
pub fn memory_world(seed: u64, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { memories::run(seed, trace).await })
}
