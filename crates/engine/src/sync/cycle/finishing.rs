//! Ends the files of a stage while the next ones are written.
//!
//! A file is durable only after the disk says so. Many small files are one flush of the whole disk,
//! where that tells of every loss ([`Flush`]). The others are asked for one by one: a disk that is
//! asked for several at once takes little longer than for one. All of them are durable when
//! [`Finishing::end`] returns: only then may a journal name them. A crash leaves a stage, which the
//! next start removes.

use std::collections::VecDeque;

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

/// Files that are written and may not be durable yet.
pub(super) struct Finishing<'a> {
    stage: &'a Stage,
    /// One by one, oldest first.
    alone: VecDeque<JoinHandle<Result<(), StageError>>>,
    /// For the others.
    flush: Option<Box<dyn Flush>>,
}

impl<'a> Finishing<'a> {
    /// For that many files, of which none is begun yet.
    ///
    /// # Errors
    /// Errors of the system.
    pub(super) fn begin(stage: &'a Stage, files: usize) -> Result<Self, SyncError> {
        Ok(Self { stage, alone: VecDeque::new(), flush: stage.begin_flush(files)? })
    }

    /// Ends a file as [`StageWriter::finish`] does, later. On a runtime of one thread, as in
    /// simulations, at once, but for a flush.
    ///
    /// # Errors
    /// Those of this file or of an earlier one.
    pub(super) async fn add(
        &mut self,
        writer: StageWriter,
        slot: u32,
        entry: Entry,
    ) -> Result<(), SyncError> {
        let (content, Entry { size, mode, mtime_ms, .. }) = (entry.content(), entry);
        if self.flush.is_some() && size < LARGE && !self.stage.is_elsewhere(slot) {
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
    /// As for [`Self::add`].
    pub(super) async fn end(mut self) -> Result<(), SyncError> {
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
