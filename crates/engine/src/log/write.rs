//! Adds commits to the log.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::ahead::{ended, list_from};
use super::aside::Lack;
use super::enclosed::packs_of;
use super::format::{commit_key, decode_commit, encode_commit};
use super::merge::{Side, merge};
use super::old::OldData;
use super::read::Seen;
use super::{ChunkReader, Depth, Graph, LOOK_BACK, Log, LogError, Node, Snapshot};
use crate::model::{Commit, CommitKey, Origin, PackId, VaultId};
use crate::planted::{Bug, planted};
use crate::remote::{Object, Remote, RemoteError};

/// Number of listings to wait for a new commit, and the first wait between them, which doubles.
const VISIBLE_TRIES: u32 = 6;
const VISIBLE_WAIT: Duration = Duration::from_millis(250);
/// Maximum number of merges in one call. More heads are no race; something keeps writing. They are
/// merged by the next calls.
pub(super) const MAX_MERGES: usize = 16;
/// Time after which the next device merges where many commit at once. The one before needs a
/// request for each merge.
const TURN: Duration = Duration::from_secs(1);
/// Turns that a device waits at most.
const MOST_TURNS: usize = 8;

/// Commit with fixed bytes. It can be put repeatedly and takes effect once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Key of the commit.
    pub key: CommitKey,
    /// Bytes of the object.
    pub bytes: Bytes,
    /// The commit, as every reader takes it from these bytes.
    pub commit: Arc<Commit>,
}

impl Prepared {
    /// Fixes a commit's format and bytes. A commit that no reader takes must not become the pending
    /// one: it would be sent again for ever.
    ///
    /// # Errors
    /// [`LogError::TooMuch`] if a reader would refuse it.
    pub fn new(mut commit: Commit) -> Result<Self, LogError> {
        commit.settle_format();
        let (key, bytes) = encode_commit(&commit)?;
        // It may be large, and what is read back takes its place.
        drop(commit);
        let read = match Self::read("a new commit", bytes) {
            Err(LogError::Corrupt { why, .. }) => return Err(LogError::TooMuch { why }),
            read => read?,
        };
        if read.key != key {
            return Err(LogError::corrupt("a new commit", "it is read back as another one"));
        }
        Ok(read)
    }

    /// Decodes the stored bytes of a commit.
    ///
    /// # Errors
    /// If they are not a commit.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, LogError> {
        Self::read("the pending commit", bytes)
    }

    fn read(name: &str, bytes: Vec<u8>) -> Result<Self, LogError> {
        let (key, commit) = decode_commit(name, &bytes)?;
        Ok(Self { key, bytes: Bytes::from(bytes), commit: Arc::new(commit) })
    }

    fn node(&self) -> Node {
        Node { parents: self.commit.parents.clone(), vault: self.commit.vault }
    }
}

impl Log {
    /// Puts a commit and waits until it is listed. While this fails, the outcome is unknown: no new
    /// plan may be made, and the same call must be repeated.
    ///
    /// # Errors
    /// Errors of the remote; [`LogError::NotVisible`] if listings do not show the commit yet.
    pub async fn publish(&mut self, prepared: &Prepared) -> Result<(), LogError> {
        self.own = Some(prepared.key);
        let newest = self.graph.heads().first().map_or(0, |key| key.seq);
        let back = if planted(Bug::OnlyAboveTheHead) { 0 } else { LOOK_BACK };
        let from = prepared.key.seq.min(newest.saturating_sub(back));
        // Its caller may read files meanwhile, which blocks: that is not to hold up the commit.
        let mut sending = JoinSet::new();
        sending.spawn(send(Arc::clone(&self.remote), prepared.key, prepared.bytes.clone(), from));
        let not_visible = || LogError::NotVisible(prepared.key);
        let objects = ended(&mut sending).await.ok_or_else(not_visible)??;
        let listed = self.commits_of(from, &objects);
        if !listed.contains_key(&prepared.key) {
            return Err(not_visible());
        }
        self.cache.put(&commit_key(prepared.key), &prepared.bytes);
        self.set_visible(&listed);
        if prepared.commit.parents.iter().all(|parent| self.graph.contains(*parent)) {
            self.know(prepared.key, prepared.node());
            self.asides.take_back([&prepared.key]);
            self.fresh = Some((prepared.key, Arc::clone(&prepared.commit)));
        }
        self.take_in(&listed).await?;
        self.asides.keep(self.cache.as_ref());
        self.learn(prepared.key).await
    }

    /// Merges all heads into one and returns it. `None` before the first commit. A head that cannot
    /// be used is set aside. If there are more heads than `MAX_MERGES`, some are left for the
    /// next call.
    ///
    /// # Errors
    /// Errors of the remote; a head that this device must not go on without;
    /// [`LogError::RolledBack`] if the remote has lost a head.
    pub async fn settle(&mut self) -> Result<Option<CommitKey>, LogError> {
        // Boxed, as it is seldom needed.
        Box::pin(self.give_way()).await?;
        self.check_heads().await?;
        let mut merges = 0;
        loop {
            let heads = self.graph.heads();
            let (Some(&winner), loser) = (heads.first(), heads.get(1)) else { return Ok(None) };
            let Some(theirs) = self.usable(winner).await? else { continue };
            let Some(&loser) = loser.filter(|_| merges < MAX_MERGES) else {
                if merges == MAX_MERGES {
                    // The rest is this device's to merge, too.
                    self.own = Some(winner);
                }
                return Ok(Some(winner));
            };
            let Some(ours) = self.usable(loser).await? else { continue };
            let prepared = Prepared::new(self.merge_of((loser, &ours), (winner, &theirs)).await?)?;
            self.remote.put(&commit_key(prepared.key), prepared.bytes.clone()).await?;
            self.cache.put(&commit_key(prepared.key), &prepared.bytes);
            let seen = Seen { size: prepared.bytes.len() as u64, modified_ms: 0 };
            self.visible.insert(prepared.key, seen);
            self.know(prepared.key, prepared.node());
            merges += 1;
        }
    }

