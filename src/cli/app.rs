//! What most verbs begin with: the configuration, the remote it names, the engine over both.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use crate::assemble::{open, probe};
use crate::config::{Config, Environment, Finite, Flag, LoadOptions, Loaded};
use cogzy_client::paths::{self, Paths};
use cogzy_engine::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use cogzy_engine::fs::RealFs;
use cogzy_engine::plan::Brakes;
use cogzy_engine::remote::{
    FolderRemote, Limited, Meter, Metered, Paced, Probe, Remote, RemoteUrl, Retry, RetryPolicy,
};
use cogzy_engine::state::{Database, FilterRecord, LastSync, RecordError};
use cogzy_engine::sync::{Engine, Ports, Retention, Settings, SyncError};
use cogzy_engine::vault::validate::Search;
use cogzy_engine::vault::{FileLock, Filter, Layout};
use cogzy_s3::S3Options;

/// Tasks run on no more threads than this.
const MAX_THREADS: usize = 4;

/// The configuration, and where it leads.
#[derive(Debug)]
pub struct App {
    /// What is configured.
    pub loaded: Loaded,
    /// The remote's URL with the user's part: where this vault's objects lie.
    pub remote: RemoteUrl,
    /// Whether that is the folder beside the vault, for want of a configured remote.
    pub embedded: bool,
    /// Where the daemon listens, or would.
    pub socket: PathBuf,
    credentials: PathBuf,
    environment: Environment,
}

