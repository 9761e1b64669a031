//! Ends the files of a stage while the next ones are written.
//!
//! A file is durable only after the disk says so, and a disk that is asked for several files at
//! once takes little longer than for one. All of them are durable when [`Finishing::end`] returns:
//! only then may a journal name them. A crash leaves a stage, which the next start removes.

use std::collections::VecDeque;

use tokio::task::JoinHandle;

use crate::model::Content;
use crate::sync::{SyncError, has_other_threads};
use crate::vault::{StageError, StageWriter};

/// Files that the disk is asked for at once.
const AT_ONCE: usize = 16;

/// Files that are written and may not be durable yet, oldest first.
#[derive(Default)]
pub(super) struct Finishing(VecDeque<JoinHandle<Result<(), StageError>>>);

impl Finishing {
    /// Ends a file as [`StageWriter::finish`] does, later. On a runtime of one thread, as in
    /// simulations, at once.
    ///
    /// # Errors
    /// Those of this file or of an earlier one.
    pub(super) async fn add(
        &mut self,
        writer: StageWriter,
        content: Content,
        mode: u32,
        mtime_ms: i64,
    ) -> Result<(), SyncError> {
        if !has_other_threads() {
            return Ok(writer.finish(content, mode, mtime_ms)?);
        }
        if self.0.len() >= AT_ONCE {
            self.first().await?;
        }
        self.0.push_back(tokio::task::spawn_blocking(move || writer.finish(content, mode, mtime_ms)));
        Ok(())
    }

    /// Waits for all files.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub(super) async fn end(mut self) -> Result<(), SyncError> {
        while !self.0.is_empty() {
            self.first().await?;
        }
        Ok(())
    }

    async fn first(&mut self) -> Result<(), SyncError> {
        let Some(first) = self.0.pop_front() else { return Ok(()) };
        Ok(first.await.map_err(|error| SyncError::Upload(error.to_string()))??)
    }
}
