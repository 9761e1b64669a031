//! Worlds with somebody who has a key to the bucket and means harm, among devices that know nothing
//! of it.
//!
//! The adversary puts junk below `commits/`, forges prune commits and checkpoints (without files,
//! or with a line so often that no sum shows it), makes commits that unpack to more than anybody
//! should read, claims the chunks of others for packs of garbage and other chunks for the contents
//! of others (also for one that a device is about to save), puts old objects again, and keeps new
//! commits from a device for a while. In every fourth world its key may delete, too: it deletes
//! and damages checkpoints, what devices say of themselves, and packs. Devices lose their
//! databases, and one joins only in the end, so that what was forged is read anew.
//!
//! The oracle asks: no device is stopped, none loses a byte, in the end all hold the same, nobody
//! builds on a commit that unpacks to too much, and every version that retention justifies can be
//! put together, but for those whose packs were deleted; of these, too, what a device still holds
//! comes back, the rest is given up, and nothing tells of it as damage any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cogzy_engine::model::{
    ChunkSlot, Codec, Commit, CommitId, CommitKey, CommitKind, Device as Maker, DeviceId, Digest,
    FIRST_FORMAT, Hlc, PackId, PackInfo, Prune, Recipe, VaultId,
};
use cogzy_engine::sync::{
    Advice, Fault, Refusal, Request, Retention, SyncError, Trouble, Unwatched, Verified, Weight,
};
use cogzy_testkit::rng::Rng;

use crate::device::{DAY, Device, Outcome};
use crate::disk::{Kind, UserOp};
use crate::oracle::{Check, visible};
use crate::replayed::{pack_name, parse};
use crate::store::RemoteFaults;
use crate::trace::Trace;
use crate::world::World;
use there::{everything_is_there, nobody_took_a_bomb};

mod edits;
mod forged;
mod repeated;
mod there;

/// Devices from the beginning. One more joins in the end.
const DEVICES: usize = 3;
/// Everything is kept, so that every version must be there in the end.
const ALL: Retention =
    Retention { generations: 1_000_000, age: Duration::ZERO, grace: Duration::from_secs(7 * 24 * 3600) };
/// Retention of every third world. Prunes then delete, whatever the adversary says.
const LITTLE: Retention = Retention { generations: 2, age: Duration::from_secs(2 * 24 * 3600), ..ALL };
const FILES: [&str; 4] = ["traces/a.json", "traces/b.json", "notes/x.txt", "notes/y.txt"];
/// A file of the adversary, whose content a device saves later.
const MISNAMED: &str = "notes/misnamed.txt";
/// One world in so many has a checkpoint with repeated lines.
const REPEATS: u64 = 13;
/// One world in so many has a file whose recipe is wrong.
const MISNAMES: u64 = 2;
/// After this time nothing is done any more that a device could be waiting for.
const ROUNDS: usize = 8;

/// Somebody with a key to the bucket.
#[derive(Default)]
struct Adversary {
    /// Objects that it put, by key.
    made: BTreeSet<String>,
    /// True once it has marked packs that are needed.
    marked: bool,
    /// True once it has swept packs that it had marked: until the next prune, files wait that need
    /// them.
    swept: bool,
    /// Commits that it made and that nobody may take.
    bombs: BTreeSet<CommitKey>,
    /// True if its key may delete.
    deletes: bool,
    /// Packs of others that it has deleted or damaged.
    deleted: BTreeSet<PackId>,
    /// Objects of others that it has deleted or damaged.
    attacked: BTreeSet<String>,
    /// Recipes that it claims for contents of others.
    recipes: Vec<Recipe>,
    /// Path and content that a device saves later, and that is claimed to be there; until a device
    /// has sent it.
    coming: Option<(String, Vec<u8>)>,
    /// True once a device has saved it. What it replaces may wait for a prune, and it too.
    is_saved: bool,
}

