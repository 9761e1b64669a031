//! Opens the log of a prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::aside::Notes;
use super::format::{VAULT, encode_header, header_key, parse_header_key};
use super::header::list_headers;
use super::leaving::Leaving;
use super::read::Listed;
use super::waypoints::Waypoints;
use super::{Graph, Log, LogError, ObjectCache};
use crate::model::{SharedMap, VaultId};
use crate::remote::Remote;

impl Log {
    /// Opens the log of the vault in `remote`. Returns `None` if there is no vault. This reads the
    /// headers and the newest checkpoint, from the cache if possible, but no commits:
    /// [`Log::refresh`] does that.
    ///
    /// # Errors
    /// Errors of the remote; damaged or newer headers.
    pub async fn open(
        remote: Arc<dyn Remote>,
        cache: Arc<dyn ObjectCache>,
    ) -> Result<Option<Self>, LogError> {
        let mut log = Self::blank(remote, cache);
        log.asides = Notes::load(log.cache.as_ref());
        for vault in log.cached_vaults() {
            // A damaged copy is worthless.
            if log.header_of(vault).await.is_err() {
                log.cache.remove(&header_key(vault));
            }
        }
        if log.headers.is_empty() {
            log.headers = list_headers(log.remote.as_ref()).await?;
            for header in log.headers.values() {
                log.cache.put(&header_key(header.vault), &encode_header(header)?);
            }
            if log.headers.is_empty() {
                return Ok(None);
            }
            log.start_from_checkpoint().await?;
        } else {
            // The refresh finds newer commits, with or without checkpoints.
            log.start_from_cache();
        }
        Ok(Some(log))
    }

    fn blank(remote: Arc<dyn Remote>, cache: Arc<dyn ObjectCache>) -> Self {
        Self {
            remote,
            cache,
            headers: BTreeMap::new(),
            graph: Graph::default(),
            visible: Listed::new(),
            listed: None,
            newest_ms: None,
            recent: Vec::new(),
            waypoints: Waypoints::default(),
            seen_packs: BTreeSet::new(),
            trusted: SharedMap::new(),
            lost_packs: BTreeSet::new(),
            start: None,
            applied: 0,
            checkpointed: 0,
            own: None,
            fresh: None,
            waited: 0,
            agreed: None,
            asides: Notes::default(),
            holders: Arc::default(),
            turn: 0,
            leaving: Leaving::default(),
        }
    }

    fn cached_vaults(&self) -> Vec<VaultId> {
        self.cache.keys(VAULT).iter().filter_map(|key| parse_header_key(key)).collect()
    }
}
