//! A disk in memory under the real engine: it crashes before any effect, forgets what was not
//! synced, fails and fills up on demand, and lets the user in between any two calls.

mod content;
mod decided;
mod fs;
mod handles;
mod letter_case;
mod mounts;
mod op;
mod places;
mod rights;
mod slots;
mod state;
mod told;
mod user;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use cogzy_engine::fs::{Escaping, Fs, Spelling};
use cogzy_testkit::rng::Rng;
use tokio::time::Instant;

pub use content::Content;
pub use fs::SimFs;
use mounts::DiskPins;
pub use mounts::{Mounted, is_in, is_ours};
pub use op::UserOp;
pub use places::Stands;
pub use state::{Kind, State};
pub use user::ROOT;

use crate::clock::SimClock;
use crate::fuse::Fuse;
use crate::ledger::Ledger;
use crate::trace::Trace;

/// Faults of a disk while it is used.
#[derive(Debug, Clone, Default)]
pub struct DiskFaults {
    /// One call in so many fails; none of them where this is 0.
    pub one_in: usize,
    /// There is no room for anything.
    pub full: bool,
    /// Neither the engine nor the user can change anything.
    pub read_only: bool,
    /// The disk is not there: an empty folder stands where the vault should be.
    pub unmounted: bool,
}

impl DiskFaults {
    /// True if the user cannot change anything either.
    pub const fn hinders_users(&self) -> bool {
        self.unmounted || self.read_only
    }
}

/// A device's disk, with the user's files on it. It outlives the processes that use it.
#[derive(Debug, Clone)]
pub struct Site {
    pub state: State,
    pub ledger: Ledger,
    pub faults: DiskFaults,
    pub rng: Rng,
    /// Acts of the user during a call of the engine, by the number of calls until then, the next
    /// one last.
    pub interruptions: Vec<(u64, UserOp)>,
    /// The same for swaps of the places that the vault's names lead to.
    pub swaps: Vec<(u64, UserOp)>,
    /// Files that a program holds open for writing.
    pub held_open: Vec<(String, u64)>,
    /// Places that the user has touched since a watcher was last asked.
    pub touched: BTreeSet<String>,
}

/// A site, shared with the process that runs on it.
#[derive(Debug, Clone)]
pub struct Disk {
    pub name: String,
    site: Arc<Mutex<Site>>,
    pub clock: Arc<SimClock>,
    pub trace: Trace,
    pins: DiskPins,
}

impl Disk {
    pub fn new(name: &str, kind: Kind, rng: Rng, clock: Arc<SimClock>, trace: Trace, ledger: Ledger) -> Self {
        let site = Site {
            state: State::new(kind),
            ledger,
            faults: DiskFaults::default(),
            rng,
            interruptions: Vec::new(),
            swaps: Vec::new(),
            held_open: Vec::new(),
            touched: BTreeSet::new(),
        };
        Self { name: name.into(), site: Arc::new(Mutex::new(site)), clock, trace, pins: DiskPins::default() }
    }

    /// The disk as it was at `then`, for a world of its own.
    pub fn copy(&self, then: Instant) -> Self {
        Self {
            name: self.name.clone(),
            site: Arc::new(Mutex::new(self.site().clone())),
            clock: Arc::new(self.clock.copy(then)),
            trace: self.trace.clone(),
            pins: DiskPins::default(),
        }
    }

    /// The disk as a new process finds it.
    pub fn for_process(&self, fuse: &Fuse) -> Arc<dyn Fs> {
        let fs = Arc::new(SimFs::new(self.clone(), fuse.clone()));
        if self.site().state.kind.signs {
            return fs;
        }
        let escaping = Escaping::new(fs, ROOT);
        escaping.spell("", Spelling::Escaped);
        Arc::new(escaping)
    }

    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }

    pub fn cut_power(&self) {
        let mut site = self.site();
        let mut rng = site.rng.clone();
        site.state.cut_power(&mut rng);
        site.rng = rng;
    }
}
