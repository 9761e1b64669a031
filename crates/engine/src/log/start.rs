//! Start of replays: a state that this device has proved before, or a checkpoint that commits
//! prove.
//!
//! # Why a checkpoint is not simply believed
//! Anyone who can write to the bucket can write a checkpoint with any files in it, and a new device
//! would take them for the vault's although no commit says so. Reading every commit instead would
//! be safe, but the cost of joining would grow with the age of the vault.
//!
//! So each commit of format 2 names the sum of its first parent's state ([`super::sum`]), and every
//! device that replays the commit compares the sum with its own state: a commit with a wrong sum is
//! damaged for all of them. A checkpoint of commit K is taken if commits that build on K name one
//! and the same sum for it, and the checkpoint's lines have that sum. Then it is exactly the state
//! that the commits up to K make, unless an attacker has forged a commit that every older device
//! refuses: a checkpoint deserves no less trust than the commits, and no more. Its lines cover the
//! past too, so no parent can be made up.
//!
//! A new device pays for that with one listing, the commits of one generation, and the changes
//! since the checkpoint: with a checkpoint every 32 generations, at most as many commits. If
//! commits name no sum (a vault that older versions write to), or disagree, or the checkpoint does
//! not add up, the next older checkpoint is tried, and after [`TRIES`] the commits are read.
//!
//! # Memory
//! A state is never held whole. It is read piece by piece, hashed line by line and put into the
//! cache as it comes; only a state that is proved is then parsed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::claims::note_claim;
use super::format::CHECKPOINTS;
use super::line::{Past, check_past};
use super::parts::{Cached, PARTS, PartWriter, Parts};
use super::sum::{BYTES, StateSum};
use super::{ChunkReader, Log, LogError, ObjectCache, Snapshot, compact};
use crate::model::{ChunkSlot, CommitKey, Digest, PackId};
use crate::planted::{Bug, planted};
use crate::remote::list_all;

/// Checkpoints that are tried before the commits are read.
pub(super) const TRIES: usize = 4;
/// Commits of one generation that are searched for a sum of a checkpoint. More are no race.
const WITNESSES: usize = 16;
/// Bytes of a state that are read at once.
const WINDOW: u64 = 16 << 20;
/// Bytes of a state in the cache that are read at once.
const BUFFER: usize = 64 << 10;
/// Prefix in the cache of a state's proof, followed by the commit.
const PROVED: &str = "proved/";
/// Prefix that earlier versions used. They proved nothing.
const BELIEVED: &str = "state/";

/// State that replays start from.
#[derive(Debug, Clone)]
pub(super) struct Start {
    /// Commit of the state.
    pub commit: CommitKey,
    /// Key of its checkpoint.
    pub checkpoint: String,
    /// True if the cache has it in the compact form.
    pub is_compact: bool,
}

/// Proof of a state that is in the cache.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) sum: StateSum,
    parts: u32,
    digest: Digest,
    names_base: bool,
    /// True if the state is in the compact form ([`super::compact`]), and not as a checkpoint's
    /// lines.
    is_compact: bool,
    checkpoint: String,
}

impl Log {
    /// Loads the state that this device proved last, if the cache has it whole.
    pub(super) fn start_from_cache(&mut self) {
        for key in self.cache.keys(BELIEVED) {
            self.cache.remove(&key);
        }
        let commit = proved_in(self.cache.as_ref());
        let proof = commit.and_then(|commit| self.cache.get(&format!("{PROVED}{commit}")));
        let proof = proof.and_then(|bytes| Proof::from_bytes(&bytes));
        let taken = commit.zip(proof).map(|(commit, proof)| self.take_proved(commit, &proof));
        if !matches!(taken, Some(Ok(()))) {
            self.forget_proved();
        }
    }

    /// Loads the newest checkpoint of the remote that commits prove.
    pub(super) async fn start_from_checkpoint(&mut self) -> Result<(), LogError> {
        let listed = list_all(self.remote.as_ref(), CHECKPOINTS, None).await?;
        if listed.is_empty() {
            return Ok(());
        }
        let objects = self.listing(0, None).await?;
        let commits: Vec<CommitKey> = self.commits_of(0, &objects).into_keys().collect();
        // Where there are many, that is many requests.
        self.listed = Some(objects);
        let seqs: BTreeSet<u64> = commits.iter().map(|key| key.seq).collect();
        // A checkpoint that nothing builds on yet proves nothing.
        let built_on = |key: &str| seq_of(key).is_some_and(|seq| seqs.contains(&(seq + 1)));
        for object in listed.iter().rev().filter(|object| built_on(&object.key)).take(TRIES) {
            let proved = self.prove(&object.key, &commits).await;
            if !matches!(proved, Ok(true)) {
                self.forget_proved();
            }
            match proved {
                Ok(true) => return Ok(()),
                // It may be as true as any: older versions write commits that name no state.
                Ok(false) => {
                    tracing::info!(
                        key = object.key,
                        "no commit says that this is its state; an older one is tried"
                    );
                }
                Err(LogError::Remote(error)) if error.kind.offline() => return Err(error.into()),
                Err(error @ LogError::Newer { .. }) => return Err(error),
                Err(error) => {
                    tracing::warn!(key = object.key, %error, "a checkpoint is not used; an older one is tried");
                    self.note_unused(&object.key, &error);
                }
            }
        }
        Ok(())
    }

