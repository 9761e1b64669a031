//! A folder that a user loses little by little. Its files go, or get other contents or other names,
//! a few at a time with cycles in between. No batch is most of the vault. And the oracle's part:
//! the losses in it that no device may send unasked.
//!
//! No other actor writes to this folder, and no two of its contents are alike.

use std::time::Duration;

use cogzy_engine::model::{Commit, CommitKind, Direction, Item, Reason, Tree, VaultPath};
use cogzy_engine::plan::Hold;
use cogzy_engine::sync::Request;

use crate::device::{Device, Outcome};
use crate::disk::UserOp;
use crate::ledger::Taken;
use crate::oracle::{Check, is_derived};
use crate::world::World;
use cogzy_testkit::rng::Rng;

/// One seed in so many has such a user.
const ONE_SEED_IN: u64 = 8;
/// More than all other files of a vault.
const FILES: usize = 30;
const FOLDER: &str = "attic/";
const OTHER: &str = "loft/";

/// Files that a device may have agreed on and the head lacks, since a deletion by another device
/// may wait here.
const SLACK: usize = 8;
/// Hours of a loss's day: the engine counts a day of its own time, which is never faster than this
/// unless a clock jumps.
const HOURS: i64 = 20;

const HOUR_MS: i64 = 3_600_000;

/// Ways to lose files, or not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Delete,
    Overwrite,
    /// Another content under another name.
    Encrypt,
    /// Another name alone.
    Move,
}

/// The user of one device, who loses the folder.
pub struct Attic {
    seed: u64,
    at: usize,
    way: Way,
    contents: Vec<Vec<u8>>,
    next: usize,
    sound: bool,
}

/// Names of its files.
pub fn paths() -> impl Iterator<Item = String> {
    (0..FILES).map(path)
}

fn path(number: usize) -> String {
    format!("{FOLDER}{number:02}.txt")
}

impl Attic {
    /// The one of this seed, if it has one.
    pub fn new(seed: u64, devices: usize, sound: bool) -> Option<Self> {
        let mut rng = Rng::stream(seed, "attic");
        let way = *rng.pick(&[Way::Delete, Way::Overwrite, Way::Encrypt, Way::Move]);
        let at = rng.below(devices);
        (seed % ONE_SEED_IN == 1).then_some(Self { seed, at, way, contents: Vec::new(), next: 0, sound })
    }

