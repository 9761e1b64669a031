//! The engine: one cycle after another brings a vault and its remote together.
//!
//! A cycle reads like its own summary ([`Engine::cycle`]): finish what was left half-way → look at the
//! remote → look at the vault → plan → pull → push → tidy. Everything that is decided is decided in
//! [`crate::plan`]; here things are fetched for it and carried out after it. `--dry-run` stops after
//! the plan.
//!
//! The rooms, each over the [`session::Session`] of one run: `cycle` is that path, `recovery` goes back
//! to earlier states, `upkeep` looks after the bucket, `joining` makes and joins vaults, `standing`
//! answers questions. Beside them stand what they share: report, errors, conflicts, transactions.
//!
//! What a crash leaves behind, and who picks it up at the next start: an apply journal
//! ([`crate::vault::recover`]), a commit whose outcome is unknown (`sync/pending`), uploaded packs that
//! no commit names (the outbox in the cache database), losing versions that are not committed yet
//! (`sync/conflicts/`), staged files (thrown away).
//!
//! The engine holds no thread and reads no clock of its own; its owner holds the vault's lock.

mod conflicts;
mod cycle;
mod error;
mod interrupt;
mod joining;
mod progress;
mod recovery;
mod reference;
mod refusal;
mod report;
mod session;
mod standing;
mod together;
mod transact;
mod upkeep;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use crate::vault::{TransactError, Transaction};
pub use conflicts::{ListedConflict, LocalConflict};
pub use cycle::{Ask, Request, Survey};
pub use error::{Advice, SyncError};
pub use interrupt::Interrupt;
pub use joining::{Imported, Joined, Joining, join};
pub use progress::{Pace, Phase, Progress, Unwatched, Watcher};
pub use recovery::{
    Difference, Exported, Generation, GenerationError, Point, Reset, Rewritten, Versions, differences,
};
pub use refusal::Refusal;
pub use report::{About, Amount, Report, Standing, Trouble, Weight};
pub use standing::{Changes, Glance, Moved, News};
pub use upkeep::{Fault, Lost, Objects, PRUNED, Pruned, Repaired, Retention, Verified};

pub use crate::log::{Past, devices};

use crate::clock::{Clock, Entropy};
use crate::fs::Fs;
use crate::log::{Log, ObjectCache};
use crate::plan::{Brakes, Limits};
use crate::remote::{Meter, Remote};
use crate::state::{Database, DatabaseError, FilterRecord};
use crate::vault::validate::Search;
use crate::vault::{Filter, Layout};
use session::{Context, Memory};

/// What the engine is told by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The remote's URL.
    pub remote: String,
    /// This device's name, for people.
    pub device_name: String,
    /// For how long a file must have stood still.
    pub settle: Duration,
    /// Files are hashed again after this long, whatever their times say.
    pub rehash: Duration,
    /// What is synced.
    pub filter: Filter,
    /// The same as it was written.
    pub filter_record: FilterRecord,
    /// When to ask first.
    pub brakes: Brakes,
    /// How large the commits of a push may be.
    pub limits: Limits,
    /// How many files are hashed at once.
    pub threads: NonZeroUsize,
    /// How long displaced files stay in the trash.
    pub trash: Duration,
    /// What is kept in the bucket.
    pub retention: Retention,
    /// How long a group may be invalid here before that is an error.
    pub max_invalid: Duration,
    /// How much of a matrix is searched for what is no number.
    pub search: Search,
}

/// The effects that the engine is given.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// The bucket, with all its decorators.
    pub remote: Arc<dyn Remote>,
    /// Counts what goes over the wire.
    pub meter: Meter,
    /// The cache database.
    pub database: Arc<Database>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Keeps one vault and its remote the same.
#[derive(Debug)]
pub struct Engine {
    context: Context,
    memory: Memory,
    log: Option<Log>,
}

impl Engine {
    /// An engine for the vault at `layout`.
    #[must_use]
    pub fn new(layout: Layout, ports: Ports, settings: Settings) -> Self {
        let (facts, interrupt) = (cycle::FactsKnown::new(), Interrupt::default());
        let uplink = cycle::Uplink::default();
        let context = Context { layout, ports, settings, facts, interrupt, uplink };
        Self { context, memory: Memory::default(), log: None }
    }

    /// A second engine over the same vault, for questions while the first one is at work. It must not run cycles.
    #[must_use]
    pub fn reader(&self) -> Self {
        let Context { layout, ports, settings, .. } = &self.context;
        Self::new(layout.clone(), ports.clone(), settings.clone())
    }

    /// Where the vault is.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.context.layout
    }

    /// The cache database.
    #[must_use]
    pub fn database(&self) -> Arc<Database> {
        Arc::clone(&self.context.ports.database)
    }

    /// Lets the cycles to come be broken off.
    pub fn heed(&mut self, interrupt: Interrupt) {
        self.context.interrupt = interrupt;
    }
}

/// The cache database as the log sees it: what it cannot read or keep, the log asks the remote for.
#[derive(Debug)]
struct DatabaseCache(Arc<Database>, Arc<dyn Clock>);

fn object_cache(ports: &Ports) -> Arc<dyn ObjectCache> {
    Arc::new(DatabaseCache(Arc::clone(&ports.database), Arc::clone(&ports.clock)))
}

impl ObjectCache for DatabaseCache {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        served(self.0.object(key)).flatten()
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        served(self.0.put_object(key, bytes));
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        served(self.0.object_keys(prefix)).unwrap_or_default()
    }

    fn remove(&self, key: &str) {
        served(self.0.remove_object(key));
    }

    fn now_ms(&self) -> u64 {
        self.1.now_ms()
    }
}

fn served<T>(result: Result<T, DatabaseError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(%error, "the cache database fails; going on without it")).ok()
}

/// Runs work that blocks (disk, hashing, packing) without stopping other tasks where there are other threads to run them.
/// On a runtime of one thread, as simulations use, it simply runs.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
