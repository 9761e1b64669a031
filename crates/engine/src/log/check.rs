//! Checks the log in the bucket. Everything is read from the remote, because the cache says nothing
//! about it.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::format::{
    CHECKPOINTS, COMMITS, VAULT, commit_key, decode_commit, decode_header, parse_commit_key, parse_header_key,
};
use super::{Log, LogError};
use crate::model::{CommitKey, limits};
use crate::remote::{RemoteErrorKind, Span, list_all};

/// Number of concurrent reads.
const PARALLEL_READS: usize = 8;

/// Damaged or missing object of the log.
#[derive(Debug)]
pub struct ObjectFault {
    /// Key of the object.
    pub key: String,
    /// Cause. `None` if the object is missing.
    pub error: Option<LogError>,
}

impl Log {
    /// Objects of known commits that the bucket does not have: the last listing, which was one of
    /// all ([`super::Depth::Whole`]), does not show them, and they are not there when asked for.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn missing_commits(&self) -> Result<Vec<String>, LogError> {
        let known = self.graph.iter().map(|(key, _)| key);
        let mut missing = Vec::new();
        for key in known.filter(|key| !self.visible.contains_key(key)).map(commit_key) {
            if self.remote.head(&key).await?.is_none() {
                missing.push(key);
            }
        }
        Ok(missing)
    }

    /// Reads every header, commit and checkpoint of the remote, even known ones, and returns the
    /// faults, by key. A commit that is missing is none of them ([`Self::missing_commits`]).
    ///
    /// # Errors
    /// Errors of the remote that are not about the object.
    pub async fn check_objects(&mut self) -> Result<Vec<ObjectFault>, LogError> {
        let mut faults = Vec::new();
        let listed = list_all(self.remote.as_ref(), VAULT, None).await?;
        let mut keys: Vec<String> = listed.into_iter().map(|object| object.key).collect();
        keys.retain(|key| parse_header_key(key).is_some());
        let missing = self.missing_header().await?;
        faults.extend(missing.map(|key| ObjectFault { key, error: None }));
        let commits: BTreeSet<CommitKey> = self.list_commits(0).await?.into_keys().collect();
        // An object that was set aside is no part of the history, and is told of as such.
        let of_history = commits.into_iter().filter(|key| self.asides.get(*key).is_none());
        keys.extend(of_history.map(commit_key));
        let listed = list_all(self.remote.as_ref(), CHECKPOINTS, None).await?;
        keys.extend(listed.into_iter().map(|object| object.key));

        let log = &*self;
        let mut reads = stream::iter(keys)
            .map(|key| async move { (log.check_object(&key).await, key) })
            .buffered(PARALLEL_READS);
        while let Some((read, key)) = reads.next().await {
            match read {
                Ok(()) => {}
                Err(LogError::Remote(error)) if !error.kind.of_the_object() => return Err(error.into()),
                Err(error) => faults.push(ObjectFault { key, error: Some(error) }),
            }
        }
        faults.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(faults)
    }

    /// Puts a header or commit again from the cache, for objects that are damaged or missing. The
    /// bytes are those of the first PUT. False if the cache has no valid copy.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn put_again(&self, key: &str) -> Result<bool, LogError> {
        let Some(bytes) = self.cache.get(key) else { return Ok(false) };
        let whole = match parse_commit_key(key) {
            Some(commit) => decode_commit(key, &bytes).is_ok_and(|(found, _)| found == commit),
            None => parse_header_key(key).is_some() && decode_header(key, &bytes).is_ok(),
        };
        if whole {
            self.remote.put(key, Bytes::from(bytes)).await?;
        }
        Ok(whole)
    }

    /// Deletes a checkpoint that is damaged or lacks a pack: the commits hold the same state. True
    /// if it was deleted. A checkpoint of a newer program stays.
    ///
    /// # Errors
    /// Errors of the remote.
    pub async fn drop_damaged_checkpoint(&self, key: &str) -> Result<bool, LogError> {
        if !key.starts_with(CHECKPOINTS) {
            return Ok(false);
        }
        match self.check_checkpoint(key).await {
            Err(error) if error.is_damage() => {}
            Err(LogError::Remote(error)) if error.kind == RemoteErrorKind::NotFound => {}
            Err(LogError::Remote(error)) => return Err(error.into()),
            _ => return Ok(false),
        }
        self.remote.delete(key).await?;
        Ok(true)
    }

    async fn check_object(&self, key: &str) -> Result<(), LogError> {
        if key.starts_with(CHECKPOINTS) {
            return self.check_checkpoint(key).await;
        }
        let limit = if key.starts_with(COMMITS) { limits::COMMIT_STORED } else { limits::HEADER_STORED };
        let bytes = self.remote.get(key, Span::UpTo(limit)).await?;
        if !key.starts_with(COMMITS) {
            return decode_header(key, &bytes).map(drop);
        }
        let (found, _) = decode_commit(key, &bytes)?;
        if parse_commit_key(key) == Some(found) {
            return Ok(());
        }
        Err(LogError::corrupt(key, format!("its content belongs under {found}")))
    }
}
