//! Running what was asked for: on all cores, each run with a runtime, a clock and a trace of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cogzy_vault::clock::{Clock, SystemClock};

use crate::chance::{self, Without};
use crate::crashes::{self, Cut};
use crate::oracle::Check;
use crate::trace::{Marks, Trace};
use crate::{coverage, drift, prune, shrink};

/// What `cargo test` runs.
const DEFAULT_SEEDS: u64 = 2_000;

/// Worlds in which old data is pruned that `cargo test` runs.
const DEFAULT_PRUNES: u64 = 500;

/// So many crashes one after the other: that of a cycle, and that of the recovery from it.
const DEEP: usize = 2;

/// Seeds that failed once, by a mistake of the engine.
const REGRESSIONS: &[u64] = &[
    900_102, 1_007_672, 1_008_956, 1_034_271, 1_041_108, 1_053_451, 2_031_711, 2_035_595, 2_043_867,
    4_005_585, 4_065_525, 4_071_093, 4_095_182,
];

/// And such worlds in which old data is pruned.
const PRUNE_REGRESSIONS: &[u64] = &[307_025, 403_242];

/// What came of one run.
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

/// What the command line asks for.
pub fn main(args: &[String]) -> ExitCode {
    let value = |name: &str| args.get(args.iter().position(|arg| arg == name)? + 1);
    let number = |name: &str| value(name)?.parse::<u64>().ok();
    let asked = |name: &str| args.iter().any(|arg| arg == name);
    if asked("--list") {
        println!("simulation: test");
        return ExitCode::SUCCESS;
    }
    #[cfg(feature = "planted-bugs")]
    if asked("--planted") {
        let only = number("--planted").and_then(|only| usize::try_from(only).ok());
        return if crate::planted::all(only) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if asked("--drift") {
        return if alike() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(one) = number("--seed") {
        let without =
            value("--without").map(|list| list.split(',').filter_map(|at| at.parse().ok()).collect());
        return replay(|| seed(one, &without.unwrap_or_default(), true));
    }
    if let Some(one) = number("--prune") {
        return replay(|| prune_world(one, true));
    }
    if let Some(count) = number("--prunes") {
        return if prunes(number("--from").unwrap_or(0), count) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if let Some(Ok(at)) = value("--cut").map(|text| text.parse::<Cut>()) {
        return replay(|| crashes::cut(&at, true));
    }
    let seeds = number("--seeds").unwrap_or(if asked("--crashes") { 0 } else { DEFAULT_SEEDS });
    let default = !asked("--seeds") && !asked("--crashes");
    let only = number("--crashes").and_then(|only| usize::try_from(only).ok());
    let sound = both(
        number("--from").unwrap_or(0),
        seeds,
        default || asked("--crashes"),
        number("--deep").and_then(|deep| usize::try_from(deep).ok()).unwrap_or(DEEP),
        only,
        default,
    );
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One run, aloud, with what the engine logs.
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

/// Whether the fakes are like what they stand for.
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

/// Seeds, then crashes, then a look at what was reached. Whether all is well.
fn both(from: u64, count: u64, crash: bool, deep: usize, only: Option<usize>, complete: bool) -> bool {
    let mut sound = !complete || alike();
    let mut marks = Marks::new();
    let mut add =
        |more: Marks| more.into_iter().for_each(|(name, times)| *marks.entry(name).or_default() += times);
    if count > 0 {
        let clock = SystemClock::new();
        let (failed, reached) = seeds(from, count);
        add(reached);
        for (seed, why) in failed.iter().take(20) {
            println!("seed {seed}: {why}\n    cargo test --test simulation -- --seed {seed}");
        }
        for (seed, why) in failed.iter().take(3) {
            let list: Vec<String> = shrink::shrink(*seed, why).iter().map(ToString::to_string).collect();
            println!(
                "the least of it: cargo test --test simulation -- --seed {seed} --without {}",
                list.join(",")
            );
        }
        let seconds = clock.monotonic().as_secs_f64();
        let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
        println!("{count} seeds from {from}: {} failed; {seconds:.1} s, {rate:.0} a second", failed.len());
        sound &= failed.is_empty();
    }
    if crash {
        let clock = SystemClock::new();
        let (found, reached) = crashes::all(only, deep);
        add(reached);
        let (crashes, failed) = (found.crashes.into_inner(), found.failed.into_inner());
        let seconds = clock.monotonic().as_secs_f64();
        println!("{crashes} crashes: {failed} failed; {seconds:.1} s");
        for (depth, states) in found.states.into_inner().unwrap() {
            println!("{states:9}  different states after {depth} of them");
        }
        sound &= failed == 0;
    }
    for (name, times) in &marks {
        println!("{times:9}  {name}");
    }
    if complete {
        sound &= prunes(0, DEFAULT_PRUNES);
        let missing: BTreeSet<String> = coverage::missing(&marks);
        missing.iter().for_each(|name| println!("never reached: {name}"));
        sound &= missing.is_empty();
    }
    sound
}

/// Many seeds: which failed and why, and what was reached.
fn seeds(from: u64, count: u64) -> (BTreeMap<u64, String>, Marks) {
    numbered(REGRESSIONS, from, count, |at| seed(at, &Without::new(), false))
}

/// Runs with these numbers first, then with `count` from `from` on.
fn numbered(
    first: &[u64],
    from: u64,
    count: u64,
    run: impl Fn(u64) -> Ran + Sync,
) -> (BTreeMap<u64, String>, Marks) {
    let kept = u64::try_from(first.len()).unwrap();
    let nth = |at: u64| {
        let old = usize::try_from(at).ok().and_then(|at| first.get(at)).copied();
        old.unwrap_or_else(|| from + at - kept)
    };
    many(kept + count, |at| (nth(at), run(nth(at))))
}

/// Runs on all cores, each of which has a name.
pub fn many(count: u64, run: impl Fn(u64) -> (u64, Ran) + Sync) -> (BTreeMap<u64, String>, Marks) {
    let next = AtomicU64::new(0);
    let failed: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let marks: Mutex<Marks> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let (name, ran) = run(at);
                    let mut all = marks.lock().unwrap();
                    ran.trace
                        .take_marks()
                        .into_iter()
                        .for_each(|(name, times)| *all.entry(name).or_default() += times);
                    drop(all);
                    if let Err(why) = ran.check {
                        failed.lock().unwrap().insert(name, why);
                    }
                }
            });
        }
    });
    (failed.into_inner().unwrap(), marks.into_inner().unwrap())
}

/// Worlds in which old data is pruned. Whether all is well.
fn prunes(from: u64, count: u64) -> bool {
    let clock = SystemClock::new();
    let (failed, marks) = numbered(PRUNE_REGRESSIONS, from, count, |at| prune_world(at, false));
    for (seed, why) in failed.iter().take(20) {
        println!("prune {seed}: {why}\n    cargo test --test simulation -- --prune {seed}");
    }
    let seconds = clock.monotonic().as_secs_f64();
    println!("{count} prunes from {from}: {} failed; {seconds:.1} s", failed.len());
    for (name, times) in marks.iter().filter(|(name, _)| name.starts_with("prune:")) {
        println!("{times:9}  {name}");
    }
    let missing: Vec<&&str> = coverage::PRUNES.iter().filter(|name| !marks.contains_key(**name)).collect();
    missing.iter().for_each(|name| println!("never reached: {name}"));
    failed.is_empty() && (count < DEFAULT_PRUNES || missing.is_empty())
}

/// One world in which old data is pruned.
pub fn prune_world(seed: u64, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move { prune::run(seed, trace).await })
}
