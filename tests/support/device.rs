//! A device for scenario tests: the real engine on a real folder, with a clock that the test moves.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use cogzy_engine::clock::{Clock, SystemClock, SystemEntropy};
use cogzy_engine::fs::{Fs, RealFs, RootedFs};
use cogzy_engine::model::{Conflict, Digest, Group, HoldId, Texts, Validate, VaultPath};
use cogzy_engine::plan::{Brakes, Limits, Plan};
use cogzy_engine::remote::{Meter, Metered, Remote};
use cogzy_engine::state::{Database, FilterRecord};
use cogzy_engine::sync::{
    Engine, Joined, Joining, Merge, Ports, Progress, Report, Request, Retention, Rules, Settings, StaleIndex,
    SyncError, Unwatched, Verified, Watcher, join,
};
use cogzy_engine::vault::validate::Search;
use cogzy_engine::vault::{Filter, Layout};

use super::counted::{Counted, Dressed, Opened};
use super::stick;

/// The default configuration's.
const RETENTION: Retention = Retention {
    generations: 100,
    age: Duration::from_secs(30 * 24 * 3600),
    grace: Duration::from_secs(7 * 24 * 3600),
};

/// The system's clock, with the time that the test adds.
#[derive(Debug)]
pub struct ShiftedClock {
    system: SystemClock,
    shift_ns: AtomicI64,
}

impl ShiftedClock {
    /// A clock that shows the system's time.
    pub fn now() -> Arc<Self> {
        Arc::new(Self { system: SystemClock::new(), shift_ns: AtomicI64::new(0) })
    }