    /// Takes a checkpoint that commits prove. False if they do not say which state it should have.
    async fn prove(&mut self, key: &str, commits: &[CommitKey]) -> Result<bool, LogError> {
        let checkpoint = self.read_checkpoint(key).await?;
        let commit = checkpoint.commit();
        let expected = self.named_base(commit, commits).await?;
        let believed = planted(Bug::BelieveCheckpoints);
        if expected.is_none() && !believed {
            return Ok(false);
        }
        self.header_of(checkpoint.vault()).await?;
        let (_, own) = self.read_commit(commit).await?;
        let mut proof = self.add_up(key, &checkpoint, true).await?;
        proof.names_base = own.base.is_some();
        if Some(proof.sum.digest()) != expected && !believed {
            return Err(not_named(key, commit));
        }
        self.take_proved(commit, &proof)?;
        self.cache.put(&format!("{PROVED}{commit}"), &proof.to_bytes());
        Ok(true)
    }

    /// The sum that commits which build on `commit` name for its state. `None` if they name none,
    /// or different ones.
    async fn named_base(&self, commit: CommitKey, commits: &[CommitKey]) -> Result<Option<Digest>, LogError> {
        let witnesses: Vec<CommitKey> =
            commits.iter().filter(|key| key.seq == commit.seq + 1).copied().collect();
        let mut named = BTreeSet::new();
        for key in witnesses.iter().take(WITNESSES) {
            match self.read_commit(*key).await {
                Ok((_, child)) if child.parents.first() == Some(&commit) => named.extend(child.base),
                // One that cannot be read is no witness. If it is a true commit of a newer format,
                // the reading of the commits says so.
                Ok(_) | Err(LogError::Newer { .. }) => {}
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error),
            }
        }
        let doubt = named.len() > 1 || witnesses.len() > WITNESSES;
        Ok(named.pop_first().filter(|_| !doubt))
    }

    /// Reads a checkpoint's state and adds up its lines; `keep` puts it into the cache.
    pub(super) async fn add_up(
        &self,
        key: &str,
        checkpoint: &Checkpoint,
        keep: bool,
    ) -> Result<Proof, LogError> {
        let mut parts = Parts::new(keep.then(|| (self.cache.as_ref(), checkpoint.commit())));
        let slots: Vec<(PackId, ChunkSlot)> = checkpoint.slots().collect();
        let reader = ChunkReader::new(Arc::clone(&self.remote));
        let mut rest = slots.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take_while(|(_, slot)| {
                bytes += u64::from(slot.len);
                bytes <= WINDOW
            });
            let (window, after) = rest.split_at(fits.count().max(1));
            let chunks = reader.collect(window).await?;
            for (_, slot) in window {
                let missing = || LogError::corrupt(key, "a chunk of it is missing");
                parts.take(chunks.get(&slot.id).ok_or_else(missing)?);
            }
            rest = after;
        }
        let (sum, parts, digest) = parts.end();
        if digest != checkpoint.state() {
            return Err(LogError::corrupt(key, "its chunks are not the state it names"));
        }
        Ok(Proof { sum, parts, digest, names_base: false, is_compact: false, checkpoint: key.to_owned() })
    }

    /// Reads a checkpoint and its state, and checks that they belong together, and that commits
    /// name no other state.
    pub(super) async fn check_checkpoint(&self, key: &str) -> Result<(), LogError> {
        let checkpoint = self.read_checkpoint(key).await?;
        let sum = self.add_up(key, &checkpoint, false).await?.sum;
        let commits: Vec<CommitKey> = self.visible.keys().copied().collect();
        match self.named_base(checkpoint.commit(), &commits).await? {
            Some(named) if named != sum.digest() => Err(not_named(key, checkpoint.commit())),
            _ => Ok(()),
        }
    }

    /// Keeps a state that this device has made itself.
    pub(super) fn cache_state(
        &mut self,
        commit: CommitKey,
        checkpoint: String,
        snapshot: &Snapshot,
    ) -> Result<(), LogError> {
        self.forget_proved();
        let past = self.graph.part(&self.graph.ancestry(commit));
        let mut bytes = PartWriter::new(Some((self.cache.as_ref(), commit)));
        compact::write(snapshot, &past, &mut bytes)?;
        let (parts, digest) = bytes.end();
        let Snapshot { sum, names_base, .. } = snapshot;
        let (sum, names_base) = (sum.clone(), *names_base);
        let proof = Proof { sum, parts, digest, names_base, is_compact: true, checkpoint };
        self.cache.put(&format!("{PROVED}{commit}"), &proof.to_bytes());
        self.applied = snapshot.applied;
        self.start = Some(Start { commit, checkpoint: proof.checkpoint, is_compact: true });
        Ok(())
    }

    fn forget_proved(&self) {
        for key in self.cache.keys(PROVED).into_iter().chain(self.cache.keys(PARTS)) {
            self.cache.remove(&key);
        }
    }

    /// Notes that a checkpoint is damaged or lies, if `error` says so.
    pub(super) fn note_unused(&self, key: &str, error: &LogError) {
        if error.is_damage() {
            note_claim(self.cache.as_ref(), key, &unused(error));
        }
    }

    /// Parses a proved state from the cache, as a start for replays.
    fn take_proved(&mut self, commit: CommitKey, proof: &Proof) -> Result<(), LogError> {
        let (snapshot, past) = self.parsed(commit, proof)?;
        past.into_iter().for_each(|(key, node)| self.know(key, node));
        let (checkpoint, is_compact) = (proof.checkpoint.clone(), proof.is_compact);
        self.start = Some(Start { commit, checkpoint, is_compact });
        self.remember(Arc::new(snapshot));
        Ok(())
    }

    /// Parses a proved state from the cache, with the commits that it builds on.
    pub(super) fn parsed(&self, commit: CommitKey, proof: &Proof) -> Result<(Snapshot, Past), LogError> {
        let damaged = |why: String| LogError::corrupt(format!("{PROVED}{commit}"), why);
        let mut cached = Cached::new(self.cache.as_ref(), commit, proof.parts);
        let mut snapshot = Snapshot { key: Some(commit), sum: proof.sum.clone(), ..Snapshot::default() };
        let mut past = Past::new();
        let mut bytes = BufReader::with_capacity(BUFFER, &mut cached);
        let read = match proof.is_compact {
            true => compact::read(&mut bytes, &mut snapshot, &mut past),
            false => read_lines(&mut bytes, &mut snapshot, &mut past),
        };
        read.map_err(damaged)?;
        if cached.digest() != proof.digest {
            return Err(damaged("it is not what was put there".into()));
        }
        check_past(&past, commit).map_err(damaged)?;
        snapshot.count_uses();
        snapshot.names_base = proof.names_base;
        Ok((snapshot, past))
    }
}

