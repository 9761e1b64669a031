//! A device: a disk that lasts, and processes that come and go on it.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cogzy_engine::clock::Clock;
use cogzy_engine::model::{Item, Texts};
use cogzy_engine::plan::{Brakes, Hold, Limits};
use cogzy_engine::remote::{Meter, Metered, Remote, Retry, RetryPolicy};
use cogzy_engine::state::{Database, FilterRecord};
use cogzy_engine::sync::{
    Advice, Engine, Joining, Merge, Ports, Pruned, Report, Request, Retention, Rules, Settings, StaleIndex,
    SyncError, Unwatched, join,
};
use cogzy_engine::vault::{Filter, Layout};
use cogzy_testkit::rng::Rng;
use tokio::time::Instant;

use crate::arms::Arms;
use crate::disk::{Disk, Stands};
use crate::entropy::SimEntropy;
use crate::fuse::Fuse;
use crate::pipeline;
use crate::rumours::Rumours;
use crate::store::{RemoteFaults, SimRemote, Store};
use crate::trace::Trace;
use crate::worlds;

pub use crate::pipeline::groups;

mod loss;
mod selected;

pub const DAY: Duration = Duration::from_secs(24 * 3600);
pub const SETTLE: Duration = Duration::from_secs(2);

/// The outcome of a cycle.
#[derive(Debug)]
pub enum Outcome {
    Done(Box<Report>),
    /// Both sides hold files, and the user must agree that the remote's win.
    Meets,
    Failed(SyncError),
    /// The process ended in the middle.
    Ended,
}

pub struct Device {
    pub name: String,
    pub disk: Disk,
    pub faults: Arc<Mutex<RemoteFaults>>,
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// The rest of it.
    pub filter: Filter,
    /// Files that make a mass.
    pub mass: usize,
    /// Size of its commits.
    pub limits: Limits,
    pub joined: bool,
    /// It will not be seen again.
    pub gone: bool,
    pub fuse: Fuse,
    pub retention: Retention,
    pub trash: Duration,
    pub merge: Merge,
    pub store: Store,
    pub watcher: Rumours,
    rng: Arc<Mutex<Rng>>,
    entropy: Arc<SimEntropy>,
    pub database: Arc<Database>,
    engine: Option<Engine>,
    trace: Trace,
}

/// Files that merge line by line. A member of a group must not, whatever a pattern says.
const LINES: [&str; 2] = ["**/*.log", "corpus/nodes.json"];

/// Every other device cuts what it sends into small commits, and every other one puts small packs
/// into its commits. Worlds that failed before there was that stay as they were.
fn limits(rng: &mut Rng, enclosing: &mut Rng, seed: u64) -> Limits {
    let limits = match rng.chance(50) {
        true => Limits::default(),
        false => Limits {
            described: u64::try_from(rng.below(3000)).unwrap(),
            content: 1 << 20,
            ..Limits::default()
        },
    };
    let encloses = enclosing.chance(50) && !worlds::failed_once(seed);
    Limits { enclosed: if encloses { limits.enclosed } else { 0 }, enclosed_after: 0, ..limits }
}

fn database() -> Arc<Database> {
    Arc::new(Database::in_memory().unwrap())
}

impl Device {
    pub fn new(disk: Disk, store: Store, seed: u64) -> Self {
        let (name, trace) = (disk.name.clone(), disk.trace.clone());
        let stream = |part: &str| Rng::stream(seed, &format!("{name} {part}"));
        let (include, exclude) =
            (selected::include(&mut stream("include"), seed), vec!["cache/**".to_owned()]);
        Self {
            faults: Arc::default(),
            filter: selected::filter(&include, &exclude),
            include,
            exclude,
            mass: 8,
            limits: limits(&mut stream("limits"), &mut stream("enclosed"), seed),
            joined: false,
            gone: false,
            fuse: Fuse::new(),
            retention: Retention { generations: 100, age: 30 * DAY, grace: 7 * DAY },
            trash: 30 * DAY,
            merge: Merge::Off,
            watcher: Rumours::new(stream("watcher")),
            store,
            rng: Arc::new(Mutex::new(stream("remote"))),
            entropy: Arc::new(SimEntropy::new(stream("entropy"))),
            database: database(),
            engine: None,
            name,
            disk,
            trace,
        }
    }

