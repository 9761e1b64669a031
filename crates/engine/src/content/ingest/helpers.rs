//! Encoding of chunks by other threads.
//!
//! Compressing takes as long as cutting and hashing, so it is done beside them. Chunks are handed
//! over in batches, to one thread after the other, and come back in the order in which they went.
//! So the packs are the same whatever number of threads there is.
//!
//! Threads begin with the first batch that is full: a small save has none.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::content::codec::{CodecError, Encoder};
use crate::model::{Codec, Digest};

/// Bytes of chunks at which a batch is full. Handing over costs little beside encoding so much.
const BATCH: usize = 64 << 10;
/// Chunks at which a batch is full.
const BATCH_CHUNKS: usize = 256;
/// Batches that one thread has before it at most.
const DEPTH: usize = 4;

/// Chunks one after the other, before and after they are encoded.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Each chunk's id and length.
    chunks: Vec<(Digest, usize)>,
    stored: Vec<u8>,
    /// Each chunk's codec and stored length.
    slots: Vec<(Codec, usize)>,
}

impl Batch {
    pub(super) fn push(&mut self, id: Digest, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        self.chunks.push((id, chunk.len()));
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH || self.chunks.len() >= BATCH_CHUNKS
    }

    pub(super) fn encode(&mut self, encoder: &mut Encoder) -> Result<(), CodecError> {
        let mut rest = self.bytes.as_slice();
        for (_, len) in &self.chunks {
            let (chunk, others) = rest.split_at(*len);
            let (codec, stored) = encoder.encode(chunk)?;
            self.stored.extend_from_slice(stored);
            self.slots.push((codec, stored.len()));
            rest = others;
        }
        Ok(())
    }

    /// The encoded chunks: id, length, codec and stored bytes of each.
    pub(super) fn encoded(&self) -> impl Iterator<Item = (Digest, usize, Codec, &[u8])> {
        let mut rest = self.stored.as_slice();
        self.chunks.iter().zip(&self.slots).map(move |((id, len), (codec, stored))| {
            let (bytes, others) = rest.split_at(*stored);
            rest = others;
            (*id, *len, *codec, bytes)
        })
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.chunks.clear();
        self.stored.clear();
        self.slots.clear();
    }
}

/// Threads that encode, and the batches that they have.
#[derive(Debug)]
pub(super) struct Helpers {
    most: usize,
    threads: Vec<Helper>,
    /// The threads that have a batch, by number, the first one to be done first.
    order: VecDeque<usize>,
    next: usize,
    /// Batches to fill again.
    spare: Vec<Batch>,
}

#[derive(Debug)]
struct Helper {
    jobs: Option<SyncSender<Batch>>,
    done: Option<Receiver<Result<Batch, CodecError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Helpers {
    /// At most so many threads.
    pub(super) const fn new(most: usize) -> Self {
        Self { most, threads: Vec::new(), order: VecDeque::new(), next: 0, spare: Vec::new() }
    }

    /// True if there may be any.
    pub(super) const fn any(&self) -> bool {
        self.most > 0
    }

    /// True if the thread for the next batch is there, or was begun. Where the system gives no
    /// more threads, those that there are do, or none.
    pub(super) fn is_next_there(&mut self) -> bool {
        if self.next == self.threads.len() {
            match Helper::begin() {
                Ok(helper) => self.threads.push(helper),
                Err(error) => {
                    tracing::debug!(%error, "no other thread encodes");
                    (self.most, self.next) = (self.threads.len(), 0);
                }
            }
        }
        self.any()
    }

    /// An empty batch.
    pub(super) fn batch(&mut self) -> Batch {
        self.spare.pop().unwrap_or_default()
    }

    /// True while batches are with threads.
    pub(super) fn at_work(&self) -> bool {
        !self.order.is_empty()
    }

    /// True if every thread has as many batches as it may: one must be taken before another one is
    /// given.
    pub(super) fn all_busy(&self) -> bool {
        self.order.len() >= self.most * DEPTH
    }

    /// Hands a batch to the next thread, which is there.
    pub(super) fn give(&mut self, batch: Batch) -> Result<(), CodecError> {
        let jobs = self.threads.get(self.next).and_then(|thread| thread.jobs.as_ref());
        jobs.and_then(|jobs| jobs.send(batch).ok()).ok_or_else(ended)?;
        self.order.push_back(self.next);
        self.next = (self.next + 1) % self.most;
        Ok(())
    }

    /// The batch that was given first, encoded; waits for it.
    pub(super) fn take(&mut self) -> Result<Option<Batch>, CodecError> {
        let Some(number) = self.order.pop_front() else { return Ok(None) };
        let done = self.threads[number].done.as_ref();
        done.and_then(|done| done.recv().ok()).ok_or_else(ended)?.map(Some)
    }

    /// Takes back an empty batch.
    pub(super) fn give_back(&mut self, batch: Batch) {
        self.spare.push(batch);
    }
}

fn ended() -> CodecError {
    CodecError::Zstd("a thread that encodes has ended".to_owned())
}

impl Helper {
    fn begin() -> Result<Self, CodecError> {
        let (jobs, to_do) = sync_channel::<Batch>(DEPTH);
        let (results, done) = sync_channel(DEPTH);
        let mut encoder = Encoder::new()?;
        let work = move || {
            for mut batch in to_do {
                let encoded = batch.encode(&mut encoder);
                if results.send(encoded.map(|()| batch)).is_err() {
                    return; // Nobody waits for it: the run was given up.
                }
            }
        };
        let thread = thread::Builder::new().name("encode".to_owned()).spawn(work);
        let thread = Some(thread.map_err(|error| CodecError::Zstd(error.to_string()))?);
        Ok(Self { jobs: Some(jobs), done: Some(done), thread })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Without both ends the thread comes to its end, whatever it is at.
        (self.jobs, self.done) = (None, None);
        if let Some(thread) = self.thread.take() {
            // It panics with nothing that is not told already: what it had is missed by `take`.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