    pub fn pass(&self, time: Duration) {
        self.shift_ns.fetch_add(i64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

impl ShiftedClock {
    /// The clock is set back.
    pub fn set_back(&self, time: Duration) {
        self.shift_ns.fetch_sub(i64::try_from(time.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now_ns(&self) -> i64 {
        self.system.now_ns() + self.shift_ns.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }
}

/// One device: a vault folder, and its process.
pub struct Device {
    pub root: PathBuf,
    pub name: String,
    pub exclude: Vec<String>,
    /// The wish of the vault's groups where their files do not fit; counts only for the first to
    /// join.
    pub validate: Validate,
    pub stale_index: StaleIndex,
    pub rules: Rules,
    /// Its treatment of two versions of a group.
    pub merge: Merge,
    /// The folder lives as long as its last device.
    pub folder: Option<Arc<tempfile::TempDir>>,
    /// Retention of a prune by this device.
    pub retention: Retention,
    /// Size of its commits.
    pub limits: Limits,
    remote: Arc<dyn Remote>,
    clock: Arc<ShiftedClock>,
    meter: Meter,
    engine: Option<Engine>,
    /// Files that the engine has opened to read them.
    pub opened: Opened,
    /// Files whose mode it has changed in their places.
    pub dressed: Dressed,
    /// Its disk holds names as FAT does.
    pub stick: bool,
}

/// The groups of the default configuration.
pub fn groups(validate: Validate) -> Vec<Group> {
    let group = |name: &str, primary: [&str; 2], derived: &[&str]| Group {
        name: name.into(),
        primary: primary.map(str::to_owned).to_vec(),
        derived: derived.iter().map(|&glob| glob.to_owned()).collect(),
        validate,
    };
    vec![
        group("nodes", ["corpus/nodes.json", "vectors/nodes.npy"], &["indexes/**"]),
        group("episodes", ["corpus/episodes.json", "vectors/episodes.npy"], &[]),
    ]
}

impl Device {
    /// A device that has joined the vault at `remote`, making it if need be.
    pub async fn joined(folder: &Path, name: &str, remote: Arc<dyn Remote>) -> Self {
        let mut device = Self::new(folder, name, remote);
        device.join(false).await.unwrap();
        device
    }

    /// A device that has not joined anything yet.
    pub fn new(folder: &Path, name: &str, remote: Arc<dyn Remote>) -> Self {
        let root = folder.join(name);
        std::fs::create_dir_all(&root).unwrap();
        let exclude = vec!["cache/**".into(), "logs/**".into()];
        let (clock, meter) = (ShiftedClock::now(), Meter::default());
        let device = Self {
            root,
            name: name.into(),
            exclude,
            validate: Validate::Off,
            stale_index: StaleIndex::default(),
            rules: Rules { quiet: ["updated_at".to_owned()].into(), ..Rules::default() },
            merge: Merge::Off,
            folder: None,
            retention: RETENTION,
            limits: Limits { enclosed_after: 0, ..Limits::default() },
            remote,
            clock,
            meter,
            engine: None,
            opened: Opened::default(),
            dressed: Dressed::default(),
            stick: false,
        };
        device.pass(Duration::from_secs(10));
        device
    }

    /// Lets time pass, so that earlier writes have settled.
    pub fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }

    /// The device's clock jumps so many days ahead, or back.
    pub fn jump(&self, days: i64) {
        self.clock.shift_ns.fetch_add(days * 24 * 3600 * 1_000_000_000, Ordering::Relaxed);
    }

    /// Time that the device's clock shows, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// The process ends and is started again: only the disk remembers.
    pub fn restart(&mut self) {
        self.engine = None;
    }

    /// Sends small packs as objects of their own from now on, for a test of such objects.
    pub fn enclose_nothing(&mut self) {
        self.limits.enclosed = 0;
        self.restart();
    }

    pub fn use_remote(&mut self, remote: Arc<dyn Remote>) {
        self.remote = remote;
        self.engine = None;
    }

    pub fn engine(&mut self) -> &mut Engine {
        if self.engine.is_none() {
            let layout = Layout::new(self.root.canonicalize().unwrap());
            std::fs::create_dir_all(layout.sync()).unwrap();
            let database = Arc::new(Database::open(Arc::new(RealFs), &layout.cache_db()).unwrap());
            let remote: Arc<dyn Remote> =
                Arc::new(Metered::new(Arc::clone(&self.remote), self.meter.clone()));
            let ports = Ports {
                fs: self.fs(&layout),
                remote,
                meter: self.meter.clone(),
                database,
                clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
                entropy: Arc::new(SystemEntropy),
            };
            let settings = Settings {
                remote: self.remote.url(),
                device_name: self.name.clone(),
                settle: Duration::from_secs(2),
                rehash: Duration::from_secs(7 * 24 * 3600),
                filter: Filter::new(&[], &self.exclude).unwrap(),
                filter_record: FilterRecord { include: vec![], exclude: self.exclude.clone() },
                brakes: Brakes::default(),
                limits: self.limits,
                threads: NonZeroUsize::new(2).unwrap(),
                trash: Duration::from_secs(30 * 24 * 3600),
                retention: self.retention,
                max_invalid: Duration::from_secs(300),
                stale_index: self.stale_index,
                merge: self.merge,
                rules: self.rules.clone(),
                texts: Texts::new([&["**/*.log".into()], &[], &["**/*.md".into()]]).unwrap(),
                search: Search::Full,
                seen: None,
            };
            self.engine = Some(Engine::new(layout, ports, settings));
        }
        self.engine.as_mut().unwrap()
    }

    fn fs(&self, layout: &Layout) -> Arc<dyn Fs> {
        if self.stick || layout.names().exists() {
            return stick::opened(layout, self.stick);
        }
        let disk = RootedFs::open(layout.root(), layout.sync());
        Arc::new(Counted { opened: self.opened.clone(), dressed: self.dressed.clone(), disk })
    }

    pub async fn join(&mut self, approved: bool) -> Result<Joined, SyncError> {
        let joining = Joining { groups: groups(self.validate), machine: "test".into(), approved };
        join(self.engine(), &joining, &Unwatched).await
    }

    pub async fn try_sync(&mut self) -> Result<Report, SyncError> {
        self.pass(Duration::from_secs(10));
        self.engine().cycle(Request::FULL, &Unwatched).await
    }

    pub async fn sync(&mut self) -> Report {
        let report = self.try_sync().await;
        report.unwrap_or_else(|error| panic!("{} could not sync: {error}", self.name))
    }

    /// The same without any time passing before.
    pub async fn sync_at_once(&mut self) -> Report {
        self.engine().cycle(Request::FULL, &Unwatched).await.unwrap()
    }

    /// Gives a file the modification time that this device's clock shows.
    pub fn touch(&self, path: &str) {
        let now = UNIX_EPOCH + Duration::from_nanos(self.clock.now_ns().unsigned_abs());
        File::options().write(true).open(self.root.join(path)).unwrap().set_modified(now).unwrap();
    }

    pub async fn verify(&mut self) -> Verified {
        self.engine().verify(true, &Unwatched).await.unwrap()
    }

    pub fn approve(&mut self, hold: HoldId) {
        self.engine().decide(&[hold], &[]).unwrap();
    }

    pub fn reject(&mut self, hold: HoldId) {
        self.engine().decide(&[], &[hold]).unwrap();
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.meter.read().requests
    }

    /// Bytes received so far.
    pub fn bytes_down(&self) -> u64 {
        self.meter.read().bytes_down
    }

    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let fresh = path.with_extension("tmp~");
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    /// Puts other bytes into a file, and its state with the old ones into the cache: like a disk
    /// that loses bits. A test cannot set a ctime, so the cache is told the new one.
    pub fn damage_unnoticed(&self, path: &str, bytes: &[u8]) {
        std::fs::write(self.root.join(path), bytes).unwrap();
        let layout = Layout::new(self.root.canonicalize().unwrap());
        let database = Database::open(Arc::new(RealFs), &layout.cache_db()).unwrap();
        let path = VaultPath::new(path).unwrap();
        let mut cached = database.stats().unwrap()[&path];
        cached.stat = RealFs.lstat(&path.below(layout.root())).unwrap();
        database.update_stats(&BTreeMap::from([(path, Some(cached))]), &[]).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.join(path)).ok()
    }

    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    pub fn delete(&self, path: &str) {
        std::fs::remove_file(self.root.join(path)).unwrap();
    }

    /// All files of the vault that are synced, with the digests of their bytes.
    pub fn files(&self) -> BTreeMap<String, Digest> {
        synced_files(&self.root)
    }

    /// Losing versions on this disk.
    pub fn conflicts(&mut self) -> Vec<Conflict> {
        let conflicts = self.engine().local_conflicts().unwrap();
        conflicts.into_values().map(|local| local.conflict).collect()
    }

    /// The bytes of a losing version on this disk.
    pub fn conflict_bytes(&self, conflict: &Conflict, path: &str) -> Option<Vec<u8>> {
        let path = VaultPath::new(path).unwrap();
        std::fs::read(Layout::new(&self.root).conflict_file(conflict.id, &path)).ok()
    }
}

/// Writes a file at the moment when the plan is made.
pub struct WritesThen<'a>(pub &'a Path, pub &'a str, pub Vec<u8>);

impl Watcher for WritesThen<'_> {
    fn progress(&self, _: Progress) {}

    fn planned(&self, _: &Plan) {
        let fresh = self.0.join("fresh~");
        std::fs::write(&fresh, &self.2).unwrap();
        std::fs::rename(fresh, self.0.join(self.1)).unwrap();
    }
}

/// All files of the vault at `root` that are synced, with the digests of their bytes.
pub fn synced_files(root: &Path) -> BTreeMap<String, Digest> {
    let mut files = BTreeMap::new();
    collect(root, root, &mut files);
    files.retain(|path, _| !["sync/", "cache/", "logs/"].iter().any(|folder| path.starts_with(folder)));
    // The marker, and our folders on disks inside the vault.
    files.retain(|path, _| !path.split('/').any(|name| name == ".cogzy-vault"));
    files.remove("config.json");
    files
}

/// All files below `folder`, named from `root`, with the digests of their bytes.
pub fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Digest>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            collect(root, &path, files);
        } else if path.is_file() {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, Digest::of(&std::fs::read(&path).unwrap()));
        }
    }
}
