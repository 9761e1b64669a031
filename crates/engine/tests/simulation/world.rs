//! A world: devices, one bucket, virtual time, and the events in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cogzy_engine::log::LogError;
use cogzy_engine::model::Digest;
use cogzy_engine::plan::Hold;
use cogzy_engine::sync::{Request, SyncError, Trouble};
use cogzy_engine::vault::{ApplyError, Verdict};
use cogzy_testkit::rng::Rng;
use futures_util::future::join_all;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;

use crate::clock::SimClock;
use crate::device::{Device, Outcome};
use crate::disk::{Disk, Kind, UserOp};
use crate::ledger::{Ledger, Versions};
use crate::oracle::{Check, Oracle, visible};
use crate::store::{RemoteFaults, Store};
use crate::trace::Trace;

/// After a heal all must have converged within so many rounds.
const ROUNDS: usize = 16;

pub struct World {
    pub devices: Vec<Device>,
    pub store: Store,
    pub oracle: Oracle,
    pub trace: Trace,
    pub rng: Rng,
}

impl World {
    pub fn new(seed: u64, kinds: &[Kind], trace: Trace) -> Self {
        let (store, versions) = (Store::new(), Versions::default());
        let device = |(at, kind): (usize, &Kind)| {
            let name = format!("d{at}");
            let clock = Arc::new(SimClock::new());
            let ledger = Ledger::new(versions.clone());
            let rng = Rng::stream(seed, &format!("{name} disk"));
            let disk = Disk::new(&name, *kind, rng, clock, trace.clone(), ledger);
            disk.site().furnish();
            Device::new(disk, store.clone(), seed)
        };
        let devices = kinds.iter().enumerate().map(device).collect();
        Self { devices, store, oracle: Oracle::new(versions), trace, rng: Rng::stream(seed, "world") }
    }

    /// The world as it was at `then`, of which another future can be tried.
    pub fn copy(&self, then: Instant) -> Self {
        let store = self.store.copy(then);
        let devices = self.devices.iter().map(|device| device.copy(store.clone(), then)).collect();
        Self { devices, store, oracle: self.oracle.clone(), trace: self.trace.clone(), rng: self.rng.clone() }
    }

    pub async fn pass(&self, time: Duration) {
        self.trace.note(format_args!("{} ms pass", time.as_millis()));
        tokio::time::sleep(time).await;
    }

    /// The user of a device does something.
    pub fn user(&self, device: usize, op: &UserOp) {
        let disk = &self.devices[device].disk;
        disk.clock.tick();
        disk.site().perform(op, disk);
    }

    /// Runs a cycle on each of these devices at the same time, then looks at everything.
    pub async fn cycle(
        &mut self,
        which: &[usize],
        request: Request,
        approved: bool,
    ) -> Result<Vec<Outcome>, String> {
        // A process that starts here finds its vault at its path; only the swaps of the cycle
        // itself can take it away again, at last when all is done.
        for &at in which {
            self.devices[at].engine();
        }
        let away: Vec<bool> = (0..self.devices.len()).map(|at| self.is_away(at)).collect();
        let chosen = self.devices.iter_mut().enumerate().filter(|(at, _)| which.contains(at));
        let outcomes = join_all(chosen.map(|(_, device)| device.cycle(request, approved))).await;
        self.check()?;
        for (&at, outcome) in which.iter().zip(&outcomes) {
            if away[at] && self.is_away(at) && matches!(outcome, Outcome::Done(_)) {
                return Err(format!("d{at}: a cycle went through although its vault is not at its path"));
            }
        }
        Ok(outcomes)
    }

    /// Sets the faults between a device and the bucket from now on.
    pub fn fault(&self, device: usize, faults: RemoteFaults) {
        *self.devices[device].faults.lock().unwrap() = faults;
    }

    /// Checks what must hold at any time.
    pub fn check(&mut self) -> Check {
        self.oracle.read_bucket(&self.store, &self.devices)?;
        self.devices.iter().try_for_each(|device| self.oracle.check_disk(device))
    }

    /// The process of a device ends; with the power, if it is so.
    pub fn crash(&mut self, device: usize, power: bool) -> Check {
        let device = &mut self.devices[device];
        device.kill();
        self.trace.note(format_args!(
            "{} {}",
            device.name,
            if power { "loses its power" } else { "is killed" }
        ));
        self.trace.mark(if power { "power cut" } else { "kill -9" });
        if power {
            device.disk.cut_power();
            // Files displaced by an apply that was cut short may be back in their places.
            device.disk.site().ledger.trashes.clear();
        }
        self.check()
    }

    /// Ends all faults.
    pub fn heal(&mut self) {
        self.trace.note("all heals");
        self.store.settle();
        self.store.lock().roll_forward();
        for (at, device) in self.devices.iter().enumerate() {
            *device.faults.lock().unwrap() = RemoteFaults { delay_ms: 20, ..RemoteFaults::default() };
            let mut site = device.disk.site();
            site.faults = Default::default();
            site.interruptions.clear();
            drop(site);
            self.put_right(at);
            let mut site = device.disk.site();
            let locked: Vec<String> = site.files_below("").into_iter().map(|(path, _)| path).collect();
            for path in locked {
                let readable = site.file(&path).is_none_or(|ino| site.state.node(ino).mode != 0);
                if !readable {
                    site.perform(&UserOp::Unlock(path), &device.disk);
                }
            }
            drop(site);
            device.fuse.unset();
        }
    }

