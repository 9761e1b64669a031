//! The work of chance on a world: users, outages, crashes.

use std::collections::BTreeSet;
use std::time::Duration;

use cogzy_engine::sync::Ask;
use cogzy_engine::sync::Request;
use cogzy_testkit::rng::Rng;

use crate::attic::Attic;
use crate::device::groups;
use crate::disk::{Kind, UserOp};
use crate::ledger::Versions;
use crate::oracle::Check;
use crate::person;
use crate::pipeline::Pipelines;
use crate::store::RemoteFaults;
use crate::swaps;
use crate::trace::Trace;
use crate::world::World;

const FILES: [&str; 9] = [
    "traces/a.json",
    "traces/b.json",
    "traces/deep/c.json",
    "traces/deep/16:51.json",
    "traces/deep",
    "notes/x.txt",
    "notes/x.",
    "notes/é.txt",
    "private/p.txt",
];
const FOLDERS: [&str; 4] = ["traces/deep", "notes", "traces/moved", "private"];
/// Seconds that a clock is ahead for one cycle.
const JUMP: i64 = 60 * 24 * 3600;
const INDEX: &str = "indexes/faiss.index";

/// A new version, or now and then one that other actors may write too.
pub fn content(rng: &mut Rng, versions: &Versions, state: Option<u64>, path: &str) -> Vec<u8> {
    let number = if state.is_none() && rng.chance(8) { u64::MAX } else { versions.fresh() };
    let mut bytes = format!("{path} {number} {state:?}\n").into_bytes();
    if number == u64::MAX {
        bytes = format!("the same everywhere {}\n", rng.below(3)).into_bytes();
    } else if rng.one_in(25) {
        // Several chunks, most of them the same as in other versions.
        let mut same = Rng::new(7);
        bytes.extend((0..60_000).map(|_| u8::try_from(same.below(256)).unwrap()));
        bytes.extend(format!("{number}").into_bytes());
    } else if rng.one_in(20) && state.is_none() {
        bytes.clear();
    } else {
        bytes.extend(std::iter::repeat_n(b'.', 260 + rng.below(200)));
    }
    versions.add(&bytes, state);
    bytes
}

/// A new state of a group.
pub fn group_update(rng: &mut Rng, versions: &Versions, name: &str) -> UserOp {
    let state = versions.fresh();
    let group = groups().into_iter().find(|group| group.name == name).unwrap();
    let mut files: Vec<(String, Vec<u8>)> =
        group.primary.iter().map(|path| (path.clone(), content(rng, versions, Some(state), path))).collect();
    if name == "nodes" && rng.chance(50) {
        files.push((INDEX.into(), content(rng, versions, None, INDEX)));
    }
    UserOp::Together(files)
}

pub fn user_op(rng: &mut Rng, versions: &Versions) -> UserOp {
    let path = (*rng.pick(&FILES)).to_owned();
    let folder = |rng: &mut Rng| (*rng.pick(&FOLDERS)).to_owned();
    match rng.below(113) {
        0..30 => UserOp::Replace(path.clone(), content(rng, versions, None, &path)),
        30..40 => UserOp::Rewrite(path.clone(), content(rng, versions, None, &path)),
        40..47 => UserOp::Append(path, format!("more {}\n", versions.fresh()).into_bytes()),
        47..57 => UserOp::Delete(path),
        57..82 => {
            let name = if rng.chance(65) { "nodes" } else { "episodes" };
            group_update(rng, versions, name)
        }
        82..85 => {
            let name = rng.below(2);
            UserOp::DeleteTogether(groups()[name].primary.clone())
        }
        85..88 => UserOp::Replace(INDEX.into(), content(rng, versions, None, INDEX)),
        88..91 => UserOp::RenameFolder(folder(rng), folder(rng)),
        91..93 => UserOp::Lock(path),
        93..94 => UserOp::Unlock(path),
        94..97 => UserOp::Hold(path),
        97..100 => UserOp::WriteHeld(format!("late {}\n", versions.fresh()).into_bytes()),
        100..103 => UserOp::Link((*rng.pick(&[FILES.as_slice(), &FOLDERS].concat())).to_owned()),
        103..107 => UserOp::Disguise(path, b'a' + u8::try_from(rng.below(26)).unwrap()),
        107..110 => UserOp::DeleteFolder(folder(rng)),
        _ => UserOp::Recase(if path.contains('.') { path } else { "notes/x.txt".to_owned() }),
    }
}

fn disk_kind(rng: &mut Rng) -> Kind {
    let (exchange, case, nfd, ordered) = (rng.chance(75), rng.chance(85), rng.chance(15), rng.chance(50));
    // What cannot even double a name keeps coarse times and refuses signs, too, as FAT does.
    let tick_ns = *rng.pick(&[1, 1_000, 10_000_000, 1_000_000_000]);
    let links = exchange || tick_ns < 10_000_000;
    Kind { exchange, links, case, nfd, signs: links, ordered, tick_ns }
}