    /// The device as it was at `then`, for a world of its own. No process runs on it yet.
    pub fn copy(&self, store: Store, then: Instant) -> Self {
        Self {
            name: self.name.clone(),
            disk: self.disk.copy(then),
            faults: Arc::new(Mutex::new(*self.faults.lock().unwrap())),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            filter: self.filter.clone(),
            fuse: Fuse::new(),
            watcher: self.watcher.clone(),
            store,
            rng: Arc::new(Mutex::new(self.rng.lock().unwrap().clone())),
            entropy: Arc::new(self.entropy.copy()),
            database: Arc::new(self.database.copy().unwrap()),
            engine: None,
            trace: self.trace.clone(),
            ..*self
        }
    }

    /// The process is gone; what it had in memory is lost.
    pub fn kill(&mut self) {
        self.fuse.end_now();
        self.engine = None;
    }

    pub fn lose_database(&mut self) {
        self.database = database();
        self.engine = None;
    }

    /// The engine, in a process that lives.
    pub fn engine(&mut self) -> &mut Engine {
        if self.fuse.is_dead() {
            self.fuse = Fuse::new();
            self.engine = None;
        }
        if self.engine.is_none() {
            self.engine = Some(self.start());
        }
        self.engine.as_mut().unwrap()
    }

    fn start(&self) -> Engine {
        // No user starts a syncer on a disk that is not the vault's.
        self.disk.site().state.places.stands = Stands::Vault;
        let remote = SimRemote {
            name: self.name.clone(),
            store: self.store.clone(),
            fuse: self.fuse.clone(),
            trace: self.trace.clone(),
            rng: Arc::clone(&self.rng),
            faults: Arc::clone(&self.faults),
        };
        let (meter, entropy) = (Meter::default(), Arc::clone(&self.entropy));
        let policy = RetryPolicy { attempts: 3, ..RetryPolicy::default() };
        let remote: Arc<dyn Remote> =
            Arc::new(Retry::new(Metered::new(remote, meter.clone()), policy, entropy.clone()));
        let ports = Ports {
            fs: self.disk.for_process(&self.fuse),
            remote,
            meter,
            database: self.database(),
            clock: Arc::clone(&self.disk.clock) as Arc<dyn Clock>,
            entropy,
        };
        let settings = Settings {
            remote: "sim:".into(),
            device_name: self.name.clone(),
            settle: SETTLE,
            rehash: Duration::from_secs(7 * 24 * 3600),
            filter: self.filter.clone(),
            filter_record: FilterRecord { include: self.include.clone(), exclude: self.exclude.clone() },
            brakes: Brakes { min_files: self.mass, ..Brakes::default() },
            limits: self.limits,
            threads: NonZeroUsize::MIN,
            trash: self.trash,
            retention: self.retention,
            max_invalid: crate::pipeline::MAX_INVALID,
            stale_index: StaleIndex::default(),
            merge: self.merge,
            rules: Rules {
                quiet: ["access_count", "updated_at"].map(ToOwned::to_owned).into(),
                ..Rules::default()
            },
            texts: Texts::new([&LINES.map(ToOwned::to_owned), &[], &[]]).unwrap(),
            search: cogzy_engine::vault::validate::Search::Full,
            seen: None,
        };
        Engine::new(Layout::new(crate::disk::ROOT), ports, settings)
    }

    /// The database, each of whose transactions is an effect of this process.
    fn database(&self) -> Arc<Database> {
        let (fuse, trace) = (self.fuse.clone(), self.trace.clone());
        let allow = move || {
            let alive = fuse.transaction();
            trace.mark(if alive {
                "effect: commit to the database"
            } else {
                "crash before: commit to the database"
            });
            alive
        };
        self.database.allow_commits(allow).unwrap();
        Arc::clone(&self.database)
    }

    /// Changes how long displaced files stay in the trash.
    pub fn keep_trash(&mut self, time: Duration) {
        self.trash = time;
        self.engine = None;
    }

    /// Joins, if it has not yet, and runs one cycle.
    pub async fn cycle(&mut self, request: Request, approved: bool) -> Outcome {
        self.live(async |device| device.run(request, approved).await).await
    }

    /// Lets the process do something, as far as it comes.
    pub async fn live(&mut self, work: impl AsyncFnOnce(&mut Self) -> Outcome) -> Outcome {
        self.engine();
        let fuse = self.fuse.clone();
        let outcome = tokio::select! {
            biased;
            () = fuse.ended() => Outcome::Ended,
            outcome = work(self) => outcome,
        };
        // The last words of a process that has ended are not heard.
        let outcome = if fuse.is_dead() { Outcome::Ended } else { outcome };
        if matches!(outcome, Outcome::Ended) {
            self.engine = None;
        }
        self.tell(&outcome);
        outcome
    }

