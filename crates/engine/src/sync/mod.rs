//! The engine: one cycle after another brings a vault and its remote together.
//!
//! A cycle reads like its own summary ([`Engine::cycle`]): finish what was left half-way → look at
//! the remote → look at the vault → plan → pull → push → tidy. [`crate::plan`] decides about each
//! item; this module fetches its inputs and carries out its steps. `--dry-run` stops after the
//! plan.
//!
//! The rooms, each over the `session::Session` of one run: `cycle` is that path, `recovery` goes
//! back to earlier states, `upkeep` looks after the bucket, `joining` makes and joins vaults,
//! `standing` answers questions. Beside them stand what they share: report, errors, conflicts
//! and their merges, transactions.
//!
//! A crash leaves an apply journal ([`crate::vault::recover`]), a commit whose outcome is unknown
//! (`sync/pending`), uploaded packs that no commit names (the outbox in the cache database), losing
//! versions that are not committed yet (`sync/conflicts/`), or staged files, which are thrown away.
//! The next start picks up each of them.
//!
//! The engine holds no thread and reads no clock of its own; its owner holds the vault's lock.

mod bases;
mod beside;
mod brought;
mod conflicts;
mod cycle;
mod error;
mod gathered;
mod interrupt;
mod joining;
mod left_out;
mod lineage;
mod merging;
mod progress;
mod recovery;
mod reference;
mod refusal;
mod report;
mod reverts;
mod seen;
mod session;
mod sound;
mod standing;
mod together;
mod transact;
mod upkeep;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::memories::{
    Edit, Expectation, Found, Id, MemoriesError, Put, StagedRow, StagedRows, Unedited, Vector,
};
pub use crate::merge::{Clash, Rank, Ranks, Rules};
pub use crate::vault::{TransactError, Transaction};
pub use conflicts::{ListedConflict, LocalConflict};
pub use cycle::{Ask, Request, Survey, WHOLE_LISTING};
pub use error::{Advice, SyncError};
pub use interrupt::Interrupt;
pub use joining::{Imported, Joined, Joining, join};
pub use left_out::LeftOut;
pub use progress::{Pace, Phase, Progress, Unwatched, Watcher};
pub use recovery::{
    Difference, Exported, Generation, GenerationError, Point, Reset, Rewritten, Target, Versions, differences,
};
pub use refusal::Refusal;
pub use report::{About, Amount, Noted, Report, Standing, Trouble, Weight};
pub use standing::{Changes, Glance, LastKnown, MemoryChanges, Moved, News, Probed, Since, SinceError};
pub use upkeep::{Fault, Lost, Objects, PRUNED, PruneRun, Pruned, Repaired, Retention, Verified};

pub use crate::log::{Aside, Past, devices};

use crate::clock::{Clock, Entropy};
use crate::fs::Fs;
use crate::log::{Enclosing, Holders, Log, ObjectCache};
use crate::model::{Item, Texts};
use crate::plan::{Brakes, Limits};
use crate::remote::{Meter, Remote};
use crate::state::{Database, DatabaseError, FilterRecord};
use crate::vault::validate::Search;
use crate::vault::{Filter, Layout};
use gathered::Gathered;
use session::{Context, Memory};

/// Settings of the engine, from the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL of the remote.
    pub remote: String,
    /// Name of this device, for people.
    pub device_name: String,
    /// Time for which a file must have stood still.
    pub settle: Duration,
    /// Time after which a file is hashed again, whatever its own times say.
    pub rehash: Duration,
    /// Rules for which files are synced.
    pub filter: Filter,
    /// The same rules as they were written.
    pub filter_record: FilterRecord,
    /// Limits above which a change waits for approval.
    pub brakes: Brakes,
    /// Size of the commits of a push.
    pub limits: Limits,
    /// Number of files hashed at once, and of threads that encode chunks, up to four.
    pub threads: NonZeroUsize,
    /// Time for which displaced files stay in the trash.
    pub trash: Duration,
    /// History kept in the bucket.
    pub retention: Retention,
    /// Time for which a group may be invalid here before that is an error.
    pub max_invalid: Duration,
    /// Fate of derived members that were not computed again for that long.
    pub stale_index: StaleIndex,
    /// Treatment of conflicts over groups of memories, and over `texts`.
    pub merge: Merge,
    /// Single files that merge line by line.
    pub texts: Texts,
    /// Wishes for merges of memories.
    pub rules: Rules,
    /// Extent of the search for values in a matrix that are no numbers.
    pub search: Search,
    /// File outside the vault's folder that notes the newest commit which this machine has seen.
    pub seen: Option<PathBuf>,
}