fn remote_faults(rng: &mut Rng) -> RemoteFaults {
    match rng.below(4) {
        0 => RemoteFaults { delay_ms: 50, ..RemoteFaults::default() },
        1 => RemoteFaults {
            before: 5,
            lost_response: 5,
            late: 3,
            stale: 5,
            damaged: 2,
            refused: 2,
            delay_ms: 300,
            ..RemoteFaults::default()
        },
        2 => RemoteFaults {
            before: 15,
            lost_response: 25,
            late: 15,
            stale: 20,
            damaged: 4,
            refused: 4,
            delay_ms: 2_000,
            ..RemoteFaults::default()
        },
        _ => {
            RemoteFaults { lost_response: 10, late: 25, stale: 30, delay_ms: 500, ..RemoteFaults::default() }
        }
    }
}

/// The numbers of steps that are left out: what shrinking tries.
pub type Without = BTreeSet<usize>;

/// Steps of a seed.
pub fn steps(seed: u64) -> usize {
    10 + Rng::stream(seed, "steps").below(50)
}

/// Runs a seed from the first step to the end. Each step draws from a stream of its own, so that
/// leaving one out changes no other.
pub async fn run(seed: u64, without: &Without, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "plan");
    let kinds: Vec<Kind> = (0..=rng.below(3)).map(|_| disk_kind(&mut rng)).collect();
    let mut world = World::new(seed, &kinds, trace);
    let sound = rng.chance(25);
    for (device, kind) in world.devices.iter().zip(&kinds) {
        world.trace.note(format_args!("{} has {kind:?}", device.name));
        if !sound {
            *device.faults.lock().unwrap() = remote_faults(&mut rng);
            device.disk.site().faults.one_in = if rng.chance(25) { 150 } else { 0 };
        }
    }
    for device in &mut world.devices {
        device.mass = *rng.pick(&[3, 8]);
    }
    for (at, device) in world.devices.iter().enumerate() {
        if Rng::stream(seed, &format!("disk inside d{at}")).one_in(3) {
            device.disk.site().mount_a_disk();
        }
    }
    let mut pipelines = Pipelines::new(seed);
    let mut attic = Attic::new(seed, world.devices.len(), sound);
    for number in (0..steps(seed)).filter(|number| !without.contains(number)) {
        world.trace.note(format_args!("step {number}"));
        pipelines.step(&mut world, number).await?;
        if let Some(attic) = &mut attic {
            attic.step(&mut world, number).await?;
        }
        jump(&mut world, seed, number, sound).await?;
        swaps::step(&world, seed, number, sound);
        step(&mut world, &mut Rng::stream(seed, &format!("step {number}")), sound).await?;
    }
    world.heal();
    pipelines.finish(&world);
    farewell(&mut world, seed).await?;
    world.converge().await
}

/// In some seeds a device's clock is two months ahead for one cycle, and right again after it; and
/// the record of what was lost lately gets lost.
async fn jump(world: &mut World, seed: u64, number: usize, sound: bool) -> Check {
    let mut rng = Rng::stream(seed, &format!("jump {number}"));
    if !matches!(seed % 8, 1 | 4) || !rng.one_in(15) {
        return Ok(());
    }
    let at = rng.below(world.devices.len());
    if rng.one_in(10) {
        world.devices[at].lose_reference();
        return Ok(());
    }
    world.trace.mark("clock jump of 60 days");
    if rng.chance(50) {
        let op = user_op(&mut rng, &world.oracle.versions.clone());
        world.user(at, &op);
        world.pass(Duration::from_secs(3)).await;
    }
    world.devices[at].jump(JUMP);
    let outcome = world.cycle(&[at], Request::FULL, true).await?.pop();
    world.devices[at].jump(-JUMP);
    outcome.map_or(Ok(()), |outcome| world.check_outcome(&outcome, sound))
}

/// Now and then a device is lost for good while its last commit is still on its way; the others go
/// on without it.
async fn farewell(world: &mut World, seed: u64) -> Check {
    let mut rng = Rng::stream(seed, "farewell");
    let count = world.devices.len();
    if count < 2 || !rng.chance(8) {
        return Ok(());
    }
    let leaves = rng.below(count);
    let versions = world.oracle.versions.clone();
    world.fault(leaves, RemoteFaults { late_commits: true, ..RemoteFaults::default() });
    for at in (leaves..).map(|at| at % count).take(1 + rng.below(2 * count)) {
        world.user(at, &user_op(&mut rng, &versions));
        world.pass(Duration::from_secs(3)).await;
        world.cycle(&[at], Request::FULL, true).await?;
    }
    world.part_with(leaves)
}

