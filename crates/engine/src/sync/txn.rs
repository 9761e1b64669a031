//! The transaction id of the next commit.

use super::{Engine, SyncError};
use crate::log::{Log, pack_key};
use crate::model::{DeviceId, Hlc, MAX_AHEAD_MS, PackId};

impl Engine {
    /// The id after `last`. A clock that is more than a day ahead of the server's is not believed: one bad day would mark all later
    /// generations with its date, for the id never runs backwards. `pack` is one that was put a moment ago, if any was: its time
    /// is the server's, and asked for only where the newest commit does not settle the matter.
    pub(super) async fn next_txn(
        &self,
        log: &Log,
        last: Option<Hlc>,
        device: DeviceId,
        pack: Option<PackId>,
    ) -> Result<Hlc, SyncError> {
        let now = self.ports.clock.now_ms();
        let ahead =
            |server: i64| u64::try_from(server).is_ok_and(|server| now > server.saturating_add(MAX_AHEAD_MS));
        if let Some(pack) = pack.filter(|_| log.newest_ms().is_none_or(ahead))
            && let Some(object) = self.ports.remote.head(&pack_key(pack)).await?
            && ahead(object.modified_ms)
        {
            let server = u64::try_from(object.modified_ms).unwrap_or_default();
            tracing::warn!(
                ahead_s = now.saturating_sub(server) / 1000,
                "this device's clock is more than a day ahead of the server's: the server's time is noted instead; set the clock"
            );
            return Ok(Hlc::next(last, server, device));
        }
        Ok(Hlc::next(last, now, device))
    }
}
