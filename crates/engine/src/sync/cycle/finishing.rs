//! Ends the files of a stage while the next ones are written.
//!
//! A file is durable only after the disk says so. Many small files are one flush of the whole disk,
//! where that tells of every loss ([`Flush`]). The others are asked for one by one: a disk that is
//! asked for several at once takes little longer than for one. All of them are durable when
//! [`Finishing::end`] returns: only then may a journal name them. A crash leaves a stage, which the
//! next start removes.
//!
//! A small file whose bytes are at hand is written by another thread, with others.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use tokio::task::JoinHandle;

use crate::fs::{At, Flush};
use crate::model::Entry;
use crate::planted::{Bug, planted};
use crate::sync::{SyncError, blocking, has_other_threads, joined};
use crate::vault::{Stage, StageError, StageWriter};

/// Files that the disk is asked for at once.
const AT_ONCE: usize = 16;
/// Bytes of a file from which on the disk is asked for it alone, so that it is busy while the next
/// one arrives.
pub(super) const LARGE: u64 = 1 << 20;
/// Small files that are handed over at once, and their bytes.
const TOGETHER: usize = 64;
const TOGETHER_BYTES: usize = 1 << 20;
/// Hand-overs under way.
const HANDED_OVER: usize = 2;

/// Files that another thread ends.
type Ending = JoinHandle<Result<(), StageError>>;

/// A file that is not written yet.
struct Whole {
    slot: u32,
    entry: Entry,
    bytes: Vec<u8>,
}

/// Files that are written and may not be durable yet.
pub(super) struct Finishing<'a> {
    stage: &'a Stage,
    /// One by one, oldest first.
    alone: VecDeque<Ending>,
    /// For the others.
    flush: Option<Box<dyn Flush>>,
    /// Small files at hand, and their bytes.
    wholes: Vec<Whole>,
    whole_bytes: usize,
    /// Small files that are being written, oldest first.
    writing: VecDeque<(Vec<u32>, Ending)>,
}

impl<'a> Finishing<'a> {
    /// For that many files, of which none is begun yet.
    ///
    /// # Errors
    /// Errors of the system.
    pub(super) fn begin(stage: &'a Stage, files: usize) -> Result<Self, SyncError> {
        Ok(Self {
            stage,
            alone: VecDeque::new(),
            flush: stage.begin_flush(files)?,
            wholes: Vec::new(),
            whole_bytes: 0,
            writing: VecDeque::new(),
        })
    }

    /// True if [`Self::write`] takes this file.
    pub(super) fn takes(&self, slot: u32, entry: &Entry) -> bool {
        self.is_flushed(slot, entry) && has_other_threads()
    }

    /// True for a file that the one flush makes durable.
    fn is_flushed(&self, slot: u32, entry: &Entry) -> bool {
        self.flush.is_some() && entry.size < LARGE && !self.stage.is_elsewhere(slot)
    }

    /// True if a staged file was taken by [`Self::write`] and may not be written yet.
    pub(super) fn is_pending(&self, place: &Path) -> bool {
        if place.parent() != Some(self.stage.folder()) {
            return false;
        }
        let slot = place.file_name().and_then(|name| name.to_str()?.parse().ok());
        let is_it = |other: u32| Some(other) == slot;
        self.wholes.iter().any(|whole| is_it(whole.slot))
            || self.writing.iter().any(|(slots, _)| slots.iter().any(|other| is_it(*other)))
    }

    /// Writes a small file, and ends it as [`StageWriter::finish`] does; later. Before it is read
    /// again, [`Self::settle`] is to be waited for.
    ///
    /// # Errors
    /// Errors of an earlier file.
    pub(super) async fn write(&mut self, slot: u32, entry: Entry, bytes: Vec<u8>) -> Result<(), SyncError> {
        self.whole_bytes += bytes.len();
        self.wholes.push(Whole { slot, entry, bytes });
        if self.wholes.len() < TOGETHER && self.whole_bytes < TOGETHER_BYTES {
            return Ok(());
        }
        if self.writing.len() >= HANDED_OVER {
            self.first_written().await?;
        }
        self.hand_over();
        Ok(())
    }

    /// Waits until all small files are written.
    ///
    /// # Errors
    /// See [`Self::write`].
    pub(super) async fn settle(&mut self) -> Result<(), SyncError> {
        self.hand_over();
        while !self.writing.is_empty() {
            self.first_written().await?;
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let wholes = std::mem::take(&mut self.wholes);
        self.whole_bytes = 0;
        if !wholes.is_empty() {
            let (slots, stage) = (wholes.iter().map(|whole| whole.slot).collect(), self.stage.clone());
            self.writing.push_back((slots, tokio::task::spawn_blocking(move || write_all(&stage, wholes))));
        }
    }

    async fn first_written(&mut self) -> Result<(), SyncError> {
        let Some((_, first)) = self.writing.pop_front() else { return Ok(()) };
        Ok(joined(first.await)??)
    }

    /// Ends a file as [`StageWriter::finish`] does, later. On a runtime of one thread, as in
    /// simulations, at once, but for a flush.
    ///
    /// # Errors
    /// Errors of this file or of an earlier one.
    pub(super) async fn add(
        &mut self,
        writer: StageWriter,
        slot: u32,
        entry: Entry,
    ) -> Result<(), SyncError> {
        let (content, Entry { mode, mtime_ms, .. }) = (entry.content(), entry);
        if self.is_flushed(slot, &entry) {
            return Ok(blocking(|| writer.finish_unflushed(content, mode, mtime_ms))?);
        }
        if !has_other_threads() {
            return Ok(writer.finish(content, mode, mtime_ms)?);
        }
        if self.alone.len() >= AT_ONCE {
            self.first().await?;
        }
        self.alone.push_back(tokio::task::spawn_blocking(move || writer.finish(content, mode, mtime_ms)));
        Ok(())
    }

    /// Waits for all files.
    ///
    /// # Errors
    /// See [`Self::add`].
    pub(super) async fn end(mut self) -> Result<(), SyncError> {
        self.settle().await?;
        while !self.alone.is_empty() {
            self.first().await?;
        }
        match self.flush {
            Some(flush) if !planted(Bug::NoFlush) => {
                let folder = self.stage.folder();
                Ok(blocking(|| flush.flush()).at("make durable what is in", folder)?)
            }
            _ => Ok(()),
        }
    }

    async fn first(&mut self) -> Result<(), SyncError> {
        let Some(first) = self.alone.pop_front() else { return Ok(()) };
        Ok(joined(first.await)??)
    }
}

fn write_all(stage: &Stage, files: Vec<Whole>) -> Result<(), StageError> {
    for Whole { slot, entry, bytes } in files {
        let mut writer = stage.writer(slot)?;
        writer.write_all(&bytes).at("write", &stage.path(slot))?;
        writer.finish_unflushed(entry.content(), entry.mode, entry.mtime_ms)?;
    }
    Ok(())
}