    /// The event before step `number`, if there is one.
    pub async fn step(&mut self, world: &mut World, number: usize) -> Check {
        let rng = &mut Rng::stream(self.seed, &format!("attic {number}"));
        if self.next == FILES || world.devices[self.at].disk.site().faults.hinders_users() {
            return Ok(());
        }
        if self.contents.is_empty() {
            self.fill(world);
            world.pass(Duration::from_secs(3)).await;
        } else if rng.chance(80) {
            world.trace.mark(format!("attic: {:?}", self.way));
            for _ in 0..(2 + rng.below(5)).min(FILES - self.next) {
                self.lose(world, self.next);
                self.next += 1;
            }
            if rng.chance(60) {
                world.pass(Duration::from_secs(3)).await;
            }
        }
        let outcome = world.cycle(&[self.at], Request::FULL, true).await?.pop();
        match outcome {
            Some(Outcome::Done(report)) if self.way == Way::Move && self.sound => {
                let mass = |reason| matches!(reason, Reason::MassDelete | Reason::MassChange);
                let outgoing = |hold: &&Hold| mass(hold.reason) && hold.direction == Direction::Outgoing;
                let ours =
                    |item: &Item| matches!(item, Item::File(path) if path.as_str().starts_with(FOLDER));
                let mut held = report.holds.iter().filter(outgoing);
                match held.find(|hold| hold.items.iter().any(ours)) {
                    Some(hold) => Err(format!("d{} only moves files, and that is held: {hold}", self.at)),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn fill(&mut self, world: &World) {
        let versions = &world.oracle.versions;
        for number in 0..FILES {
            let bytes = format!("{} {} {}\n", path(number), versions.fresh(), ".".repeat(40)).into_bytes();
            versions.add(&bytes, None);
            world.user(self.at, &UserOp::Replace(path(number), bytes.clone()));
            self.contents.push(bytes);
        }
    }

    fn lose(&self, world: &World, number: usize) {
        let versions = &world.oracle.versions;
        let noise = format!("noise {} {}", versions.fresh(), "#".repeat(40)).into_bytes();
        versions.add(&noise, None);
        let other = |name: String, bytes: &[u8]| world.user(self.at, &UserOp::Replace(name, bytes.to_vec()));
        if self.way == Way::Overwrite {
            return other(path(number), &noise);
        }
        let stood = world.devices[self.at].disk.site().file(&path(number)).is_some();
        world.user(self.at, &UserOp::Delete(path(number)));
        match self.way {
            Way::Encrypt => {
                other(format!("{}.locked", path(number)), &noise);
                let ledger = &mut world.devices[self.at].disk.site().ledger;
                ledger.exchanged.extend(stood.then(|| path(number)));
            }
            Way::Move => {
                other(moved(&path(number)), &self.contents[number]);
                let ledger = &mut world.devices[self.at].disk.site().ledger;
                ledger.moved.extend(self.sound.then(|| path(number)));
            }
            Way::Delete | Way::Overwrite => {}
        }
    }
}

/// The other name of a file that moves.
fn moved(path: &str) -> String {
    path.replace(FOLDER, OTHER)
}

/// Judges a commit by its device's earlier losses in the folder. `parent` is the state it changes,
/// and `tree` the one it leaves, at `now_ms` by the bucket's clock.
pub fn judge(commit: &Commit, parent: &Tree, tree: &Tree, devices: &[Device], now_ms: i64) -> Check {
    let maker = commit.device.as_ref().filter(|_| commit.kind == CommitKind::Sync).map(|maker| &maker.name);
    for device in devices {
        let mut site = device.disk.site();
        let ledger = &mut site.ledger;
        ledger.taken.retain(|_, taken| now_ms - taken.at_ms < HOURS * HOUR_MS);
        let mut took = 0;
        let in_attic = |path: &str| path.starts_with(FOLDER) && !path.ends_with(".locked");
        for change in commit.changes.iter().filter(|change| in_attic(change.path.as_str())) {
            let name = change.path.as_str();
            let ours = Some(&device.name) == maker;
            if ours && change.entry.is_none() {
                ledger.exchanged.remove(name);
            }
            if ours && change.entry.is_none() && ledger.moved.contains(name) && !has(tree, &moved(name)) {
                return Err(format!("{} deletes {name} before it sends {}", device.name, moved(name)));
            }
            let back = ledger.taken.get(name).is_some_and(|taken| Some(taken.entry) == change.entry);
            if !ours || back {
                ledger.taken.remove(name);
            } else if let Some(entry) = parent.get(&change.path)
                && !ledger.approved.contains(name)
                && !tree.values().any(|there| there == entry)
            {
                took += 1;
                ledger.taken.entry(name.to_owned()).or_insert(Taken { entry: *entry, at_ms: 0 }).at_ms =
                    now_ms;
            }
        }
        if Some(&device.name) != maker || ledger.approved_any || ledger.excused {
            continue;
        }
        let gone = ledger.taken.keys().filter(|name| !has(parent, name) || !has(tree, name)).count();
        let before = ledger.taken.keys().filter(|name| !has(parent, name)).count();
        let (taken, stood) = (ledger.taken.len(), primary(parent) + before);
        let too_many = gone * 2 > stood + SLACK || taken * 3 > 2 * (stood + SLACK);
        if took > 0 && too_many {
            return Err(format!(
                "{} has taken {taken} of {stood} files within a day, and nobody was asked",
                device.name
            ));
        }
        if primary(tree) == 0 && primary(parent) > 0 {
            return Err(format!("{} deletes all that there is, and nobody was asked", device.name));
        }
        // A file whose loss was sent, and that somebody has brought back since, is not replaced: it
        // stands here again or waits to. Where the disk fails, a missing file may wait for it.
        let held = |plain: &str| {
            let is_sure = site.file(plain).is_none() && site.faults.one_in == 0;
            has(tree, plain) && is_sure && site.ledger.exchanged.contains(plain)
        };
        let stays = |path: &&VaultPath| {
            path.as_str().strip_suffix(".locked").is_some_and(held) && !parent.contains_key(*path)
        };
        let mut sent = commit.changes.iter().map(|change| &change.path);
        if let Some(path) = sent.find(stays) {
            return Err(format!("{} sends {path}, and what it replaces is held", device.name));
        }
    }
    Ok(())
}

fn has(tree: &Tree, name: &str) -> bool {
    tree.contains_key(name)
}

/// Number of files that are not computed again.
fn primary(tree: &Tree) -> usize {
    tree.keys().filter(|path| !is_derived(path.as_str())).count()
}
