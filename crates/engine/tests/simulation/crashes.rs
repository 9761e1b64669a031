//! Every crash of every story: before each effect of a cycle, before each effect of the recovery
//! from that crash, and so on. A write to the disk is an effect, so is a PUT, before and after it
//! is applied, and so is a transaction of the database.
//!
//! One run tells all the crashes from a state: the state before each effect is noted. Those that
//! were not there before ([`crate::key`]) are made real in a copy of the world, which then must
//! come to rest as every world must.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cogzy_engine::model::Digest;
use cogzy_engine::sync::Request;
use cogzy_testkit::rng::Rng;
use tokio::time::Instant;

use crate::cut::{Crash, Cut};
use crate::device::{Device, Outcome};
use crate::disk::{Kind, Site};
use crate::fuse::{Effect, Observer};
use crate::key::Book;
use crate::oracle::Check;
use crate::person::Asked;
use crate::prune;
use crate::prune_oracle::OldData;
use crate::run::{Ran, in_virtual_time};
use crate::scenarios::{Scenario, tell};
use crate::trace::Trace;
use crate::work::{Batch, Came};
use crate::world::World;

/// A file system as most are; and the least that a disk may promise.
const KINDS: [Kind; 2] = [
    Kind { exchange: true, links: true, case: true, nfd: false, signs: true, ordered: true, tick_ns: 1 },
    Kind {
        exchange: false,
        links: false,
        case: false,
        nfd: true,
        signs: false,
        ordered: false,
        tick_ns: 1_000_000,
    },
];

/// A crash that is possible.
struct Possible {
    crash: Crash,
    /// The state that it leaves.
    state: Digest,
    /// The effect of the disk that it comes before; empty for another one.
    effect: String,
}

/// A world that stands still; others go on from it.
struct Still {
    world: World,
    old: OldData,
    at: Instant,
    cut: Cut,
}

impl Still {
    /// The story has been told.
    async fn told(cut: Cut, trace: Trace) -> Result<Self, String> {
        let mut world = tell(cut.scenario(), KINDS[cut.kind], 1, trace).await?;
        world.heal();
        let mut old = OldData::default();
        look(&mut world, &mut old, cut.scenario())?;
        Ok(Self { world, old, at: Instant::now(), cut: Cut { crashes: Vec::new(), ..cut } })
    }

    fn copy(&self) -> (World, OldData) {
        (self.world.copy(self.at), self.old.clone())
    }

    /// The state before one of the effects of what the actor does next: its process has ended
    /// there.
    async fn before(&self, effect: u64) -> Result<Self, String> {
        let (mut world, old) = self.copy();
        let device = &mut world.devices[self.cut.scenario().actor];
        device.engine();
        device.fuse.set(effect);
        if !matches!(act(&mut world, self.asked(), self.cut.scenario()).await?, Some(Outcome::Ended)) {
            return Err("the process did not come so far".into());
        }
        Ok(Self { world, old, at: Instant::now(), cut: self.cut.clone() })
    }

    /// The state that a crash leaves of this one.
    fn cut(&self, crash: Crash, book: &Book) -> Result<Self, String> {
        let (mut world, mut old) = self.copy();
        let at = self.cut.scenario().actor;
        if crash.power {
            let drawn = draw(&state(&world, at, book));
            world.devices[at].disk.site().rng = drawn;
        }
        world.crash(at, crash.power)?;
        look(&mut world, &mut old, self.cut.scenario())?;
        Ok(Self { world, old, at: Instant::now(), cut: self.cut.and(crash) })
    }

    /// The actor's next act: at first the one that it is asked for, then a start.
    fn asked(&self) -> Option<Asked> {
        self.cut.scenario().asked.filter(|_| self.cut.crashes.is_empty())
    }

    /// True if the next process has something to finish on the actor's disk.
    fn is_unfinished(&self) -> bool {
        is_unfinished(&self.world.devices[self.cut.scenario().actor].disk.site())
    }

    /// Carries out the actor's next act until its process ends. Where crashes are asked for, it
    /// gives all of them with the states that they leave; in a recovery only those while something
    /// is left to recover.
    async fn go_on(
        &self,
        book: &Arc<Book>,
        crashes: bool,
    ) -> Result<(World, OldData, Vec<Possible>), String> {
        let (mut world, old) = self.copy();
        let at = self.cut.scenario().actor;
        let all = self.cut.crashes.is_empty();
        let found: Arc<Mutex<Vec<Possible>>> = Arc::default();
        world.devices[at].engine();
        if crashes {
            world.devices[at].fuse.observe(observer(&world.devices[at], book, all, Arc::clone(&found)));
        }
        act(&mut world, self.asked(), self.cut.scenario()).await?;
        world.crash(at, false)?;
        let found = std::mem::take(&mut *found.lock().unwrap());
        Ok((world, old, found))
    }
}