/// Runs a seed from the first step to the end.
pub async fn run(seed: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "adversary");
    let kind = Kind {
        exchange: true,
        links: true,
        case: true,
        nfd: false,
        signs: true,
        ordered: true,
        tick_ns: 1_000,
    };
    let mut world = World::new(seed, &[kind; DEVICES + 1], trace);
    let retention = if seed % 3 == 2 { LITTLE } else { ALL };
    for device in &mut world.devices {
        device.retention = retention;
    }
    let mut adversary = Adversary { deletes: seed % 4 == 3, ..Adversary::default() };
    for at in 0..DEVICES {
        sync(&mut world, at, false).await?;
    }
    // Drawn apart, and rare: each device that reads such a checkpoint adds up 65,536 lines.
    let mut other = Rng::stream(seed, "repeated lines");
    let mut repeat_at = seed.is_multiple_of(REPEATS).then(|| other.below(10));
    let mut apart = Rng::stream(seed, "misnamed");
    let misname_at = seed.is_multiple_of(MISNAMES).then(|| apart.below(10));
    for step in 0..10 + rng.below(20) {
        if repeat_at.is_some_and(|at| at <= step) && adversary.repeat(&world, &commits(&world)).await {
            repeat_at = None;
        }
        if misname_at == Some(step) {
            adversary.begin_misname(&world, &mut apart);
        } else if adversary.coming.is_some() && !adversary.is_saved && apart.one_in(3) {
            save_coming(&mut world, apart.below(DEVICES), &mut adversary).await?;
        }
        adversary.look_for_coming(&world);
        let at = rng.below(DEVICES);
        match rng.below(11) {
            0..3 => adversary.act(&world, &mut rng),
            10 => world.devices[at].lose_database(),
            3..5 => world.pass(*rng.pick(&[Duration::from_secs(60), DAY, 8 * DAY])).await,
            5 => prune(&mut world, at, &adversary).await?,
            _ => {
                edits::edit(&world, &mut rng, at);
                sync(&mut world, at, adversary.some_wait()).await?;
            }
        }
        everything_is_there(&world, &adversary, retention)?;
    }
    for device in &world.devices {
        *device.faults.lock().unwrap() = RemoteFaults::default();
    }
    // Whoever waits for what was swept goes on after a prune.
    for _ in 0..ROUNDS {
        if adversary.coming.is_none() {
            break;
        }
        world.pass(8 * DAY).await;
        prune(&mut world, 0, &adversary).await?;
        save_coming(&mut world, 0, &mut adversary).await?;
        adversary.look_for_coming(&world);
    }
    end(&mut world, &adversary).await
}

/// A device saves what was claimed to be there, and sends it. From then on everybody can have it.
async fn save_coming(world: &mut World, at: usize, adversary: &mut Adversary) -> Check {
    let Some((path, bytes)) = adversary.coming.clone() else { return Ok(()) };
    let is_withheld = |device: &Device| device.faults.lock().unwrap().stale > 0;
    // What is withheld from one may be what another one has sent.
    if world.devices.iter().any(is_withheld) {
        return Ok(());
    }
    world.trace.mark("adversary: a misnamed content is saved");
    world.user(at, &UserOp::Replace(path, bytes));
    adversary.is_saved = true;
    sync(world, at, true).await
}

/// A cycle, which nothing that the adversary does may stop. Files may wait only where `some_wait`.
async fn sync(world: &mut World, at: usize, some_wait: bool) -> Check {
    world.pass(Duration::from_secs(3)).await;
    let device = &mut world.devices[at];
    let withheld = device.faults.lock().unwrap().stale > 0;
    match device.cycle(Request::FULL, true).await {
        Outcome::Done(report) => {
            for hold in &report.holds {
                device.decide(hold, true).map_err(|error| format!("{}: {error}", device.name))?;
            }
            let lasts = |trouble: &&Trouble| trouble.weight == Weight::Lasting && !some_wait;
            let waits = report.problems.iter().find(lasts);
            waits.map_or(Ok(()), |trouble| Err(format!("{}: {trouble:?}", device.name)))
        }
        // Its commit is not shown to it.
        Outcome::Failed(error) if withheld && error.advice() == Advice::Offline => Ok(()),
        other => Err(format!("{} is stopped: {other:?}", device.name)),
    }
}

