//! The engine: its ports and its settings.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use super::{AssembleError, Assembly, clock, entropy};
use crate::config::{self, Finite};
use cogzy_engine::fs::{Escaping, Fs, Holds, RootedFs, Spelling};
use cogzy_engine::model::FileKind;
use cogzy_engine::plan::{Brakes, Limits};
use cogzy_engine::remote::Meter;
use cogzy_engine::state::{Database, FilterRecord, LastSync, RecordError};
use cogzy_engine::sync::{Engine, Merge, Ports, Retention, Settings, StaleIndex, SyncError};
use cogzy_engine::vault::validate::Search;
use cogzy_engine::vault::{Abilities, Filter, Layout, Spellings, abilities};

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Assembly<'_> {
    /// The engine over vault and remote, counting on `meter`. The remote is not asked anything yet.
    ///
    /// # Errors
    /// If the vault is synced with another remote, the remote cannot be opened, the filters do not
    /// compile, or the database cannot be opened.
    pub async fn engine(&self, meter: Meter) -> Result<Engine, AssembleError> {
        // Before the remote is opened, which may be out of reach.
        self.check_remote()?;
        self.joining_engine(meter).await
    }

    /// The engine for joining: the vault may have been synced with another remote before.
    ///
    /// # Errors
    /// See [`Assembly::engine`], except for the other remote.
    pub async fn joining_engine(&self, meter: Meter) -> Result<Engine, AssembleError> {
        // Each takes some milliseconds. None is left alone, whatever becomes of the others: the two
        // work in the vault.
        let (disk, database) = (self.here(), self.here());
        let disks = spawn_blocking(move || disk.disks());
        let database = spawn_blocking(move || database.database());
        let remote = self.decorated_remote(meter.clone()).await;
        let (disks, database) = (ended(disks).await, ended(database).await);
        let settings = self.settings(&disks)?;
        let ports = Ports {
            fs: self.spelled(&disks)?,
            remote: remote?,
            meter,
            database: Arc::new(database?),
            clock: clock(),
            entropy: entropy(),
        };
        Ok(Engine::new(self.layout.clone(), ports, settings))
    }

    /// The engine for looking at the remote only: there may be no vault on this machine.
    ///
    /// # Errors
    /// See [`Assembly::engine`].
    pub async fn reading_engine(&self) -> Result<Engine, AssembleError> {
        let meter = Meter::default();
        if self.here().has_vault() { self.engine(meter).await } else { self.joining_engine(meter).await }
    }

    /// The compiled filters.
    pub(super) fn filter(&self) -> Result<Filter, AssembleError> {
        let filter = &self.config.filter;
        Ok(Filter::new(&filter.include, &filter.exclude)?)
    }

    /// Makes sure that the vault is synced with the remote that is configured.
    fn check_remote(&self) -> Result<(), AssembleError> {
        let record = match LastSync::load(self.disk.as_ref(), &self.layout.last_sync()) {
            // A caller that needs the record reports it; a reset does not need it.
            Err(RecordError::Damaged { .. }) => None,
            loaded => loaded.map_err(SyncError::from)?,
        };
        let configured = self.remote.to_string();
        match record {
            Some(record) if record.remote != configured => {
                Err(SyncError::OtherRemote { known: record.remote, configured }.into())
            }
            _ => Ok(()),
        }
    }

    fn here(&self) -> Here {
        Here { disk: Arc::clone(&self.disk), layout: self.layout.clone(), owner: self.owner }
    }

    /// The disk, with names written as each part of it can hold them. What a disk cannot do is
    /// noted in the log.
    fn spelled(&self, disks: &[(String, Abilities)]) -> Result<Arc<dyn Fs>, AssembleError> {
        let mut spellings = Spellings::load(self.disk.as_ref(), &self.layout).map_err(SyncError::from)?;
        let fs = Escaping::new(Arc::clone(&self.disk), self.layout.root());
        let learned = spellings.learn(self.disk.as_ref(), &self.layout, disks);
        spellings.apply(&fs);
        if let Err(error) = learned {
            tracing::warn!(%error, "what the vault's disk holds cannot be noted");
            let lesser = |can: &Abilities| can.names.is_some_and(|names| names != Holds::All);
            for (folder, _) in disks.iter().filter(|(_, can)| lesser(can)) {
                // Nothing is written there under another name than the one that is meant.
                if spellings.of(folder) == Spelling::Plain {
                    fs.spell(folder, Spelling::Refused);
                }
            }
        }
        for (folder, can) in disks {
            for weaker in spellings.promises(folder, can) {
                tracing::info!(%folder, %weaker, "a disk of the vault can do less than others");
            }
        }
        Ok(Arc::new(fs))
    }

    /// The settle window: never shorter than two steps of a disk's times, and longer where a disk's
    /// clock is behind.
    fn settle(&self, disks: &[(String, Abilities)]) -> Duration {
        let configured = self.config.sync.settle;
        disks.iter().map(|(_, can)| can.settle(configured)).fold(configured, Duration::max)
    }

    fn settings(&self, disks: &[(String, Abilities)]) -> Result<Settings, AssembleError> {
        let config = self.config;
        let (safety, retention) = (&config.safety, &config.retention);
        Ok(Settings {
            remote: self.remote.to_string(),
            device_name: config.device_name.clone(),
            settle: self.settle(disks),
            rehash: config.sync.rehash_interval,
            filter: self.filter()?,
            filter_record: FilterRecord {
                include: config.filter.include.clone(),
                exclude: config.filter.exclude.clone(),
            },
            brakes: Brakes {
                max_delete_percent: safety.max_delete_percent,
                max_shrink_percent: safety.max_shrink_percent,
                min_files: safety.min_files,
            },
            limits: match retention.small_saves {
                config::SmallSaves::Commit => Limits::default(),
                config::SmallSaves::Pack => Limits { enclosed: 0, ..Limits::default() },
            },
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            trash: DAY * retention.trash_days,
            retention: Retention {
                generations: retention.keep_generations,
                age: DAY * retention.keep_days,
                grace: retention.grace,
            },
            seen: Some(self.seen.clone()),
            max_invalid: config.sync.max_invalid,
            stale_index: match config.sync.stale_index {
                config::StaleIndex::LeaveOut => StaleIndex::LeaveOut,
                config::StaleIndex::Hold => StaleIndex::Hold,
            },
            merge: match config.conflict.merge {
                config::Merge::Entries => Merge::Entries,
                config::Merge::Off => Merge::Off,
            },
            rules: config.conflict.rules.clone(),
            texts: config.conflict.texts.clone(),
            search: match config.validation.finite {
                Finite::Full => Search::Full,
                Finite::Sample => Search::Sample,
            },
        })
    }
}

