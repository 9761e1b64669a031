//! Paths that have moved in the vault: told commit by commit as it happens, or listed since a
//! generation.
//!
//! Both are read from the log, so that nothing is missed, whichever process ran the cycle that
//! brought it, and whatever became of the events. The remote is not asked for anything that the
//! cache has. A crash leaves nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Commit, CommitKey, Entry, VaultPath};
use crate::state::{EventLog, EventLogError};
use crate::sync::{Engine, SyncError, Unwatched};

/// Commits that this device has agreed on since the last look.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Commit that is agreed now.
    pub agreed: Option<CommitKey>,
    /// Commits that came, oldest first.
    pub commits: Vec<(CommitKey, Commit)>,
}

/// A path that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its path.
    pub path: VaultPath,
    /// Its present entry. None if the path is gone.
    pub entry: Option<Entry>,
    /// Generation that touched it last.
    pub generation: u64,
    /// Transaction of that generation; a merge has none.
    pub transaction: Option<String>,
    /// Name of the device that made it; a merge has none.
    pub device: Option<String>,
}

/// Paths that have moved since a generation, up to the agreed one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Generation that is agreed.
    pub generation: u64,
    /// Paths, in order.
    pub moved: Vec<Moved>,
    /// True if more paths follow the last one.
    pub more: bool,
}

impl Engine {
    /// Commits agreed since `known`. If that is of another remote, only the newest: the history of
    /// a remote that was joined is no news.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn news(&mut self, known: Option<CommitKey>) -> Result<News, SyncError> {
        let agreed = self.context.agreed()?;
        let Some(head) = agreed.filter(|_| agreed != known) else {
            return Ok(News { agreed, commits: Vec::new() });
        };
        let session = self.session(&Unwatched).await?;
        let is_ours = match known {
            Some(known) => session.log.reaches(head, known).await?,
            None => false,
        };
        let commits = session.log.news(head, known.filter(|_| is_ours)).await?;
        Ok(News { agreed, commits })
    }

    /// Paths that have moved since generation `since`, each once and in its present state: those
    /// after `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn changes_since(
        &mut self,
        since: u64,
        after: Option<&VaultPath>,
        limit: usize,
    ) -> Result<Changes, SyncError> {
        let mut session = self.session(&Unwatched).await?;
        let snapshot = session.agreed_snapshot().await?;
        let Some(head) = snapshot.key else { return Ok(Changes::default()) };
        let commits = session.log.since(head, since).await?;
        let mut touched: BTreeMap<VaultPath, Arc<Touch>> = BTreeMap::new();
        for (key, commit) in commits {
            let touch = Arc::new(Touch {
                generation: key.seq,
                transaction: commit.txn.map(|txn| txn.to_string()),
                device: commit.device.map(|device| device.name),
            });
            for change in commit.changes {
                if after.is_none_or(|after| change.path > *after) && session.context.visible(&change.path) {
                    touched.insert(change.path, Arc::clone(&touch));
                }
            }
        }
        let more = touched.len() > limit;
        let moved = touched.into_iter().take(limit).map(|(path, touch)| Moved {
            entry: snapshot.tree.get(&path).copied(),
            path,
            generation: touch.generation,
            transaction: touch.transaction.clone(),
            device: touch.device.clone(),
        });
        Ok(Changes { generation: snapshot.seq(), moved: moved.collect(), more })
    }

    /// The events of this vault, for its one writer.
    ///
    /// # Errors
    /// Errors of opening them.
    pub fn event_log(&self) -> Result<EventLog, EventLogError> {
        let ports = &self.context.ports;
        let (fs, database) = (Arc::clone(&ports.fs), Arc::clone(&ports.database));
        EventLog::open(fs, self.context.layout.event_ids(), database)
    }
}

struct Touch {
    generation: u64,
    transaction: Option<String>,
    device: Option<String>,
}