async fn prune(world: &mut World, at: usize, adversary: &Adversary) -> Check {
    let device = &mut world.devices[at];
    let withheld = device.faults.lock().unwrap().stale > 0;
    let some_gone = !adversary.deleted.is_empty() || adversary.coming.is_some();
    match device.prune().await {
        // What is withheld from it is not there for it, and it lets nothing go.
        Some(pruned) if pruned.damaged > 0 && !some_gone && !withheld => {
            Err(format!("{}: {pruned:?}", device.name))
        }
        None if !withheld => Err(format!("{} cannot prune", device.name)),
        _ => Ok(()),
    }
}

/// Nothing is done any more: all devices come to hold the same, old data goes as far as it may, and
/// then everything is there.
async fn end(world: &mut World, adversary: &Adversary) -> Check {
    let retention = world.devices[0].retention;
    for round in 0..ROUNDS {
        world.pass(8 * DAY).await;
        prune(world, round % DEVICES, adversary).await?;
        for at in 0..DEVICES {
            sync(world, at, adversary.some_wait()).await?;
        }
    }
    if !adversary.deleted.is_empty() {
        // Whoever still has what is gone puts it back.
        for at in 0..DEVICES {
            repair(world, at).await?;
        }
    }
    let is_given_up = !adversary.deleted.is_empty() && give_up(world).await?;
    for at in (0..=DEVICES).chain(0..DEVICES) {
        sync(world, at, false).await?;
    }
    let held: Vec<BTreeMap<String, Digest>> =
        world.devices.iter().map(|device| visible(&device.disk.site())).collect();
    if held.iter().any(|files| *files != held[0]) {
        return Err(format!("the devices do not hold the same: {held:?}"));
    }
    everything_is_there(world, adversary, retention)?;
    nobody_took_a_bomb(world, adversary)?;
    let expected = |path: &str| adversary.made.contains(path) || adversary.attacked.contains(path);
    for at in 0..=DEVICES {
        let verified = repair(world, at).await?;
        let is_bad = |fault: &&Fault| {
            let is_pack = fault.path.starts_with("packs/");
            let is_lost =
                !adversary.deleted.is_empty() && verified.lost.iter().any(|lost| lost.path == fault.path);
            !(expected(&fault.path) || is_lost) || is_pack && is_given_up
        };
        if let Some(fault) = verified.faults.iter().find(is_bad) {
            return Err(format!("{}: {fault:?}", world.devices[at].name));
        }
        if let Some(lost) = verified.lost.first().filter(|_| is_given_up) {
            return Err(format!("{}: {lost:?} is told of although it was given up", world.devices[at].name));
        }
    }
    match world.store.lock().overwritten.iter().find(|key| !expected(key)) {
        Some(key) => Err(format!("{key} was whole, and a device put it with other bytes")),
        None => Ok(()),
    }
}

/// Repairs what can be, and returns what was found.
async fn repair(world: &mut World, at: usize) -> Result<Verified, String> {
    let device = &mut world.devices[at];
    let repaired = device.engine().repair(&Unwatched).await;
    let (verified, _) = repaired.map_err(|error| format!("{} cannot verify: {error}", device.name))?;
    Ok(verified)
}

/// Gives up what no device could put back. False if a device has not said that it could read of it,
/// for the adversary may have deleted its word.
async fn give_up(world: &mut World) -> Result<bool, String> {
    let lost = repair(world, 0).await?.lost;
    let device = &mut world.devices[0];
    match device.engine().give_up(&lost, &Unwatched).await {
        Ok((verified, _)) if verified.lost.is_empty() => {
            world.trace.mark("adversary: lost versions are given up");
            Ok(true)
        }
        Err(SyncError::Refused(Refusal::Behind { .. })) => Ok(false),
        other => Err(format!("{} cannot give up what is lost: {other:?}", device.name)),
    }
}