/// The parts that are on this machine.
struct Here {
    disk: Arc<RootedFs>,
    layout: Layout,
    owner: bool,
}

impl Here {
    /// The cache database. In memory if there is no vault on this machine: then there is nothing to
    /// remember.
    fn database(&self) -> Result<Database, AssembleError> {
        Ok(if self.has_vault() {
            let open = if self.owner { Database::open } else { Database::open_beside };
            open(Arc::<RootedFs>::clone(&self.disk), &self.layout.cache_db())?
        } else {
            Database::in_memory()?
        })
    }

    fn has_vault(&self) -> bool {
        self.disk.lstat(&self.layout.sync()).is_ok_and(|stat| stat.kind == FileKind::Folder)
    }

    /// Abilities of the vault's disks, each with its folder. Tried only by whoever holds the
    /// vault's lock; empty where nobody knows.
    fn disks(&self) -> Vec<(String, Abilities)> {
        if !self.owner || !self.has_vault() {
            return Vec::new();
        }
        abilities(self.disk.as_ref(), &self.layout, &|| clock().now_ns()).unwrap_or_else(|error| {
            tracing::warn!(%error, "what the vault's disk can do is not known");
            Vec::new()
        })
    }
}

/// Result of a task that nobody cancels.
async fn ended<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}
