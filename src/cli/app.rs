//! The beginning of most verbs: the configuration, the vault's lock, the way to the daemon.

use std::num::NonZeroUsize;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use crate::assemble::Assembly;
use crate::config::{Config, Environment, Flag, LoadOptions, LoadedConfig, SettingSource};
use cogzy_client::paths::{self, Paths};
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::{Fs, RootedFs};
use cogzy_engine::model::FileKind;
use cogzy_engine::remote::{Meter, RemoteUrl};
use cogzy_engine::state::{Database, Failed};
use cogzy_engine::sync::Engine;
use cogzy_engine::vault::{FileLock, Layout};

/// The largest number of threads that tasks run on.
const MAX_THREADS: usize = 4;

/// The configuration, and the places it leads to.
#[derive(Debug)]
pub struct App {
    /// The configuration, and the source of each key.
    pub loaded: LoadedConfig,
    /// The place of this vault's objects: the remote's URL with the user's part.
    pub remote: RemoteUrl,
    /// True if no remote is configured, so that the folder beside the vault stands in.
    pub embedded: bool,
    /// The daemon's socket, whether one listens or not.
    pub socket: PathBuf,
    /// The places where a daemon may listen, that one first.
    pub sockets: Vec<PathBuf>,
    credentials: PathBuf,
    seen: PathBuf,
    environment: Environment,
    /// Opened at its first use: `init` makes the folder.
    disk: OnceLock<Arc<RootedFs>>,
    /// True once this process holds the vault's lock.
    owner: AtomicBool,
}