impl Adversary {
    fn act(&mut self, world: &World, rng: &mut Rng) {
        let commits = commits(world);
        let head = commits.keys().rev().find(|key| !self.bombs.contains(key)).copied();
        let Some(head) = head else { return };
        match rng.below(if self.deletes { 14 } else { 11 }) {
            0 => self.junk(world, rng, head),
            1 => self.forge(world, "horizon", head, |commit| {
                commit.prune.horizon = Some(head.seq);
            }),
            2 => {
                let swept = packs(world);
                self.swept |= self.marked;
                self.forge(world, "sweep", head, |commit| {
                    commit.prune = Prune { horizon: Some(head.seq), swept, ..Prune::default() };
                });
            }
            3 => {
                let marked = packs(world);
                self.marked = true;
                self.forge(world, "mark", head, |commit| commit.prune.marked = marked);
            }
            4 => self.poison(world, head, &commits),
            5 => {
                // What is there already is put again.
                let keys: Vec<String> = world.store.lock().objects.keys().cloned().collect();
                let key = rng.pick(&keys).clone();
                let body = world.store.lock().objects[&key].0.clone();
                world.trace.mark("adversary: replay");
                world.store.lock().put(&key, body);
            }
            6 => {
                let device = rng.below(DEVICES);
                world.trace.mark("adversary: withhold");
                world.fault(device, RemoteFaults { stale: 100, ..RemoteFaults::default() });
            }
            7 => self.bomb(world, head),
            8 => self.checkpoint(world, &commits),
            9 => {
                let marked = commits.values().flat_map(|commit| commit.prune.marked.iter().copied());
                let unmarked: BTreeSet<PackId> = marked.collect();
                self.forge(world, "unmark", head, |commit| {
                    commit.prune.unmarked = unmarked.into_iter().collect();
                });
            }
            10 => self.recipe(world, rng, head, &commits),
            _ => self.attack(world, rng),
        }
    }

    /// True where files wait: for packs that are swept or gone, or for a content that nobody has
    /// sent.
    fn some_wait(&self) -> bool {
        self.swept || !self.deleted.is_empty() || self.coming.is_some()
    }

    /// Deletes or damages an object. Of a commit that is gone devices rightly halt; what a commit
    /// has named for less than an hour may yet come, and is waited for.
    fn attack(&mut self, world: &World, rng: &mut Rng) {
        let mut bucket = world.store.lock();
        let old = |key: &str| bucket.time_of(key).is_some_and(|at| at + 3_700_000 < bucket.now_ms());
        let may_go = |key: &&String| !key.starts_with("commits/") && !key.starts_with("vault-") && old(key);
        let keys: Vec<String> = bucket.objects.keys().filter(may_go).cloned().collect();
        if keys.is_empty() {
            return;
        }
        let key = rng.pick(&keys);
        let (mut body, _) = bucket.objects[key].clone();
        let is_damaged = !body.is_empty() && rng.chance(50);
        let how = if is_damaged { "damage" } else { "delete" };
        world.trace.note(format_args!("the adversary: {how} {key}"));
        world.trace.mark(format!("adversary: {how}"));
        if is_damaged {
            let mut bytes = body.to_vec();
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
            body = bytes.into();
            bucket.objects.entry(key.clone()).and_modify(|object| object.0 = body);
        } else {
            bucket.objects.remove(key);
        }
        if self.made.contains(key) {
            return;
        }
        self.attacked.insert(key.clone());
        self.deleted.extend(key.strip_prefix("packs/").map(|rest| rest[3..].parse::<PackId>().unwrap()));
        // The pack in a commit is gone with it.
        let commit = key.strip_prefix("commits/").and_then(CommitKey::parse);
        self.deleted.extend(commit.map(|key| PackId::within(key.id)));
    }
}

/// All commits that can be read.
fn commits(world: &World) -> BTreeMap<CommitKey, Commit> {
    let bucket = world.store.lock();
    let commits = bucket.objects.range("commits/".to_owned().."commits0".to_owned());
    let read = commits.filter_map(|(name, (body, _))| {
        let key = CommitKey::parse(name.strip_prefix("commits/")?)?;
        Some((key, parse(body).ok().filter(|commit| commit.seq == key.seq)?))
    });
    read.collect()
}

/// All packs.
fn packs(world: &World) -> Vec<PackId> {
    let bucket = world.store.lock();
    let packs = bucket.objects.range("packs/".to_owned().."packs0".to_owned());
    packs.map(|(name, _)| name["packs/xx/".len()..].parse().unwrap()).collect()
}
