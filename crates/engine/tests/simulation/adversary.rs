//! Worlds with somebody who has a key to the bucket and means harm, among devices that know nothing of it.
//!
//! The adversary puts junk below `commits/`, forges prune commits, claims the chunks of others for packs of
//! garbage, puts old objects again, and keeps new commits from a device for a while. It deletes nothing:
//! whoever has the key to that can delete everything. The oracle asks: no device is stopped, none loses a
//! byte, in the end all hold the same, and every version that was ever committed can be put together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use cogzy_engine::content::{open_chunk, stored_in};
use cogzy_engine::model::{
    ChunkSlot, Codec, Commit, CommitId, CommitKey, CommitKind, Device as Maker, DeviceId, Digest,
    FIRST_FORMAT, Hlc, PackId, PackInfo, Prune, Recipe,
};
use cogzy_engine::sync::{Advice, Request, Retention, Trouble, Unwatched, Weight};
use cogzy_testkit::rng::Rng;

use crate::device::{DAY, Outcome};
use crate::disk::{Kind, UserOp};
use crate::oracle::{Check, parse, visible};
use crate::store::RemoteFaults;
use crate::trace::Trace;
use crate::world::World;

const DEVICES: usize = 3;
/// Everything is kept, so that every version must be there in the end.
const ALL: Retention =
    Retention { generations: 1_000_000, age: Duration::ZERO, grace: Duration::from_secs(7 * 24 * 3600) };
const FILES: [&str; 4] = ["traces/a.json", "traces/b.json", "notes/x.txt", "notes/y.txt"];
/// After this time nothing is done any more that a device could be waiting for.
const ROUNDS: usize = 8;

/// Somebody with a key to the bucket.
#[derive(Default)]
struct Adversary {
    /// Objects that it put, by key.
    made: BTreeSet<String>,
    /// True once it has marked packs that are needed.
    marked: bool,
    /// True once it has swept packs that it had marked: until the next prune, files wait that need them.
    swept: bool,
}

/// Runs a seed from the first step to the end.
pub async fn run(seed: u64, trace: Trace) -> Check {
    let mut rng = Rng::stream(seed, "adversary");
    let kind = Kind { exchange: true, case: true, nfd: false, ordered: true, tick_ns: 1_000 };
    let mut world = World::new(seed, &[kind; DEVICES], trace);
    for device in &mut world.devices {
        device.retention = ALL;
    }
    let mut adversary = Adversary::default();
    for at in 0..DEVICES {
        sync(&mut world, at, false).await?;
    }
    for _ in 0..10 + rng.below(20) {
        let at = rng.below(DEVICES);
        match rng.below(10) {
            0..3 => adversary.act(&world, &mut rng),
            3..5 => world.pass(*rng.pick(&[Duration::from_secs(60), DAY, 8 * DAY])).await,
            5 => prune(&mut world, at).await?,
            _ => {
                edit(&world, &mut rng, at);
                sync(&mut world, at, adversary.swept).await?;
            }
        }
    }
    end(&mut world, &adversary).await
}

fn edit(world: &World, rng: &mut Rng, at: usize) {
    let path = (*rng.pick(&FILES)).to_owned();
    let versions = world.oracle.versions.clone();
    let bytes = crate::chance::content(rng, &versions, None, &path);
    world.user(at, &UserOp::Replace(path, bytes));
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

async fn prune(world: &mut World, at: usize) -> Check {
    let device = &mut world.devices[at];
    let withheld = device.faults.lock().unwrap().stale > 0;
    match device.prune().await {
        Some(pruned) if pruned.damaged > 0 => Err(format!("{}: {pruned:?}", device.name)),
        None if !withheld => Err(format!("{} cannot prune", device.name)),
        _ => Ok(()),
    }
}

/// Nothing is done any more: all devices come to hold the same, old data goes as far as it may, and then
/// everything is there.
async fn end(world: &mut World, adversary: &Adversary) -> Check {
    for device in &world.devices {
        *device.faults.lock().unwrap() = RemoteFaults::default();
    }
    for round in 0..ROUNDS {
        world.pass(8 * DAY).await;
        prune(world, round % DEVICES).await?;
        for at in 0..DEVICES {
            sync(world, at, adversary.swept).await?;
        }
    }
    for at in 0..DEVICES {
        sync(world, at, false).await?;
    }
    let held: Vec<BTreeMap<String, Digest>> =
        world.devices.iter().map(|device| visible(&device.disk.site())).collect();
    if held.iter().any(|files| *files != held[0]) {
        return Err(format!("the devices do not hold the same: {held:?}"));
    }
    everything_is_there(world)?;
    for device in &mut world.devices {
        let (verified, _) = device
            .engine()
            .repair(&Unwatched)
            .await
            .map_err(|error| format!("{} cannot verify: {error}", device.name))?;
        let made = |path: &str| adversary.made.contains(path);
        if let Some(fault) = verified.faults.iter().find(|fault| !made(&fault.path)) {
            return Err(format!("{}: {fault:?}", device.name));
        }
    }
    Ok(())
}

/// Every version that a commit names can be put together from what is in the bucket.
fn everything_is_there(world: &World) -> Check {
    let commits = commits(world);
    let bucket = world.store.lock();
    let mut places: BTreeMap<Digest, Vec<(PackId, ChunkSlot)>> = BTreeMap::new();
    for pack in commits.values().flat_map(|commit| &commit.packs) {
        pack.chunks.iter().for_each(|slot| places.entry(slot.id).or_default().push((pack.id, *slot)));
    }
    let recipes: BTreeMap<Digest, &Recipe> =
        commits.values().flat_map(|commit| &commit.recipes).map(|of| (of.digest, &of.recipe)).collect();
    let gives = |(pack, slot): &(PackId, ChunkSlot)| {
        let name = format!("packs/{}/{pack}", &pack.to_string()[..2]);
        let whole = bucket.objects.get(&name).map(|(body, _)| stored_in(slot, body));
        whole.is_some_and(|stored| open_chunk(*pack, slot, stored).is_ok())
    };
    for (key, commit) in &commits {
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).filter_map(|file| file.entry);
        for entry in commit.changes.iter().filter_map(|change| change.entry).chain(kept) {
            let whole = vec![entry.digest];
            let parts = recipes.get(&entry.digest).map(|of| of.parts.iter().map(|part| part.id).collect());
            let chunks: Vec<Digest> = parts.unwrap_or(whole);
            let lost = chunks.iter().find(|id| !places.get(*id).is_some_and(|all| all.iter().any(gives)));
            if let Some(chunk) = lost.filter(|_| entry.size > 0) {
                return Err(format!("chunk {chunk} of {} of commit {key} is lost", entry.digest));
            }
        }
    }
    Ok(())
}