impl App {
    /// Reads the configuration. With `writing`, the file that was asked for may be missing.
    ///
    /// # Errors
    /// If the configuration cannot be used.
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
        let named = || socket::recorded(&Layout::new(&vault).lock());
        let socket = global.socket.clone().or_else(named).unwrap_or_else(|| paths.socket(&vault));
        if global.socket.is_some() && !paths::fits_socket(&socket) {
            return Err(ClientError::TooLong(socket).into());
        }
        let mut sockets = vec![socket.clone()];
        if global.socket.is_none() {
            sockets.extend(paths.sockets(&vault).into_iter().filter(|path| *path != socket));
        }
        // The keys of one bucket are not those of another: they stand beside its configuration.
        let beside = global.config.as_ref().map(|file| file.with_file_name(paths::CREDENTIALS));
        let credentials = beside.unwrap_or_else(|| paths.credentials_file());
        let seen = paths.seen(&remote.to_string());
        Ok(Self {
            loaded,
            remote,
            embedded,
            socket,
            sockets,
            credentials,
            seen,
            environment,
            disk: OnceLock::new(),
            owner: AtomicBool::new(false),
        })
    }

    /// True while another process holds the vault's lock: a daemon, or a verb at work.
    ///
    /// # Errors
    /// See [`App::lock`], except for a lock that is held.
    pub fn is_held(&self) -> Result<bool, Failure> {
        match self.lock() {
            Ok(lock) => {
                drop(lock);
                self.owner.store(false, Ordering::Relaxed);
                Ok(false)
            }
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

    /// The vault's folder, with every link in its path resolved where it exists.
    #[must_use]
    pub fn layout(&self) -> Layout {
        // Once it is open it stays that folder, wherever a link in its path is set to lead.
        let opened = self.disk.get().map(|disk| disk.root().to_owned());
        Layout::new(opened.unwrap_or_else(|| resolved(&self.config().vault)))
    }

    /// The disk, with the vault's folder held open from the first call on.
    #[must_use]
    pub fn disk(&self) -> &Arc<RootedFs> {
        self.disk.get_or_init(|| {
            let layout = Layout::new(resolved(&self.config().vault));
            Arc::new(RootedFs::open(layout.root(), layout.sync()))
        })
    }

    /// The vault's folder, once it is certain that there is a vault. Call this before anything in
    /// it is opened, or its remote is asked.
    ///
    /// # Errors
    /// If there is no vault.
    pub fn vault(&self) -> Result<Layout, Failure> {
        let (disk, layout) = (self.disk(), self.layout());
        if disk.lstat(&layout.sync()).is_ok_and(|stat| stat.kind == FileKind::Folder) {
            return Ok(layout);
        }
        let root = layout.root().display();
        if !self.is_set_up() {
            return Err(Failure::new(Exit::Usage, format!("nothing is set up yet: {root} is no vault"))
                .next("cogzy-vault init"));
        }
        Err(Failure::new(Exit::Held, format!("{root} is no vault yet, or its disk is not mounted"))
            .next("mount the disk, or run `cogzy-vault init` to make or join a vault there"))
    }

    /// True where somebody has said which vault or which remote is to be kept.
    fn is_set_up(&self) -> bool {
        let said = |key: &&str| {
            let source = self.loaded.keys.get(key).map(|shown| &shown.source);
            matches!(source, Some(SettingSource::File { .. } | SettingSource::Environment(_)))
        };
        self.loaded.file_exists || ["vault", "remote"].iter().any(said)
    }

    /// Notes for `status` how a run by hand has ended badly; a good one is noted by the engine.
    pub fn note_failed(&self, failure: &Failure) {
        let failed = Failed {
            at_ms: SystemClock::new().now_ms(),
            message: failure.message.clone(),
            next: failure.next.clone().unwrap_or_else(|| "cogzy-vault sync".to_owned()),
            code: failure.exit as u8,
        };
        let database = Database::open(Arc::<RootedFs>::clone(self.disk()), &self.layout().cache_db());
        if let Err(error) = database.and_then(|database| database.note_failed(Some(&failed))) {
            tracing::warn!(%error, "the failure could not be noted for the status");
        }
    }

    /// Takes the vault's lock: one program at a time syncs it. A paused daemon has let go of the
    /// lock, and still is that program.
    ///
    /// # Errors
    /// If another program holds it, or there is no vault.
    pub fn lock(&self) -> Result<FileLock, Failure> {
        let (disk, layout) = (self.disk(), self.vault()?);
        let held = |who: &str| {
            let text = format!("{who} the vault {}", layout.root().display());
            Failure::new(Exit::Locked, text)
                .next("wait until it is done; `cogzy-vault status` tells what is there")
        };
        let lock = FileLock::try_take(disk.as_ref(), &layout.lock())?;
        let lock = lock.ok_or_else(|| held("another process holds"))?;
        if UnixStream::connect(&self.socket).is_ok() {
            return Err(held("a daemon keeps"));
        }
        for ours in [layout.sync(), layout.cache_db()] {
            // The owner has decided otherwise.
            let _not_ours = disk.close_to_others(&ours);
        }
        self.owner.store(true, Ordering::Relaxed);
        Ok(lock)
    }

    /// Runs a cycle, or work that needs the same care: by `alone` under the vault's lock, or by
    /// `through` the daemon if one holds it.
    ///
    /// # Errors
    /// Errors of the two, and of [`App::lock`].
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

    /// Everything that decides what is built for this vault.
    #[must_use]
    pub fn assembly(&self) -> Assembly<'_> {
        let Self { loaded, remote, environment, .. } = self;
        let disk = Arc::clone(self.disk());
        let owner = self.owner.load(Ordering::Relaxed);
        let (layout, seen) = (self.layout(), self.seen.clone());
        Assembly { config: &loaded.config, environment, remote, layout, disk, owner, seen }
    }

    /// The engine over the configured vault and remote. The remote is not asked anything yet.
    ///
    /// # Errors
    /// See [`Assembly::engine`].
    pub async fn engine(&self) -> Result<Engine, Failure> {
        Ok(self.assembly().engine(Meter::default()).await?)
    }
}

/// Refuses a remote inside the vault, which would be synced into itself for ever, and a vault
/// inside the remote, which would stand among its objects.
fn apart(vault: &Path, remote: &RemoteUrl) -> Result<(), Failure> {
    let RemoteUrl::Folder(folder) = remote else { return Ok(()) };
    // The path below the user's folder is ours: `users/<id>`.
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

pub(super) fn resolved(vault: &Path) -> PathBuf {
    std::fs::canonicalize(vault).unwrap_or_else(|_| vault.to_owned())
}

fn remote_url(config: &Config) -> Result<(RemoteUrl, bool), Failure> {
    let (base, embedded) = match &config.remote {
        Some(url) => (url.clone(), false),
        None => (RemoteUrl::Folder(paths::embedded_remote(&config.vault)).to_string(), true),
    };
    // The URL alone is checked first, so that an error repeats what the user wrote.
    let _as_written: RemoteUrl = base.parse()?;
    let whole = format!("{}/users/{}", base.trim_end_matches('/'), config.user_id);
    Ok((whole.parse()?, embedded))
}

/// The runtime of a verb.
///
/// # Errors
/// If the system provides no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // These threads wait for the network; computations have threads of their own. More of them
    // would only hold memory.
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MAX_THREADS);
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    built.map_err(|error| Failure::new(Exit::Internal, format!("no threads could be started: {error}")))
}