impl Proof {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.sum.to_bytes();
        bytes.extend_from_slice(&self.parts.to_le_bytes());
        bytes.extend_from_slice(self.digest.as_bytes());
        bytes.push(u8::from(self.names_base) | u8::from(self.is_compact) << 1);
        bytes.extend_from_slice(self.checkpoint.as_bytes());
        let check = Digest::of(&bytes);
        [check.as_bytes().as_slice(), &bytes].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (check, rest) = bytes.split_first_chunk::<32>()?;
        if Digest::of(rest).as_bytes() != check {
            return None;
        }
        let (sum, rest) = rest.split_first_chunk::<BYTES>()?;
        let (parts, rest) = rest.split_first_chunk::<4>()?;
        let (digest, rest) = rest.split_first_chunk::<32>()?;
        let (flags, checkpoint) = rest.split_first()?;
        Some(Self {
            sum: StateSum::from_bytes(sum),
            parts: u32::from_le_bytes(*parts),
            digest: Digest::from_bytes(*digest),
            names_base: flags & 1 == 1,
            is_compact: flags & 2 == 2,
            checkpoint: String::from_utf8(checkpoint.to_vec()).ok()?,
        })
    }
}

/// Reads a state as a checkpoint's lines. A whole line is parsed twice as fast as a stream of
/// bytes.
fn read_lines(from: &mut impl BufRead, snapshot: &mut Snapshot, past: &mut Past) -> Result<(), String> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).map_err(|error| error.to_string())? > 0 {
        let parsed = serde_json::from_slice(&line).map_err(|error| error.to_string())?;
        snapshot.take_in(parsed, past)?;
        line.clear();
    }
    Ok(())
}

/// Commit whose proved state the cache has.
pub(super) fn proved_in(cache: &dyn ObjectCache) -> Option<CommitKey> {
    CommitKey::parse(cache.keys(PROVED).pop()?.strip_prefix(PROVED)?)
}

/// The note of a checkpoint that is damaged or lies.
fn unused(error: &LogError) -> String {
    format!("this checkpoint is not used, the commits are read instead: {}", error.cause())
}

pub(super) fn not_named(key: &str, commit: CommitKey) -> LogError {
    LogError::corrupt(key, format!("it is not the state of {commit} that later commits name"))
}

/// Generation in the key of a checkpoint.
pub(super) fn seq_of(key: &str) -> Option<u64> {
    CommitKey::parse(key.strip_prefix(CHECKPOINTS)?).map(|name| name.seq)
}