impl Adversary {
    fn act(&mut self, world: &World, rng: &mut Rng) {
        let commits = commits(world);
        let Some(head) = commits.keys().next_back().copied() else { return };
        match rng.below(7) {
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
            _ => {
                let device = rng.below(DEVICES);
                world.trace.mark("adversary: withhold");
                world.fault(device, RemoteFaults { stale: 100, ..RemoteFaults::default() });
            }
        }
    }

    fn put(&mut self, world: &World, key: String, body: impl Into<Bytes>) {
        world.trace.note(format_args!("the adversary puts {key}"));
        world.store.lock().put(&key, body.into());
        self.made.insert(key);
    }

    fn junk(&mut self, world: &World, rng: &mut Rng, head: CommitKey) {
        world.trace.mark("adversary: junk");
        let number = world.oracle.versions.fresh();
        let seq = head.seq + 1 - u64::try_from(rng.below(2)).unwrap();
        let id = CommitId::from_bytes(*Digest::of(&number.to_le_bytes()).as_bytes());
        let bodies: [&[u8]; 4] = [b"", b"junk", b"CGZcmt\x01\x00\x00{}", b"CGZcmt\x63\x00\x00{}"];
        self.put(world, format!("commits/{}", CommitKey { seq, id }), *rng.pick(&bodies));
    }

    /// A well-made commit on `parent` that says what no device would.
    fn forge(&mut self, world: &World, what: &str, parent: CommitKey, change: impl FnOnce(&mut Commit)) {
        world.trace.mark(format!("adversary: {what}"));
        let parents = vec![parent];
        let id = DeviceId::from_bytes([7; 8]);
        let vault = {
            let bucket = world.store.lock();
            let newest = bucket.objects.get(&format!("commits/{parent}")).expect("it was listed");
            parse(&newest.0).expect("it was parsed").vault
        };
        let logical = u32::try_from(world.oracle.versions.fresh()).unwrap();
        let mut commit = Commit {
            format: FIRST_FORMAT,
            vault,
            seq: parent.seq + 1,
            parents,
            txn: Some(Hlc { wall_ms: 1, logical, device: id }),
            device: Some(Maker { id, name: "stranger".into(), reads: None }),
            changes: vec![],
            recipes: vec![],
            packs: vec![],
            groups: None,
            kept: vec![],
            resolved: vec![],
            kind: CommitKind::Sync,
            prune: Prune::default(),
            needs: vec![],
            base: None,
            ext: None,
        };
        change(&mut commit);
        let plain = serde_json::to_vec(&commit).unwrap();
        let id = CommitId::from_bytes(*Digest::of(&plain).as_bytes());
        let body = [b"CGZcmt\x01\x00\x00".as_slice(), &plain].concat();
        self.put(world, format!("commits/{}", CommitKey { seq: commit.seq, id }), body);
    }

    /// A pack of garbage, first in every order, whose table claims all chunks that there are.
    fn poison(&mut self, world: &World, head: CommitKey, commits: &BTreeMap<CommitKey, Commit>) {
        let there = commits.values().flat_map(|commit| &commit.packs).flat_map(|pack| &pack.chunks);
        let chunks: BTreeMap<Digest, u32> = there.map(|slot| (slot.id, slot.len)).collect();
        let number = world.oracle.versions.fresh();
        let (mut slots, mut offset) = (Vec::new(), 8);
        for (id, len) in chunks {
            slots.push(ChunkSlot { id, offset, stored: len, len, codec: Codec::Raw });
            offset += len;
        }
        let size = u64::from(offset) + 41 * u64::try_from(slots.len()).unwrap() + 44;
        if slots.is_empty() || size > 20 << 20 {
            return;
        }
        let mut id = [0; PackId::LEN];
        id[PackId::LEN - 8..].copy_from_slice(&number.to_be_bytes());
        let id = PackId::from_bytes(id);
        let body = vec![7; usize::try_from(size).unwrap()];
        let pack = PackInfo { id, digest: Digest::of(&body), size, chunks: slots };
        self.put(world, format!("packs/{}/{id}", &id.to_string()[..2]), body);
        self.forge(world, "poison", head, |commit| commit.packs = vec![pack]);
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
