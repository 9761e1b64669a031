//! Weighs the bucket against what retention justifies, for a prune. Nothing is changed.
//!
//! Decided here: how far back contents are kept. Whoever can write to the bucket can say anything
//! of that in a commit, so a commit only says what may be gone already. What this device keeps
//! follows from its own settings, and from what other devices say below `devices/`, where nobody
//! can take back what another said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::prune::Objects;
use super::repack::{Worn, needed, worn};
use crate::log::{
    Bucket, ChunkReader, Contents, Fate, InBucket, Named, Places, Retained, Snapshot, Window, fate, horizon,
};
use crate::model::{ChunkSlot, CommitKey, Digest, Keeps, PackId, PackInfo};
use crate::planted::{Bug, planted};
use crate::sync::recovery::Stand;
use crate::sync::session::{Context, Session};
use crate::sync::{Phase, Progress, SyncError};

/// Steps of a weighing: listings, checkpoints, the contents to keep, and their places.
const STEPS: usize = 4;

/// State of bucket and history before anything is decided.
pub(super) struct Looked {
    pub bucket: BTreeMap<PackId, InBucket>,
    /// The oldest generation that this device, and others as they say, want to be kept.
    pub horizon: u64,
    pub live: BTreeSet<PackId>,
    pub fate: Fate,
    /// When commits were put, by the server's clock.
    pub times: BTreeMap<CommitKey, i64>,
    /// Pack of each chunk that is needed.
    pub chunks: BTreeMap<Digest, PackId>,
    /// Swept packs that are still there and that commits name.
    pub swept: Vec<Arc<PackInfo>>,
    /// Swept packs that are still there and that a commit may name which cannot be read.
    pub unread: BTreeSet<PackId>,
    /// Packs of which little is needed.
    pub worn: Vec<Worn>,
    /// Packs that nobody marks, those among them.
    pub staying: Vec<Arc<PackInfo>>,
    /// Swept packs that are still there, and of which something is needed after all.
    pub rescue: Vec<Worn>,
    pub damaged: usize,
    /// True where a version of the newest state or of an open conflict is among the damaged ones:
    /// what seems to be needed by nothing may be what puts it right. True as well where it is
    /// `untold` what is needed.
    pub stopped: bool,
    /// Cause why the history does not tell what is to be kept.
    pub untold: Option<String>,
    pub now_ms: i64,
    pub grace_ms: i64,
}

impl Looked {
    /// Decides that nothing goes.
    pub fn keep_all(&mut self) {
        self.worn.clear();
        self.fate = Fate { waiting: std::mem::take(&mut self.fate.waiting), ..Fate::default() };
    }

    /// Decides that nothing goes where something is damaged or untold, and says so.
    fn stop_for(&mut self, is_damaged: bool) {
        if is_damaged {
            tracing::warn!(
                damaged = self.damaged,
                "versions of the newest generation cannot be put together: nothing is pruned"
            );
        }
        if let Some(why) = &self.untold {
            tracing::warn!(why, "a part of the history is lost: nothing is pruned until it is old");
        }
        self.stopped = is_damaged || self.untold.is_some();
        if self.stopped {
            self.keep_all();
        }
    }

    /// Packs that are objects, and that a prune can delete.
    pub fn objects(&self) -> impl Iterator<Item = PackId> {
        self.bucket.iter().filter(|(_, there)| there.is_object).map(|(pack, _)| *pack)
    }

    /// The objects among `packs`. What stands in a commit is none, and nothing is freed with it.
    pub fn sum<'a>(&self, packs: impl IntoIterator<Item = &'a PackId>) -> Objects {
        let there = packs.into_iter().filter_map(|pack| self.bucket.get(pack)).filter(|pack| pack.is_object);
        there.fold(Objects::default(), |sum, pack| Objects {
            objects: sum.objects + 1,
            bytes: sum.bytes + pack.size,
        })
    }
}