    async fn run(&mut self, request: Request, approved: bool) -> Outcome {
        let arms = self.arms();
        if !self.joined {
            let joining = Joining { groups: groups(), machine: self.name.clone(), approved };
            match join(self.engine(), &joining, &arms).await {
                Ok(joined) if joined.meets.is_some() => return Outcome::Meets,
                Ok(_) => self.joined = true,
                Err(error) => return Outcome::Failed(error),
            }
        }
        let places = self.watcher.hear(std::mem::take(&mut self.disk.site().touched));
        match self.engine().cycle_at(request, places, &arms).await {
            Ok(report) => Outcome::Done(Box::new(report)),
            Err(error) => Outcome::Failed(error),
        }
    }

    fn tell(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(report) => {
                self.disk.site().note_carried_out();
                self.trace.note(format_args!(
                    "{} cycle: generation {}, {} sent, {} fetched, {} deleted here, {} there, {} conflicts, {} holds",
                    self.name,
                    report.generation,
                    report.pushed,
                    report.pulled,
                    report.deleted_local,
                    report.deleted_remote,
                    report.conflicts.len(),
                    report.holds.len(),
                ));
                for trouble in &report.problems {
                    self.trace
                        .note(format_args!("{}   left out {}: {}", self.name, trouble.path, trouble.message));
                    crate::pipeline::mark(&self.trace, trouble.weight);
                }
                for hold in &report.holds {
                    self.trace.note(format_args!("{}   held: {hold}", self.name));
                }
            }
            Outcome::Meets => self.trace.note(format_args!("{} cycle: both sides hold files", self.name)),
            Outcome::Failed(error) => {
                self.trace.note(format_args!("{} cycle: {error}", self.name));
                self.trace.mark(match error.advice() {
                    Advice::Offline => "cycle ends: offline",
                    Advice::Again => "cycle ends: again",
                    Advice::Refused => "cycle ends: refused",
                    Advice::Stopped => "cycle ends: stopped",
                    Advice::Corrupt => "cycle ends: corrupt",
                    Advice::Usage => "cycle ends: usage",
                });
            }
            Outcome::Ended => self.trace.note(format_args!("{} cycle: the process ended", self.name)),
        }
    }

    /// Prunes. Returns the result, if it came to its end.
    pub async fn prune(&mut self) -> Option<Pruned> {
        let mut pruned = None;
        let outcome = self
            .live(async |device| match device.engine().prune(false, &Unwatched).await {
                Ok(done) => {
                    pruned = Some(done);
                    Outcome::Done(Box::default())
                }
                Err(error) => Outcome::Failed(error),
            })
            .await;
        if let (Outcome::Done(_), Some(Pruned { marked, repacked, freed, kept_from, .. })) =
            (outcome, &pruned)
        {
            self.trace.note(format_args!(
                "{} prunes: kept from {kept_from}, {} marked, {} repacked, {} freed",
                self.name, marked.objects, repacked.objects, freed.objects
            ));
            for (count, name) in
                [(marked, "prune: marked"), (repacked, "prune: repacked"), (freed, "prune: freed")]
            {
                if count.objects > 0 {
                    self.trace.mark(name);
                }
            }
        }
        pruned
    }

    /// A watcher that notes the plan.
    pub fn arms(&self) -> Arms {
        Arms(self.trace.clone())
    }

    /// A person decides a hold.
    pub fn decide(&mut self, hold: &Hold, approve: bool) -> Result<(), SyncError> {
        let mut site = self.disk.site();
        if approve {
            site.ledger.approve(hold);
        } else if hold.items.iter().any(|item| matches!(item, Item::Group(_))) {
            // A person who takes a memory back lets half of it go.
            pipeline::let_go(&mut site, false);
        }
        let hold = hold.id;
        let (yes, no) = if approve { (vec![hold], vec![]) } else { (vec![], vec![hold]) };
        // Either way something that was agreed on, or a local version, makes way on purpose.
        site.ledger.trash_is_enough_for_all();
        if !approve {
            site.ledger.reject();
        }
        drop(site);
        self.trace.note(format_args!("{} decides {hold}: {approve}", self.name));
        self.trace.mark(if approve { "hold approved" } else { "hold rejected" });
        self.engine().decide(&yes, &no)
    }

    /// The device's clock jumps.
    pub fn jump(&self, seconds: i64) {
        self.trace.note(format_args!("{} has its clock moved by {seconds} s", self.name));
        self.disk.clock.jump(seconds);
        self.disk.site().ledger.jumped(seconds);
    }
}