impl App {
    /// Reads the configuration. `writing`: the file that was asked for may be missing.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn load(
        global: &Global,
        flags: Vec<Flag>,
        environment: Environment,
        writing: bool,
    ) -> Result<Self, Failure> {
        let paths = Paths::of_this_user()?;
        let file = global.config.clone();
        let options =
            LoadOptions { paths: &paths, file, may_be_missing: writing, environment: &environment, flags };
        let loaded = Config::load(options)?;
        let (remote, embedded) = remote_url(&loaded.config)?;
        let vault = resolved(&loaded.config.vault);
        apart(&vault, &remote)?;
        let own =
            || paths.socket(&vault).unwrap_or_else(|| Layout::new(&vault).sync().join("control/daemon.sock"));
        let socket = global.socket.clone().unwrap_or_else(own);
        let credentials = paths.credentials_file();
        Ok(Self { loaded, remote, embedded, socket, credentials, environment })
    }

    /// Whether somebody holds the vault's lock: a daemon, or a verb that is at work.
    ///
    /// # Errors
    /// Those of [`App::lock`], but for the one that says so.
    pub fn is_held(&self) -> Result<bool, Failure> {
        match self.lock() {
            Ok(_) => Ok(false),
            Err(failure) if failure.exit == Exit::Locked => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// The environment of this process.
    #[must_use]
    pub const fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The file that the service reads credentials from.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.credentials.clone()
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Where the vault is, with every link in its path resolved where it exists.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::new(resolved(&self.config().vault))
    }

    /// Where the vault is, once it is clear that there is one: before anything is opened in it, or asked of its remote.
    ///
    /// # Errors
    /// Where there is none.
    pub fn vault(&self) -> Result<Layout, Failure> {
        let layout = self.layout();
        if layout.sync().is_dir() {
            return Ok(layout);
        }
        let missing = format!("{} is no vault yet, or its disk is not mounted", layout.root().display());
        Err(Failure::new(Exit::Held, missing)
            .next("mount the disk, or run `cogzy-vault init` to make or join a vault there"))
    }

    /// Takes the vault's lock: one program at a time syncs it.
    ///
    /// # Errors
    /// Where another one holds it, or the vault is not there.
    pub fn lock(&self) -> Result<FileLock, Failure> {
        let layout = self.vault()?;
        let held = || {
            let text = format!("another process holds the vault {}", layout.root().display());
            Failure::new(Exit::Locked, text)
                .next("wait until it is done; `cogzy-vault status` tells what is there")
        };
        FileLock::try_take(&layout.lock())?.ok_or_else(held)
    }

    /// Has a cycle, or something that needs as much, run: by `alone` under the vault's lock, or by `through` the daemon where one holds it.
    ///
    /// # Errors
    /// Those of the two; a vault that cannot be locked.
    pub fn cycle<T>(
        &self,
        alone: impl AsyncFnOnce() -> Result<T, Failure>,
        through: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.lock() {
            Ok(lock) => {
                let document = runtime()?.block_on(alone());
                drop(lock);
                document
            }
            Err(failure) if failure.exit == Exit::Locked => runtime()?.block_on(through()),
            Err(failure) => Err(failure),
        }
    }

    /// Makes the folder of a `file://` remote, for `init` and the embedded default.
    ///
    /// # Errors
    /// Those of the remote.
    pub async fn make_remote_folder(&self) -> Result<(), Failure> {
        if let RemoteUrl::Folder(root) = &self.remote {
            FolderRemote::create(root, entropy()).await?;
        }
        Ok(())
    }

    /// The engine over the configured vault and remote. Nothing is asked of the remote yet.
    ///
    /// # Errors
    /// A remote that cannot be opened, filters that do not compile, a database that cannot be made.
    pub async fn engine(&self) -> Result<Engine, Failure> {
        self.metered_engine(Meter::default()).await
    }

    /// The same, counting on `meter`.
    ///
    /// # Errors
    /// As for [`App::engine`].
    pub async fn metered_engine(&self, meter: Meter) -> Result<Engine, Failure> {
        self.check_remote()?;
        self.joining_engine(meter).await
    }

    /// The engine for looking at the remote only: there may be no vault on this machine.
    ///
    /// # Errors
    /// As for [`App::engine`].
    pub async fn reading_engine(&self) -> Result<Engine, Failure> {
        if self.layout().sync().is_dir() {
            self.engine().await
        } else {
            self.joining_engine(Meter::default()).await
        }
    }

    /// Whether the vault is synced with the remote that is configured; before that is opened, for it may not be there.
    fn check_remote(&self) -> Result<(), Failure> {
        let record = match LastSync::load(&RealFs, &self.layout().last_sync()) {
            // Whoever needs it will say so; a reset does not.
            Err(RecordError::Damaged { .. }) => None,
            loaded => loaded.map_err(SyncError::from)?,
        };
        match record {
            Some(record) if record.remote != self.remote.to_string() => {
                let (known, configured) = (record.remote, self.remote.to_string());
                Err(SyncError::OtherRemote { known, configured }.into())
            }
            _ => Ok(()),
        }
    }

    /// The engine for joining: the vault may have been synced with another remote before.
    ///
    /// # Errors
    /// As for [`App::engine`].
    pub async fn joining_engine(&self, meter: Meter) -> Result<Engine, Failure> {
        let config = self.config();
        let filter = Filter::new(&config.filter.include, &config.filter.exclude)?;
        let remote = open(&self.remote, &self.s3_options()?, entropy()).await?;
        let limited = Limited::new(Metered::new(remote, meter.clone()), config.s3.concurrency);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let paced = Paced::new(limited, config.limits.upload, config.limits.download, Arc::clone(&clock));
        let remote: Arc<dyn Remote> = Arc::new(Retry::new(paced, RetryPolicy::default(), entropy()));
        let layout = self.layout();
        // Where there is no vault on this machine, there is nothing to remember for it.
        let there = layout.sync().is_dir();
        let database = if there { Database::open(&layout.cache_db())? } else { Database::in_memory()? };
        let database = Arc::new(database);
        let ports = Ports { fs: Arc::new(RealFs), remote, meter, database, clock, entropy: entropy() };
        let day = Duration::from_secs(24 * 3600);
        let settings = Settings {
            remote: self.remote.to_string(),
            device_name: config.device_name.clone(),
            settle: config.sync.settle,
            rehash: config.sync.rehash_interval,
            filter,
            filter_record: FilterRecord {
                include: config.filter.include.clone(),
                exclude: config.filter.exclude.clone(),
            },
            brakes: Brakes {
                max_delete_percent: config.safety.max_delete_percent,
                max_shrink_percent: config.safety.max_shrink_percent,
                min_files: config.safety.min_files,
            },
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            trash: day * config.retention.trash_days,
            retention: Retention {
                generations: config.retention.keep_generations,
                age: day * config.retention.keep_days,
                grace: config.retention.grace,
            },
            max_invalid: config.sync.max_invalid,
            search: match config.validation.finite {
                Finite::Full => Search::Full,
                Finite::Sample => Search::Sample,
            },
        };
        Ok(Engine::new(layout, ports, settings))
    }

    /// A look at the remote, which waits for no slow answer.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn probe(&self) -> Result<Probe, Failure> {
        let (connect_timeout, operation_timeout) = (Duration::from_secs(10), Duration::from_secs(30));
        let options = S3Options { connect_timeout, operation_timeout, ..self.s3_options()? };
        Ok(probe(&self.remote, &options, entropy()).await?)
    }

    /// The remote at `url`, or the vault's own, for reading plain objects that lie there.
    ///
    /// # Errors
    /// A URL that cannot be used; those of the remote.
    pub async fn plain_source(&self, url: Option<&str>) -> Result<Arc<dyn Remote>, Failure> {
        let url = match url {
            Some(url) => url.parse()?,
            None => self.remote.clone(),
        };
        if let (RemoteUrl::Folder(folder), false) = (&url, url == self.remote) {
            let text = format!("{} is a folder", folder.display());
            return Err(
                Failure::new(Exit::Usage, text).next("copy its files into the vault, then cogzy-vault sync")
            );
        }
        let remote = open(&url, &self.s3_options()?, entropy()).await?;
        Ok(Arc::new(Retry::new(
            Limited::new(remote, self.config().s3.concurrency),
            RetryPolicy::default(),
            entropy(),
        )))
    }

    fn s3_options(&self) -> Result<S3Options, Failure> {
        let s3 = &self.config().s3;
        let b2 = matches!(&self.remote, RemoteUrl::Bucket(_)) && self.remote.to_string().starts_with("b2:");
        Ok(S3Options {
            endpoint: s3.endpoint.clone(),
            region: s3.region.clone(),
            profile: s3.profile.clone(),
            path_style: s3.path_style,
            // A B2 key is meant for B2, or for whatever endpoint is given; AWS knows nothing of it.
            key: if b2 || s3.endpoint.is_some() { self.environment.b2_key()? } else { None },
            connect_timeout: s3.connect_timeout,
            operation_timeout: s3.operation_timeout,
        })
    }
}

