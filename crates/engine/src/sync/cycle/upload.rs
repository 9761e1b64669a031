//! Packs on their way to the remote, and the contents that need not be sent.
//!
//! Decided here: which contents the vault has already, and how many packs are under way, which
//! bounds the memory. A pack that has arrived is noted in the cache database, so that a crash
//! before the commit does not send it again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::Uplink;
use crate::clock::{Clock, Entropy};
use crate::content::{ChunkIndex, FinishedPack, Ingest, IngestError, Ingested};
use crate::log::{Leaves, Snapshot, pack_key};
use crate::model::{ChunkParams, Content, Digest, PackId, PackInfo, Recipe, Tree};
use crate::planted::{Bug, planted};
use crate::remote::{Remote, RemoteError};
use crate::state::Database;
use crate::sync::session::Context;
use crate::sync::{Interrupt, Progress, SyncError, joined};

/// Packs under way at once: this bounds the memory of a large push.
pub(crate) const PACKS_IN_FLIGHT: usize = 3;
/// Threads that encode beside the one that reads and cuts, which is slower than so many.
const MOST_HELPERS: usize = 3;

/// Contents and chunks that need not be uploaded.
pub(crate) struct Known<'a> {
    remote: &'a Snapshot,
    index: &'a ChunkIndex,
    left_over: BTreeMap<PackId, PackInfo>,
    left_over_index: ChunkIndex,
    used: BTreeSet<PackId>,
    /// Chunks that were not sent because the index has them.
    relied: BTreeSet<Digest>,
    /// True where some of the index was found to be missing.
    pub(crate) doubtful: bool,
    /// Files that this device has agreed on: the recipes of their contents count. None if those of
    /// the whole state do.
    pub(crate) agreed: Option<&'a Tree>,
}

impl<'a> Known<'a> {
    pub(crate) fn new(remote: &'a Snapshot, index: &'a ChunkIndex, left_over: Vec<PackInfo>) -> Self {
        let left_over_index = left_over.iter().cloned().collect();
        let left_over = left_over.into_iter().map(|pack| (pack.id, pack)).collect();
        Self {
            remote,
            index,
            left_over,
            left_over_index,
            used: BTreeSet::new(),
            relied: BTreeSet::new(),
            doubtful: false,
            agreed: None,
        }
    }

    fn has_chunk(&mut self, id: &Digest) -> bool {
        if self.index.contains(id) {
            self.relied.insert(*id);
            return true;
        }
        let found = self.left_over_index.get(id);
        self.used.extend(found.map(|(pack, _)| pack));
        found.is_some()
    }

    /// Chunks that were not sent because the index has them.
    pub(crate) const fn relied(&self) -> &BTreeSet<Digest> {
        &self.relied
    }

    /// Packs of an earlier run that hold a chunk of this one.
    pub(crate) fn used(mut self) -> Vec<(PackId, PackInfo)> {
        let used = std::mem::take(&mut self.used);
        used.into_iter().filter_map(|id| self.left_over.remove(&id).map(|pack| (id, pack))).collect()
    }
}

/// Packs on their way. Clones share them.
#[derive(Clone)]
pub(crate) struct Uploads {
    remote: Arc<dyn Remote>,
    database: Arc<Database>,
    state: Arc<Mutex<State>>,
    in_flight: Arc<AtomicU64>,
    interrupt: Interrupt,
    uplink: Uplink,
    clock: Arc<dyn Clock>,
    /// Stored bytes of a pack that is kept for the commit, at most.
    keeping: u64,
    kept: Arc<std::sync::Mutex<Option<FinishedPack>>>,
    /// Threads that may encode beside the one that reads.
    helpers: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<FinishedPack>,
    under_way: JoinSet<(PackInfo, Result<(), RemoteError>)>,
    done: Vec<PackInfo>,
}

impl Uploads {
    pub(crate) fn new(context: &Context) -> Self {
        let Context { ports, interrupt, uplink, .. } = context;
        let (remote, database) = (Arc::clone(&ports.remote), Arc::clone(&ports.database));
        let helpers = MOST_HELPERS.min(context.settings.threads.get() - 1);
        Self { helpers, ..Self::over(remote, database, uplink, Arc::clone(&ports.clock), interrupt.clone()) }
    }

    fn over(
        remote: Arc<dyn Remote>,
        database: Arc<Database>,
        uplink: &Uplink,
        clock: Arc<dyn Clock>,
        interrupt: Interrupt,
    ) -> Self {
        uplink.run_begins();
        let (state, in_flight, uplink) = (Arc::default(), Arc::default(), uplink.clone());
        let kept = Arc::default();
        Self { remote, database, state, in_flight, interrupt, uplink, clock, keeping: 0, kept, helpers: 0 }
    }

    /// Keeps one pack of at most so many stored bytes for the commit that it belongs to.
    pub(crate) fn keeping(self, bytes: u64) -> Self {
        Self { keeping: bytes, ..self }
    }