/// Notes the state that a crash would leave before each effect of a device's process.
fn observer(device: &Device, book: &Arc<Book>, all: bool, found: Arc<Mutex<Vec<Possible>>>) -> Observer {
    let (disk, database, store) = (device.disk.clone(), Arc::clone(&device.database), device.store.clone());
    let book = Arc::clone(book);
    let known = Mutex::new((0, database.stats().unwrap()));
    Observer(Box::new(move |before, effect| {
        let transaction = effect == Effect::Transaction;
        let mut known = known.lock().unwrap();
        if known.0 > 0 && !transaction {
            *known = (0, database.stats().unwrap());
        }
        let (unread, stats) = &*known;
        let mut site = disk.site().clone();
        if all || is_unfinished(&site) {
            let killed = book.key(&site, &store.lock(), stats, *unread);
            let mut rng = draw(&killed);
            site.state.cut_power(&mut rng);
            let cut = book.key(&site, &store.lock(), stats, *unread);
            let effect = match effect {
                Effect::Disk(what, place) => format!("{what} {place}"),
                _ => String::new(),
            };
            let both = [(false, killed), (true, cut)].map(|(power, state)| Possible {
                crash: Crash { before, power },
                state,
                effect: effect.clone(),
            });
            found.lock().unwrap().extend(both);
        }
        // Asked for within a transaction, a database does not answer.
        known.0 += u64::from(transaction);
    }))
}

/// Lets a world come to rest: nothing fails any more.
async fn comes_to_rest(mut world: World, mut old: OldData, scenario: &Scenario) -> Check {
    world.converge().await?;
    look(&mut world, &mut old, scenario)?;
    if !scenario.prunes() {
        return Ok(());
    }
    // Another time it comes to its end.
    world.devices[scenario.actor].prune().await.ok_or("it cannot prune")?;
    look(&mut world, &mut old, scenario)
}

/// Draws the volatile effects that survive: anew for each state, and the same for the same state.
fn draw(state: &Digest) -> Rng {
    Rng::stream(0, &state.to_string())
}

fn state(world: &World, at: usize, book: &Book) -> Digest {
    let device = &world.devices[at];
    book.key(&device.disk.site(), &world.store.lock(), &device.database.stats().unwrap(), 0)
}

/// True if the next process has something to finish on this disk.
fn is_unfinished(site: &Site) -> bool {
    ["sync/applying", "sync/pending"].iter().any(|name| site.file(name).is_some())
}

/// Asserts what must hold of old data, where the story is about that.
fn look(world: &mut World, old: &mut OldData, scenario: &Scenario) -> Check {
    if scenario.prunes() { prune::look(world, old, prune::LITTLE) } else { Ok(()) }
}

/// The actor's cycle, or the act that it is asked for.
async fn act(
    world: &mut World,
    asked: Option<Asked>,
    scenario: &Scenario,
) -> Result<Option<Outcome>, String> {
    match asked {
        Some(asked) => world.ask(scenario.actor, asked).await.map(Some),
        None => Ok(world.cycle(&[scenario.actor], Request::FULL, true).await?.pop()),
    }
}

/// One cut, with its trace.
pub fn cut(at: &Cut, aloud: bool) -> Ran {
    in_virtual_time(aloud, |trace| async move {
        let mut still = Still::told(at.clone(), trace).await?;
        let book = Arc::new(Book::new(still.world.oracle.versions.clone()));
        for crash in &at.crashes {
            still = still.before(crash.before).await?.cut(*crash, &book)?;
        }
        let (world, old, _) = still.go_on(&book, false).await?;
        comes_to_rest(world, old, at.scenario()).await?;
        comes_to_rest(still.world, still.old, at.scenario()).await
    })
}

/// The finds of all crashes.
#[derive(Default)]
pub struct Found {
    /// Crashes that were looked at.
    crashes: AtomicUsize,
    /// Different states that they leave, by the number of crashes that it takes.
    states: Mutex<BTreeMap<usize, usize>>,
    failed: AtomicUsize,
}