async fn step(world: &mut World, rng: &mut Rng, sound: bool) -> Check {
    let at = rng.below(world.devices.len());
    let versions = world.oracle.versions.clone();
    match rng.below(110) {
        0..42 => world.user(at, &user_op(rng, &versions)),
        42..78 => cycle(world, rng, at, sound).await?,
        78..88 => {
            let seconds = *rng.pick(&[1, 3, 20, 400, 90_000]);
            world.pass(Duration::from_secs(seconds)).await;
        }
        88..91 => {
            let power = rng.chance(50);
            world.crash(at, power)?;
        }
        91..93 => {
            world.devices[at].lose_database();
            world.trace.note(format_args!("d{at} loses its database"));
            world.trace.mark("database lost");
        }
        93 => {
            let hidden = world.devices[at].exclude.len() > 1;
            let mut exclude = vec!["cache/**".to_owned()];
            exclude.extend((!hidden).then(|| "private/**".to_owned()));
            world.trace.note(format_args!("d{at} now excludes {exclude:?}"));
            world.trace.mark("filter changed");
            world.devices[at].set_exclude(exclude);
        }
        94 => {
            let seconds = *rng.pick(&[-7200, -30, 30, 7200]);
            world.trace.mark("clock jump");
            world.devices[at].jump(seconds);
        }
        95..97 if !sound => {
            let mut faults = world.devices[at].faults.lock().unwrap();
            faults.offline = !faults.offline;
        }
        97 if !sound => {
            let mut site = world.devices[at].disk.site();
            site.faults.full = !site.faults.full;
            site.faults.one_in = if rng.chance(50) { 0 } else { 300 };
        }
        98 => world.devices[at].lose_record(),
        100..105 => person::asks(world, rng, at).await?,
        105..107 if !sound => {
            let mut site = world.devices[at].disk.site();
            let faults = &mut site.faults;
            let one = if rng.chance(50) { &mut faults.unmounted } else { &mut faults.read_only };
            *one = !*one;
        }
        107..109 if !sound => roll(world, rng),
        _ => {}
    }
    Ok(())
}

/// The bucket falls back to what it was, or has everything again.
fn roll(world: &World, rng: &mut Rng) {
    let mut bucket = world.store.lock();
    if bucket.is_rolled_back() {
        bucket.roll_forward();
        world.trace.note("the bucket has everything again");
    } else {
        bucket.roll_back(u64::try_from(rng.below(200)).unwrap());
        world.devices.iter().for_each(|device| device.disk.site().ledger.sends_again = true);
        world.trace.note("the bucket falls back to what it was");
        world.trace.mark("remote: rolled back");
    }
}

/// A cycle of one device or of several at once; now and then the user comes in between, or it does
/// not come to its end.
async fn cycle(world: &mut World, rng: &mut Rng, at: usize, sound: bool) -> Check {
    let mut which = vec![at];
    if rng.chance(30) {
        which = (0..world.devices.len()).collect();
    }
    if rng.chance(70) {
        world.pass(Duration::from_secs(3)).await;
    }
    let versions = world.oracle.versions.clone();
    for &at in &which {
        let device = &mut world.devices[at];
        device.watcher.heeded = true;
        device.engine();
        let mut site = device.disk.site();
        site.interruptions.clear();
        // Without exchange, no call would notice a rename over a file at the very last moment.
        if rng.chance(25) && site.state.kind.exchange {
            let after = u64::try_from(rng.below(400)).unwrap();
            site.interruptions.push((after, user_op(rng, &versions)));
        }
        drop(site);
        if rng.chance(15) {
            device.fuse.set(u64::try_from(rng.below(60)).unwrap());
        }
    }
    let approved = rng.chance(30);
    // A watcher that misses a change, and a poll that looks only near the head.
    let mut request = Request::FULL;
    request.ask = Ask { scan: !rng.chance(10), whole: rng.chance(60) };
    if !request.ask.scan {
        world.trace.mark("watcher: missed a change");
    }
    let outcomes = world.cycle(&which, request, approved).await?;
    world.devices.iter_mut().for_each(|device| device.watcher.heeded = false);
    for (&at, outcome) in which.iter().zip(&outcomes) {
        world.check_outcome(outcome, sound)?;
        if matches!(outcome, crate::device::Outcome::Ended) {
            let power = rng.chance(60);
            world.crash(at, power)?;
        } else {
            world.devices[at].fuse.unset();
        }
    }
    for (&at, outcome) in which.iter().zip(outcomes) {
        if let crate::device::Outcome::Done(report) = outcome {
            for hold in report.holds {
                if rng.chance(30) {
                    // A disk that fails keeps nothing; the hold is asked about again.
                    let _failed = world.devices[at].decide(&hold, rng.chance(60));
                }
            }
        }
    }
    Ok(())
}