    /// Keeps a pack for the commit, if it is so small and the first. Returns any other.
    fn keep(&self, pack: FinishedPack) -> Option<FinishedPack> {
        let stored: u64 = pack.info.chunks.iter().map(|slot| u64::from(slot.stored)).sum();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() || stored > self.keeping {
            return Some(pack);
        }
        *kept = Some(pack);
        None
    }

    /// The pack that was kept for the commit.
    pub(crate) fn take_kept(&self) -> Option<FinishedPack> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Queues a pack that was kept, and that no commit takes.
    pub(crate) async fn queue(&self, pack: FinishedPack) {
        self.in_flight.fetch_add(pack.info.size, Ordering::Relaxed);
        self.state.lock().await.waiting.push(pack);
    }

    /// Takes a full pack from a thread that blocks. If other threads can send it, this waits while
    /// enough packs are under way, so that memory stays bounded. Otherwise the pack only queues
    /// until [`Uploads::wait_for`].
    fn take(&self, pack: FinishedPack) -> Result<(), SyncError> {
        let Some(pack) = self.keep(pack) else { return Ok(()) };
        self.in_flight.fetch_add(pack.info.size, Ordering::Relaxed);
        match Handle::try_current() {
            Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => handle.block_on(async {
                self.state.lock().await.waiting.push(pack);
                // Dropping its task does not end a thread that blocks: it has to be told.
                tokio::select! {
                    sent = self.wait_for(PACKS_IN_FLIGHT - 1) => sent,
                    () = self.interrupt.wanted() => Err(SyncError::Interrupted),
                }
            }),
            _ => {
                let mut state =
                    self.state.try_lock().map_err(|error| SyncError::Upload(error.to_string()))?;
                state.waiting.push(pack);
                Ok(())
            }
        }
    }

    /// Starts the queued packs, and waits until at most `left` are under way.
    pub(crate) async fn wait_for(&self, left: usize) -> Result<(), SyncError> {
        let mut state = self.state.lock().await;
        loop {
            while state.under_way.len() < PACKS_IN_FLIGHT
                && let Some(FinishedPack { info, bytes }) = state.waiting.pop()
            {
                let remote = Arc::clone(&self.remote);
                self.uplink.begins(self.clock.monotonic());
                state.under_way.spawn(async move {
                    let put = remote.put(&pack_key(info.id), bytes).await;
                    (info, put)
                });
            }
            if state.waiting.is_empty() && state.under_way.len() <= left {
                return Ok(());
            }
            let Some(ended) = state.under_way.join_next().await else { return Ok(()) };
            let (info, put) = joined(ended)?;
            self.uplink.ended(self.clock.monotonic(), info.size, put.is_ok());
            match put {
                Err(_) if planted(Bug::CommitBeforePacks) => {}
                Err(error) => {
                    self.note_others(&mut state);
                    return Err(error.into());
                }
                Ok(()) => self.note(&mut state, info),
            }
        }
    }

    fn note(&self, state: &mut State, info: PackInfo) {
        if let Err(error) = self.database.put_uploaded(&info) {
            tracing::warn!(%error, "an uploaded pack could not be noted; a crash now would upload it again");
        }
        self.in_flight.fetch_sub(info.size, Ordering::Relaxed);
        state.done.push(info);
    }

    /// Notes what has arrived beside a pack that did not: the next attempt uses it.
    fn note_others(&self, state: &mut State) {
        while let Some(joined) = state.under_way.try_join_next() {
            if let Ok((info, Ok(()))) = joined {
                self.note(state, info);
            }
        }
    }

    /// Share of the bytes in `read` that has arrived: packs under way do not count.
    pub(crate) fn sent_of(&self, read: Progress) -> Progress {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let unsure = usize::from(in_flight > 0);
        Progress {
            files_done: read.files_done.min(read.files_total.saturating_sub(unsure)),
            bytes_done: read.bytes_done.saturating_sub(in_flight),
            ..read
        }
    }

    /// Packs that the remote has taken, and that were not asked for before.
    pub(crate) async fn done(&self) -> Vec<PackInfo> {
        std::mem::take(&mut self.state.lock().await.done)
    }
}

type KnownFn<'a> = Box<dyn FnMut(&Digest) -> bool + 'a>;
type SinkFn<'a> = Box<dyn FnMut(FinishedPack) -> Result<(), SyncError> + 'a>;