impl Session<'_> {
    /// Weighs the whole bucket against what retention justifies; against what it has justified,
    /// where only what is `recorded` counts.
    pub(super) async fn look_for_old(&mut self, head: &Stand, recorded: bool) -> Result<Looked, SyncError> {
        let retention = self.context.settings.retention;
        let grace_ms = i64::try_from(retention.grace.as_millis()).unwrap_or(i64::MAX);
        self.weighs(0);
        let now_ms = self.log.remote().server_ms().await?;
        let times = self.log.commit_times().await?;
        let mut bucket = self.log.packs_there(head.packs.values()).await?;
        self.log.correct_times(&mut bucket, &times, now_ms).await?;
        self.weighs(1);
        let checkpoints = self.log.checkpoint_packs().await?;
        // Without a commit that is lost, all there is may be wanted.
        let horizon = told_or_lost(self.wanted_from(head, &times, now_ms).await)?.unwrap_or_default();
        self.weighs(2);
        let (sure, must, untold) = match told_or_lost(self.kept(head, horizon, recorded).await)? {
            Ok((sure, must)) => (sure, must, None),
            Err(why) => (Contents::of(head), BTreeSet::new(), Some(why)),
        };
        self.weighs(3);
        // What commits name and nobody finds is damage, not what is needed.
        let there_still = |pack: &&Arc<PackInfo>| bucket.contains_key(&pack.id);
        let (leaving, lasting): (Vec<Arc<PackInfo>>, Vec<Arc<PackInfo>>) = {
            let there = head.packs.values().filter(there_still).cloned();
            there.partition(|pack| head.marked.contains_key(&pack.id) && !planted(Bug::ReuseMarked))
        };
        self.log.forget_gone(&bucket);
        let Named { packs: objects, unread } = self.log.swept_and_there(head, &bucket).await?;
        let mut there = with_those(&objects, self.log.swept_in_commits(head, false).await?);
        let mut needed = self.context.needed_of(&sure, [&lasting, &leaving, &there]).await?;
        if !needed.places.lost.is_empty() {
            there = with_those(&objects, self.log.swept_in_commits(head, true).await?);
            needed = self.context.needed_of(&sure, [&lasting, &leaving, &there]).await?;
        }
        if needed.rescue.is_empty() && untold.is_none() {
            self.log.note_weighed(&there);
        }
        let Needed { places, live, rescue, sound } = needed;
        let damaged = places.lost.intersection(&must).count();
        let fate = fate(&Bucket {
            state: head,
            listed: &bucket,
            live: &live,
            checkpoints: checkpoints.as_ref(),
            times: &times,
            now_ms,
            grace_ms,
        });
        let due = |pack| bucket.get(&pack).is_some_and(|pack| pack.modified_ms + grace_ms <= now_ms);
        let stays = |pack: &Arc<PackInfo>| fate.mark.binary_search(&pack.id).is_err();
        let staying: Vec<Arc<PackInfo>> = sound.into_iter().filter(stays).collect();
        let worn = worn(&staying, &places, due);
        let newest = Contents::of(head);
        let is_damaged = newest.all.keys().any(|digest| places.lost.contains(digest));
        let (chunks, swept) = (places.chunks, objects);
        let mut looked = Looked {
            bucket,
            horizon,
            live,
            fate,
            times,
            chunks,
            swept,
            unread,
            worn,
            staying,
            rescue,
            damaged,
            stopped: false,
            untold,
            now_ms,
            grace_ms,
        };
        looked.stop_for(is_damaged);
        Ok(looked)
    }

    /// Shows that so many steps of the weighing are done.
    fn weighs(&self, done: usize) {
        let (phase, files_total) = (Phase::Weigh, STEPS);
        self.watcher.progress(Progress { phase, files_done: done, files_total, ..Progress::default() });
    }

    /// The oldest generation that this device, and others as they say, want to be kept. What the
    /// newest commit says of it is no more than somebody's word.
    async fn wanted_from(
        &self,
        head: &Snapshot,
        times: &BTreeMap<CommitKey, i64>,
        now_ms: i64,
    ) -> Result<u64, SyncError> {
        let Some(key) = head.key else { return Ok(0) };
        let times = &self.log.graph().with_missing(times);
        let others = self.log.others_keep(key, self.marker.device, times, now_ms).await?;
        let window = window(self.context.settings.retention.keeps().and(others), now_ms);
        let uncounted = self.log.uncounted(key, window.generations).await?;
        let wanted = horizon(self.log.graph(), key, times, &uncounted, window);
        Ok(if planted(Bug::TakeForeignHorizon) { wanted.max(head.horizon) } else { wanted })
    }

    /// Packs that were swept, and that are still there.
    pub(super) async fn swept_and_there(&mut self, head: &Snapshot) -> Result<Vec<Arc<PackInfo>>, SyncError> {
        let bucket = self.log.packs_there([]).await?;
        let mut packs = self.log.swept_and_there(head, &bucket).await?.packs;
        packs.extend(self.log.swept_in_commits(head, true).await?);
        Ok(packs)
    }

    /// Contents to keep, and those of them that must be there: what was before the generation that
    /// somebody has recorded may be gone, and what is left of it is kept all the same. `recorded`:
    /// nothing goes for a generation that nobody has recorded yet.
    async fn kept(
        &mut self,
        head: &Snapshot,
        wanted_from: u64,
        recorded: bool,
    ) -> Result<(Contents, BTreeSet<Digest>), SyncError> {
        let sure_from = wanted_from.max(head.horizon);
        let Retained { mut sure, void } = self.retained(head, sure_from).await??;
        let must: BTreeSet<Digest> = sure.all.keys().copied().collect();
        sure.extend(void);
        let kept_from = if recorded { wanted_from.min(head.horizon) } else { wanted_from };
        if kept_from < sure_from {
            let Retained { sure: older, void } = self.retained(head, kept_from).await??;
            sure.extend(older);
            sure.extend(void);
        }
        let gone = head.gone_for_good();
        sure.all.retain(|content, _| !gone.contains(content));
        Ok((sure, must))
    }
}