    /// Waits for this device's turn to merge. Where many devices commit at the same moment, each
    /// sees other heads than the next; if all merged what they see, their merges would cross and
    /// be merged again, and again. So the device of the highest head goes first, and the others
    /// look once more after a while. Of two heads each is merged by its own device at once. One run
    /// waits no longer than all turns take, however many heads keep coming.
    async fn give_way(&mut self) -> Result<(), LogError> {
        loop {
            let heads = self.graph.heads();
            let own = heads.iter().position(|head| Some(*head) == self.own);
            let turn = match (heads.len(), own) {
                (0 | 1, _) | (2, Some(_)) => 0,
                (count, own) => own.unwrap_or(count).min(MOST_TURNS),
            };
            if turn <= self.waited {
                return Ok(());
            }
            // A bucket does not tell when a device has merged.
            tokio::time::sleep(TURN * u32::try_from(turn - self.waited).unwrap_or(1)).await;
            self.waited = turn;
            self.refresh(Depth::Near).await?;
        }
    }

    /// State of a head, if it can be built on: its past can be replayed, and its packs exist, but
    /// for those that another head has swept and those that were lost long ago. `None` if it was
    /// set aside.
    async fn usable(&mut self, head: CommitKey) -> Result<Option<Arc<Snapshot>>, LogError> {
        let state = match self.replayed(head).await? {
            Ok(state) => state,
            Err((culprit, error)) => {
                self.set_aside(culprit, Lack::State(error.cause()), error)?;
                return Ok(None);
            }
        };
        if self.missing_packs(&state, &BTreeSet::new()).await?.is_empty() {
            return Ok(Some(state));
        }
        let mut swept = BTreeSet::new();
        for other in self.graph.heads().into_iter().take(MAX_MERGES) {
            if let Ok(other) = self.replayed(other).await? {
                swept.extend(other.swept.iter().copied());
            }
        }
        let missing = self.missing_packs(&state, &swept).await?;
        let Some(pack) = self.note_missing(head, missing).await? else { return Ok(Some(state)) };
        let missing = LogError::MissingPack { commit: head, pack };
        match self.bringer(head, pack).await? {
            Some(culprit) => self.set_aside(culprit, Lack::Pack(pack), missing).map(|()| None),
            None => Err(missing),
        }
    }

    /// Newest commit before `head` that brought a pack, of those that this device has not agreed
    /// on. All of them are looked at, and as a rule the cache has them: a pack that is missing must
    /// not stop this device because many commits came after the one that names it.
    async fn bringer(&self, head: CommitKey, pack: PackId) -> Result<Option<CommitKey>, LogError> {
        let fresh = match self.agreed {
            Some(agreed) => self.graph.only_in(head, agreed),
            None => self.graph.ancestry(head),
        };
        for key in fresh.into_iter().rev() {
            if packs_of(key, &self.read_commit(key).await?.1).any(|named| named.id == pack) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn merge_of(
        &mut self,
        (loser, ours): (CommitKey, &Arc<Snapshot>),
        (winner, theirs): (CommitKey, &Arc<Snapshot>),
    ) -> Result<Commit, LogError> {
        let base = self.common_base(loser, winner).await?;
        let reader = ChunkReader::new(Arc::clone(&self.remote));
        let old = OldData::compare(&reader, &self.graph, &base, [ours, theirs]).await?;
        let (_, lost) = self.read_commit(loser).await?;
        let origin = lost.device.zip(lost.txn).map(|(device, txn)| Origin { device: device.name, txn });
        let vault = |graph: &Graph, key| graph.get(key).map_or(lost.vault, |node| node.vault);
        let sides: [VaultId; 2] = [vault(&self.graph, loser), vault(&self.graph, winner)];
        let loser = Side { key: loser, vault: sides[0], origin: origin.as_ref(), snapshot: ours };
        let winner = Side { key: winner, vault: sides[1], origin: None, snapshot: theirs };
        Ok(merge(&base, loser, winner, &old))
    }
}

/// Puts a commit, and lists the commits of generation `from` and later until it is among them. The
/// last listing may lack it all the same.
async fn send(
    remote: Arc<dyn Remote>,
    key: CommitKey,
    bytes: Bytes,
    from: u64,
) -> Result<Vec<Object>, RemoteError> {
    let name = commit_key(key);
    remote.put(&name, bytes).await?;
    let mut wait = VISIBLE_WAIT;
    for _ in 1..VISIBLE_TRIES {
        let objects = list_from(remote.as_ref(), from).await?;
        if objects.iter().any(|object| object.key == name) {
            return Ok(objects);
        }
        // A store does not announce when its listings have caught up.
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    list_from(remote.as_ref(), from).await
}