/// One run of reading files and sending the packs that they fill.
pub(crate) struct Run<'a> {
    ingest: Ingest<'a, KnownFn<'a>, SinkFn<'a>>,
    remote: &'a Snapshot,
    index: &'a ChunkIndex,
    uploads: Uploads,
    /// Contents that were not read because the vault holds them.
    relied: Vec<Content>,
    /// True where some of the index was found to be missing.
    doubtful: bool,
    /// True where an earlier run has sent packs that no commit names yet.
    resumes: bool,
    /// See [`Known::agreed`].
    agreed: Option<&'a Tree>,
    /// Contents of these files that have a recipe, once they were asked for.
    believed: OnceCell<HashSet<Digest>>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        params: ChunkParams,
        entropy: &'a dyn Entropy,
        known: &'a mut Known<'_>,
        uploads: Uploads,
    ) -> Result<Self, SyncError> {
        let (remote, index, doubtful, agreed) = (known.remote, known.index, known.doubtful, known.agreed);
        let resumes = !known.left_over.is_empty();
        let known: KnownFn<'a> = Box::new(|id| known.has_chunk(id));
        let to = uploads.clone();
        let sink: SinkFn<'a> = Box::new(move |pack| to.take(pack));
        let ingest = Ingest::new(params, entropy, known, sink)
            .map_err(|error| SyncError::Upload(error.to_string()))?;
        let uplink = uploads.uplink.clone();
        let ingest = ingest.with_helpers(uploads.helpers).with_pack_target(move || uplink.pack_target());
        let (relied, believed) = (Vec::new(), OnceCell::new());
        Ok(Self { ingest, remote, index, uploads, relied, doubtful, resumes, agreed, believed })
    }

    /// The packs on their way.
    pub(crate) const fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// True where the vault holds a whole content already, so that it need not be read.
    pub(crate) fn relies_on(&mut self, content: Content) -> bool {
        let known = self.has(content.digest);
        if known {
            self.relied.push(content);
        }
        known
    }

    /// False for a content whose recipe nobody but its bringer has tried, as far as this device
    /// knows. Whoever has the file cuts it anew, and brings its own recipe if that is another one.
    pub(crate) fn believes(&self, content: Content) -> bool {
        let has_recipe = |content: &Digest| self.remote.recipes.contains_key(content);
        let Some(agreed) = self.agreed.filter(|_| has_recipe(&content.digest)) else { return true };
        let of_agreed = || agreed.values().map(|entry| entry.digest).filter(has_recipe).collect();
        self.believed.get_or_init(of_agreed).contains(&content.digest)
    }

    /// Recipe of a content that an earlier run has cut and sent whole, so that it need not be cut
    /// again. The inner one is none for a content of one chunk. A file that has changed since then
    /// has another content.
    pub(crate) fn was_sent(&mut self, content: Content) -> Option<Option<Recipe>> {
        if !self.resumes {
            return None;
        }
        if self.ingest.knows(&content.digest) {
            return Some(None);
        }
        let cut = self.uploads.database.cut(content).unwrap_or_default()?;
        cut.chunks.iter().all(|chunk| self.ingest.knows(chunk)).then_some(Some(cut.recipe))
    }

    /// Remembers how a content was cut, for a run that goes on after this one was broken off.
    pub(crate) fn remember(&self, ingested: &Ingested) {
        let Ingested { content, recipe: Some(recipe), chunks, lists, .. } = ingested else { return };
        let database = &self.uploads.database;
        let lists: Leaves = lists.iter().map(|list| (Digest::of(list), list.clone())).collect();
        let noted = database.put_cut(*content, recipe, chunks).and_then(|()| database.put_lists(&lists));
        if let Err(error) = noted {
            tracing::debug!(%error, "how a file was cut could not be noted; it is cut again if need be");
        }
    }

    /// True where the vault holds a whole content already.
    fn has(&self, digest: Digest) -> bool {
        // A recipe stands for its chunks, unless some of them may be lost.
        let has_all = |recipe: &Recipe| {
            let is_flat = recipe.depth == 0;
            is_flat && recipe.parts.iter().all(|part| self.index.contains(&part.id))
        };
        let known = self.remote.recipes.get(&digest);
        let all_there = self.remote.lost.is_empty() && !self.doubtful;
        known.is_some_and(|recipe| all_there || has_all(recipe)) || self.index.contains(&digest)
    }

    /// Takes in a file. The inner error is that of the file, and the run goes on; the outer one
    /// ends the run.
    pub(crate) fn add(&mut self, reader: &mut dyn Read) -> Result<io::Result<Ingested>, SyncError> {
        match self.ingest.add(reader) {
            Ok(ingested) => Ok(Ok(ingested)),
            Err(IngestError::Read(error)) => Ok(Err(error)),
            Err(error) => Err(fatal(error)),
        }
    }

    /// Sends packs that filled while no other thread could send them.
    pub(crate) async fn send(&self) -> Result<(), SyncError> {
        self.uploads.wait_for(PACKS_IN_FLIGHT - 1).await
    }

    /// Hands over the last pack. Returns contents that were not read because the vault holds them.
    pub(crate) fn finish(self) -> Result<Vec<Content>, SyncError> {
        self.ingest.finish().map_err(fatal)?;
        Ok(self.relied)
    }
}

fn fatal(error: IngestError<SyncError>) -> SyncError {
    match error {
        IngestError::Sink(error) => error,
        other => SyncError::Upload(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