/// Fate of a group whose derived members alone are wrong for longer than it may be invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StaleIndex {
    /// The primary members are committed, and the derived ones are deleted by that commit. The
    /// stale ones stay here until they are computed again or the group changes elsewhere.
    #[default]
    LeaveOut,
    /// The group is held back.
    Hold,
}

impl Settings {
    /// True if two versions of an item may become one: of a group, or of a text.
    fn can_merge(&self, item: &Item) -> bool {
        match item {
            Item::Group(_) => true,
            Item::File(path) => self.texts.of(path).is_some(),
        }
    }
}

/// Treatment of a conflict over a group of memories, or over a text, whose losing version was this
/// device's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merge {
    /// Its two versions are merged, memory by memory or line by line. A memory that both changed
    /// waits for a person; so does a text of which both changed the same lines.
    #[default]
    Entries,
    /// It waits for a person.
    Off,
}

/// Effects that the engine is given.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The disk.
    pub fs: Arc<dyn Fs>,
    /// The bucket, with all its decorators.
    pub remote: Arc<dyn Remote>,
    /// Meter of the traffic with the remote.
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
    gathered: Gathered<transact::Asked, transact::Written>,
}

impl Engine {
    /// An engine for the vault at `layout`.
    #[must_use]
    pub fn new(layout: Layout, mut ports: Ports, settings: Settings) -> Self {
        // All that reads packs finds those that stand in commits, too.
        let (holders, cache) = (Arc::default(), object_cache(&ports));
        ports.remote = Arc::new(Enclosing::new(ports.remote, cache, Arc::clone(&holders)));
        Self::over(layout, ports, settings, holders)
    }

    fn over(layout: Layout, ports: Ports, settings: Settings, holders: Arc<Holders>) -> Self {
        let (facts, interrupt) = (cycle::FactsKnown::new(), Interrupt::default());
        let (uplink, shown, indexed, judged) = Default::default();
        let context =
            Context { layout, ports, settings, facts, interrupt, uplink, shown, indexed, holders, judged };
        Self { context, memory: Memory::default(), log: None, gathered: Gathered::default() }
    }

    /// A second engine over the same vault, for questions while the first one works. It must not
    /// run cycles.
    #[must_use]
    pub fn reader(&self) -> Self {
        let Context { layout, ports, settings, holders, .. } = &self.context;
        Self::over(layout.clone(), ports.clone(), settings.clone(), Arc::clone(holders))
    }

    /// Places of the vault's files.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.context.layout
    }

    /// The cache database.
    #[must_use]
    pub fn database(&self) -> Arc<Database> {
        Arc::clone(&self.context.ports.database)
    }

    /// Lets `interrupt` end later cycles early.
    pub fn heed(&mut self, interrupt: Interrupt) {
        self.context.interrupt = interrupt;
    }
}

/// The cache database as the log sees it. Whatever it cannot read or keep, the log asks the remote
/// for.
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

/// Runs work that blocks (disk, hashing, packing) without stopping other tasks, if other threads
/// can run them. On a runtime of one thread, as in simulations, it simply runs.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    if has_other_threads() { tokio::task::block_in_place(work) } else { work() }
}

/// Result of a task, or the error that it did not come to an end.
fn joined<T>(task: Result<T, tokio::task::JoinError>) -> Result<T, SyncError> {
    task.map_err(|error| SyncError::Upload(error.to_string()))
}

/// True if other threads of the runtime go on while this one blocks.
fn has_other_threads() -> bool {
    use tokio::runtime::{Handle, RuntimeFlavor};
    Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
}