impl Found {
    fn fails(&self, cut: &Cut, why: &str) {
        println!("{}: {why}\n    cargo test --test simulation -- {cut}", cut.scenario().name);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells how much there was. True where all is well.
    pub fn tell(&self, came: &Came) -> bool {
        let [crashes, failed] = [&self.crashes, &self.failed].map(|count| count.load(Ordering::Relaxed));
        println!("{crashes} crashes: {failed} failed; {:.1} s", came.time.as_secs_f64());
        for (depth, states) in &*self.states.lock().unwrap() {
            println!("{states:9}  different states after {depth} of them");
        }
        failed == 0
    }
}

/// A story that is followed through all its crashes: those of its own cycle, and so on, `deep` one
/// after the other.
struct Following<'a> {
    deep: usize,
    book: Arc<Book>,
    found: &'a Found,
    /// States that crashes have left.
    seen: BTreeSet<Digest>,
    /// Worlds that have come to rest.
    rested: BTreeSet<Digest>,
    /// The last end of the process, after which state and before which effect: the power may go
    /// there, too.
    ended: Option<(Rc<Still>, u64, Still)>,
    /// Crashes that are still to be looked at, those of few first, so that each state is come upon
    /// by the shortest way.
    open: VecDeque<(Rc<Still>, Possible)>,
    trace: Trace,
}

impl Following<'_> {
    async fn follow(&mut self, told: Still) -> Check {
        self.seen.insert(state(&told.world, told.cut.scenario().actor, &self.book));
        self.ends(Rc::new(told)).await?;
        while let Some((from, Possible { crash, state, effect })) = self.open.pop_front() {
            self.found.crashes.fetch_add(1, Ordering::Relaxed);
            if self.seen.insert(state) {
                let cut = from.cut.and(crash);
                *self.found.states.lock().unwrap().entry(cut.crashes.len()).or_default() += 1;
                if let Err(why) = self.after(&from, crash).await {
                    self.found.fails(&cut, &why);
                }
            } else if !effect.is_empty() {
                // The crash before another effect left the same state.
                self.trace.mark(format!("crash before: {effect}"));
            }
        }
        Ok(())
    }

    /// Makes the state after a crash real. It must come to rest, whether the process that recovers
    /// lives on or ends in its turn.
    async fn after(&mut self, from: &Rc<Still>, crash: Crash) -> Check {
        let ended = match self.ended.take() {
            Some((of, before, ended)) if Rc::ptr_eq(&of, from) && before == crash.before => ended,
            _ => from.before(crash.before).await?,
        };
        let still = Rc::new(ended.cut(crash, &self.book)?);
        self.ended = Some((Rc::clone(from), crash.before, ended));
        let first = still.cut.crashes.len() == 1;
        if first {
            let (world, old) = still.copy();
            comes_to_rest(world, old, still.cut.scenario()).await?;
        }
        if first && !still.is_unfinished() { Ok(()) } else { self.ends(still).await }
    }

    /// The process ends when it is done, and in another future before each of its effects. Worlds
    /// that are alike come to rest alike. So one of them is enough, unless everything turns on the
    /// ages of things.
    async fn ends(&mut self, still: Rc<Still>) -> Check {
        let depth = still.cut.crashes.len();
        let deeper = depth == 0 || depth < self.deep && still.is_unfinished();
        let (world, old, crashes) = still.go_on(&self.book, deeper).await?;
        self.open.extend(crashes.into_iter().map(|possible| (Rc::clone(&still), possible)));
        let scenario = still.cut.scenario();
        let state = self.book.world(&world);
        if scenario.prunes() || !self.rested.contains(&state) {
            comes_to_rest(world, old, scenario).await?;
            self.rested.insert(state);
        }
        Ok(())
    }
}

/// All crashes of these stories, `deep` one after the other.
pub fn batch<'a>(stories: &[usize], deep: usize, found: &'a Found) -> Batch<'a> {
    let cut = |kind| move |&story: &usize| Cut { story, kind, crashes: Vec::new() };
    let cuts: Vec<Cut> = (0..KINDS.len()).flat_map(|kind| stories.iter().map(cut(kind))).collect();
    let count = u64::try_from(cuts.len()).unwrap();
    let run = move |at: u64| {
        let cut = &cuts[usize::try_from(at).unwrap()];
        let follow = async |trace: Trace| {
            let told = Still::told(cut.clone(), trace.clone()).await?;
            let book = Arc::new(Book::new(told.world.oracle.versions.clone()));
            let (seen, rested, ended, open) = Default::default();
            Following { deep, book, found, seen, rested, ended, open, trace }.follow(told).await
        };
        let ran = in_virtual_time(false, follow);
        if let Err(why) = &ran.check {
            found.fails(cut, why);
        }
        (at, ran)
    };
    Batch { count, run: Box::new(run) }
}
