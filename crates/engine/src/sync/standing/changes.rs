//! What has moved in the vault: told commit by commit as it happens, or asked for since a generation.
//!
//! Both are read from the log, so that nothing is missed, whoever made the cycle that brought it, and whatever became of the
//! events. Nothing here asks the remote for what the cache has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Commit, CommitKey, Entry, VaultPath};
use crate::state::{EventLog, EventLogError};
use crate::sync::{Engine, SyncError, Unwatched};

/// What this device has agreed on since somebody looked last.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The commit that is agreed now.
    pub agreed: Option<CommitKey>,
    /// The commits that came, the oldest first.
    pub commits: Vec<(CommitKey, Commit)>,
}

/// A path that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Which path.
    pub path: VaultPath,
    /// What it holds now; none where it is gone.
    pub entry: Option<Entry>,
    /// The generation that touched it last.
    pub generation: u64,
    /// That generation's transaction; a merge has none.
    pub transaction: Option<String>,
    /// The name of the device that made it; a merge has none.
    pub device: Option<String>,
}

/// What has moved since a generation, up to the one that is agreed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// The generation that is agreed.
    pub generation: u64,
    /// The paths, in order.
    pub moved: Vec<Moved>,
    /// Whether there are more behind the last one.
    pub more: bool,
}

impl Engine {
    /// What has been agreed since `known`.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn news(&mut self, known: Option<CommitKey>) -> Result<News, SyncError> {
        let agreed = self.context.agreed()?;
        let Some(head) = agreed.filter(|_| agreed != known) else {
            return Ok(News { agreed, commits: Vec::new() });
        };
        let commits = self.session(&Unwatched).await?.log.news(head, known).await?;
        Ok(News { agreed, commits })
    }

    /// The paths that have moved since generation `since`, each once and as it is now, those after `after`, at most `limit`.
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
    /// Where they cannot be opened.
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
