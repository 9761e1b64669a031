//! The engine: one cycle after another brings a vault and its remote together.
//!
//! A cycle reads like its own summary ([`Engine::cycle`]): finish what was left half-way → look at the remote → look at the
//! vault → plan → pull → push → tidy. Everything that is decided is decided in [`crate::plan`]; here things are fetched for it
//! and carried out after it. `--dry-run` stops after the plan.
//!
//! What a crash leaves behind, and who picks it up at the next start: an apply journal ([`crate::vault::recover`]), a commit
//! whose outcome is unknown (`sync/pending`), uploaded packs that no commit names (the outbox in the cache database), losing
//! versions that are not committed yet (`sync/conflicts/`), staged files (thrown away).
//!
//! The engine holds no thread and reads no clock of its own; whoever owns it holds the vault's lock.

mod cache;
mod commit;
mod compare;
mod cycle;
mod error;
mod export;
mod fetch;
mod fits;
mod glance;
mod import;
mod join;
mod judge;
mod keep;
mod local;
mod manifest;
mod news;
mod pace;
mod point;
mod prune;
mod pull;
mod push;
mod refusal;
mod repack;
mod repair;
mod report;
mod reset;
mod resolve;
mod restore;
mod rewrite;
mod still;
mod survey;
mod tidy;
mod together;
mod transact;
mod txn;
mod unsent;
mod upload;
mod verify;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub use crate::vault::{TransactError, Transaction};
pub use cache::DatabaseCache;
pub use compare::{Difference, differences};
pub use cycle::{Ask, Request};
pub use error::{Advice, SyncError};
pub use export::{Exported, Versions};
pub use glance::Glance;
pub use import::Imported;
pub use join::{Joined, Joining, join};
pub use keep::{ListedConflict, LocalConflict};
pub use news::{Changes, Moved, News};
pub use pace::Pace;
pub use point::{Generation, GenerationError, Point};
pub use prune::{Objects, PRUNED, Pruned, Retention};
pub use refusal::Refusal;
pub use repair::{Lost, Repaired};
pub use report::{Amount, Phase, Progress, Report, Standing, Trouble, Unwatched, Watcher, Weight};
pub use reset::Reset;
pub use rewrite::Rewritten;
pub use survey::Survey;
pub use unsent::Interrupt;
pub use verify::{Fault, Verified};

pub use crate::log::Past;

use crate::clock::{Clock, Entropy};
use crate::fs::Fs;
use crate::log::Log;
use crate::model::CommitKey;
use crate::plan::Brakes;
use crate::remote::{Meter, Remote};
use crate::state::{Database, FilterRecord};
use crate::vault::validate::Search;
use crate::vault::{Filter, Layout};

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
    layout: Layout,
    ports: Ports,
    settings: Settings,
    log: Option<Log>,
    /// The commit whose manifest this process has seen on disk.
    manifest_of: Option<Option<CommitKey>>,
    /// What is known of the files of groups.
    facts: judge::FactsKnown,
    /// Whether the last survey left something undone that a poll of the remote alone would not see.
    unfinished: bool,
    /// What the last cycle was to send and did not.
    unsent: unsent::Unsent,
    interrupt: Interrupt,
}

impl Engine {
    /// An engine for the vault at `layout`.
    #[must_use]
    pub fn new(layout: Layout, ports: Ports, settings: Settings) -> Self {
        Self {
            layout,
            ports,
            settings,
            log: None,
            manifest_of: None,
            facts: judge::FactsKnown::new(),
            unfinished: false,
            unsent: unsent::Unsent::default(),
            interrupt: Interrupt::default(),
        }
    }

    /// Where the vault is.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    fn fs(&self) -> &dyn Fs {
        self.ports.fs.as_ref()
    }
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