    /// A device is lost for good.
    pub fn part_with(&mut self, device: usize) -> Check {
        self.trace.mark("device: never comes back");
        self.crash(device, true)?;
        self.devices[device].gone = true;
        Ok(())
    }

    /// The devices that are still in use.
    fn in_use(&self) -> Vec<usize> {
        (0..self.devices.len()).filter(|at| !self.devices[*at].gone).collect()
    }

    /// Once nothing goes wrong any more, all devices come to hold what the head says, and then
    /// nothing moves.
    pub async fn converge(&mut self) -> Check {
        self.heal();
        // A clock that was set back makes what it has seen look too young to be touched.
        self.pass(Duration::from_secs(24 * 3600)).await;
        let mut last = String::new();
        for round in 0..ROUNDS {
            // People who decide against each other, by turns, come to an agreement at last.
            let agree = round >= ROUNDS / 2;
            let mut quiet = true;
            let mut generations = BTreeSet::new();
            last.clear();
            for at in self.in_use() {
                self.pass(Duration::from_secs(10)).await;
                let joined = self.devices[at].joined;
                let outcome = self.cycle(&[at], Request::FULL, true).await?.pop();
                let calm = match outcome {
                    Some(Outcome::Done(report)) => {
                        self.decide(at, &report.holds, agree)?;
                        let chose = self.choose_names(at, &report.problems);
                        generations.insert(report.generation);
                        joined && !chose && !report.moved() && report.holds.is_empty() && !report.again()
                    }
                    Some(Outcome::Failed(error)) => {
                        last = format!("{}: {error} ({:?})", self.devices[at].name, error.advice());
                        false
                    }
                    _ => false,
                };
                quiet &= calm;
            }
            // A decision makes a generation in which no file moves.
            if quiet && generations.len() == 1 {
                return self.check_end().await;
            }
        }
        Err(format!("not converged after {ROUNDS} rounds; {last}"))
    }

    /// Chooses for the user if two names differ in letter case only: another name for the file on
    /// this disk, whichever of the two that is. True if there was a choice.
    fn choose_names(&self, at: usize, problems: &[Trouble]) -> bool {
        let clashing = problems.iter().filter(|trouble| trouble.message.contains("letter case"));
        let key = |path: &str| path.nfc().collect::<String>().to_lowercase();
        let keys: BTreeSet<String> = clashing.map(|trouble| key(&trouble.path)).collect();
        // One at a time: both sides of a clash are told of.
        let mut files = self.devices[at].disk.site().files_below("").into_iter();
        let chosen = files.find(|(path, _)| keys.contains(&key(path)));
        chosen.inspect(|(path, _)| self.user(at, &UserOp::Recase(path.clone()))).is_some()
    }

    fn decide(&mut self, at: usize, holds: &[Hold], agree: bool) -> Check {
        for hold in holds {
            let approve = self.rng.chance(70) || agree;
            let decided = self.devices[at].decide(hold, approve);
            decided.map_err(|error| format!("a hold cannot be decided: {error}"))?;
        }
        Ok(())
    }

    async fn check_end(&mut self) -> Check {
        for device in self.devices.iter().filter(|device| !device.gone) {
            let synced = |path: &str| {
                cogzy_engine::model::VaultPath::new(path)
                    .is_ok_and(|path| device.filter.verdict(&path) == Verdict::Synced)
            };
            self.oracle.check_converged(device, &synced)?;
        }
        // The round before this one moved no file; this one writes nothing at all.
        let (puts, effects) = (self.store.lock().puts, self.effects());
        for at in self.in_use() {
            self.pass(Duration::from_secs(10)).await;
            self.cycle(&[at], Request::FULL, true).await?;
        }
        let (puts, effects) = (self.store.lock().puts - puts, self.effects() - effects);
        if puts + effects > 0 {
            return Err(format!("not quiet: {puts} objects put, {effects} writes on disks"));
        }
        Ok(())
    }

    /// Checks that all devices show their users the same files.
    pub fn all_hold_the_same(&self) -> Check {
        let held: Vec<BTreeMap<String, Digest>> =
            self.devices.iter().map(|device| visible(&device.disk.site())).collect();
        match held.iter().find(|files| **files != held[0]) {
            Some(files) => Err(format!("the devices do not hold the same: {:?} and {files:?}", held[0])),
            None => Ok(()),
        }
    }

    fn effects(&self) -> u64 {
        self.devices.iter().map(|device| device.fuse.writes()).sum()
    }

    /// Checks that a cycle reports a failure or damage only if there is one.
    pub fn check_outcome(&self, outcome: &Outcome, sound: bool) -> Check {
        let whole = !self.store.lock().is_rolled_back();
        match outcome {
            // A user has put a link where a folder was, and perhaps taken it away again since. Where
            // it waits for no reason, nothing converges once all links are gone.
            Outcome::Failed(SyncError::Apply(ApplyError::FolderAway(_) | ApplyError::Stranded(_))) => Ok(()),
            Outcome::Failed(error) if sound => {
                Err(format!("a cycle says {:?} for no reason: {error}", error.advice()))
            }
            Outcome::Failed(SyncError::Log(error @ LogError::RolledBack { .. })) if whole => {
                Err(format!("nothing was rolled back: {error}"))
            }
            _ => Ok(()),
        }
    }
}