/// A reading of the history, or the cause why it does not tell: an object of it is lost.
fn told_or_lost<T>(read: Result<T, SyncError>) -> Result<Result<T, String>, SyncError> {
    match read {
        Err(SyncError::Log(error)) if error.is_of_a_place() => Ok(Err(error.to_string())),
        read => read.map(Ok),
    }
}

/// What contents need of the packs at hand.
struct Needed {
    places: Places,
    live: BTreeSet<PackId>,
    rescue: Vec<Worn>,
    /// The lasting packs, without what their tables are known to lie about.
    sound: Vec<Arc<PackInfo>>,
}

impl Context {
    /// Finds what contents need, first in lasting packs, then in leaving ones, then in swept ones
    /// that are still there. Of a chunk that none of its packs gives, each of them is needed: which
    /// one held it before it was damaged nobody can tell, and without that one's place no repair
    /// can put the chunk back.
    async fn needed_of(
        &self,
        contents: &Contents,
        lists: [&[Arc<PackInfo>]; 3],
    ) -> Result<Needed, SyncError> {
        let doubts = self.doubts(lists).await?;
        let reader = ChunkReader::new(Arc::clone(&self.ports.remote));
        let [lasting, leaving, there] =
            lists.map(|packs| without(packs, |place| doubts.lies.contains(&place)));
        let mut places = reader.places(contents, &lasting, &leaving, &there).await?;
        if !doubts.nowhere.is_empty() {
            let [lasting, leaving, there] = [&lasting, &leaving, &there]
                .map(|packs| without(packs, |(_, chunk)| doubts.nowhere.contains(&chunk)));
            places.lost = reader.places(contents, &lasting, &leaving, &there).await?.lost;
        }
        let is_doubtful =
            |slot: &ChunkSlot| doubts.nowhere.contains(&slot.id) && places.chunks.contains_key(&slot.id);
        let may_hold = |pack: &&Arc<PackInfo>| pack.chunks.iter().any(is_doubtful);
        let doubtful = lasting.iter().chain(&leaving).filter(may_hold).map(|pack| pack.id);
        let live = places.chunks.values().copied().chain(doubtful).collect();
        let rescue = needed(&there, &places);
        Ok(Needed { places, live, rescue, sound: lasting })
    }
}

/// Swept packs that are objects, and those in commits that are no object besides.
fn with_those(objects: &[Arc<PackInfo>], in_commits: Vec<Arc<PackInfo>>) -> Vec<Arc<PackInfo>> {
    let is_object = |pack: &Arc<PackInfo>| objects.iter().any(|object| object.id == pack.id);
    let mut all = objects.to_vec();
    all.extend(in_commits.into_iter().filter(|pack| !is_object(pack)));
    all
}

/// Packs without the chunks that `is_out` names.
fn without(packs: &[Arc<PackInfo>], is_out: impl Fn((PackId, Digest)) -> bool) -> Vec<Arc<PackInfo>> {
    let rest = |pack: &Arc<PackInfo>| {
        let is_out = |slot: &ChunkSlot| is_out((pack.id, slot.id));
        if !pack.chunks.iter().any(is_out) {
            return Arc::clone(pack);
        }
        Arc::new(pack.only(|slot| !is_out(slot)))
    };
    packs.iter().map(rest).collect()
}

/// The generations that satisfy `keeps`.
fn window(keeps: Keeps, now_ms: i64) -> Window {
    let age_ms = i64::try_from(keeps.seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    Window { generations: keeps.generations, since_ms: now_ms.saturating_sub(age_ms) }
}