/// A remote inside the vault would be synced into itself for ever; a vault inside the remote would stand among its objects.
fn apart(vault: &Path, remote: &RemoteUrl) -> Result<(), Failure> {
    let RemoteUrl::Folder(folder) = remote else { return Ok(()) };
    // What follows the user's folder is ours: `users/<id>`.
    let folder = folder.ancestors().nth(2).unwrap_or(folder);
    let folder = resolved(folder);
    if folder.starts_with(vault) || vault.starts_with(&folder) {
        let text = format!(
            "the vault {} and the remote {} lie one inside the other",
            vault.display(),
            folder.display()
        );
        return Err(Failure::new(Exit::Usage, text)
            .next("choose a folder for the remote that is not above or below the vault"));
    }
    Ok(())
}

fn resolved(vault: &Path) -> PathBuf {
    std::fs::canonicalize(vault).unwrap_or_else(|_| vault.to_owned())
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}

fn remote_url(config: &Config) -> Result<(RemoteUrl, bool), Failure> {
    let (base, embedded) = match &config.remote {
        Some(url) => (url.clone(), false),
        None => (RemoteUrl::Folder(paths::embedded_remote(&config.vault)).to_string(), true),
    };
    // The URL alone is checked first, so that an error speaks of what the user wrote.
    let _as_written: RemoteUrl = base.parse()?;
    let whole = format!("{}/users/{}", base.trim_end_matches('/'), config.user_id);
    Ok((whole.parse()?, embedded))
}

/// The runtime that a verb runs on.
///
/// # Errors
/// Where the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Threads wait for the network; what computes has threads of its own. More of them would only hold memory.
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    built.map_err(|error| Failure::new(Exit::Internal, format!("no threads could be started: {error}")))
}
