//! Devices that commit to this vault, and what they can read.
//!
//! A writer uses a feature only once every device that committed lately reads it. What a device reads
//! stands in its commits of format 2, and before there are any in the name of an empty object below
//! `devices/`, which older programs do not look at. An object that is missing makes a writer wait; one
//! that is forged makes it go on, and the device that cannot follow says which version it needs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::checkpoint::EVERY;
use super::{Log, LogError, Snapshot};
use crate::model::{Announcement, CommitKey, DeviceId, Digest, FORMAT, Feature, Reads};
use crate::remote::{Remote, RemoteError, list_all};

/// Where devices say what they read.
pub(super) const DEVICES: &str = "devices/";
/// A device that has not committed for this long is not waited for.
const LATELY_MS: u64 = 30 * 24 * 3600 * 1000;

/// A device that committed to this vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSeen {
    /// Its name in its last commit.
    pub name: String,
    /// Time of its last commit, by its own clock, in milliseconds since the Unix epoch.
    pub last_ms: u64,
    /// What it reads.
    pub reads: Reads,
}

/// The number of devices that have said what they read.
///
/// # Errors
/// Those of the remote.
pub async fn devices(remote: &dyn Remote) -> Result<usize, RemoteError> {
    let said = list_all(remote, DEVICES, None).await?;
    let ids = said.iter().filter_map(|object| Announcement::parse(object.key.strip_prefix(DEVICES)?));
    Ok(ids.map(|said| said.device).collect::<BTreeSet<_>>().len())
}

impl Log {
    /// Says what this program reads, for a device that is about to commit.
    ///
    /// # Errors
    /// Those of the remote.
    pub async fn announce(&self, device: DeviceId) -> Result<(), LogError> {
        let announcement = Announcement { device, reads: Reads::ours() };
        Ok(self.remote.put(&format!("{DEVICES}{}", announcement.name()), Bytes::new()).await?)
    }

    /// The devices that committed to `head` within the last 30 days before its newest commit, by id.
    ///
    /// # Errors
    /// Those of the remote, for what the cache does not have.
    pub async fn devices_lately(&self, head: CommitKey) -> Result<BTreeMap<DeviceId, DeviceSeen>, LogError> {
        let mut seen: BTreeMap<DeviceId, DeviceSeen> = BTreeMap::new();
        let mut newest = 0;
        // By rank from the newest down: what a device said last counts.
        for key in self.graph.ancestry(head).into_iter().rev() {
            let (_, commit) = self.read_commit(key).await?;
            let (Some(device), Some(txn)) = (commit.device, commit.txn) else { continue };
            newest = newest.max(txn.wall_ms);
            if txn.wall_ms.saturating_add(LATELY_MS) < newest {
                break;
            }
            let reads = device.reads.unwrap_or_else(Reads::first);
            let said = DeviceSeen { name: device.name, last_ms: txn.wall_ms, reads };
            seen.entry(device.id).or_insert(said);
        }
        for object in list_all(self.remote.as_ref(), DEVICES, None).await? {
            let said = object.key.strip_prefix(DEVICES).and_then(Announcement::parse);
            let device = said.as_ref().and_then(|said| seen.get_mut(&said.device));
            if let (Some(said), Some(device)) = (said, device)
                && said.reads.format >= device.reads.format
            {
                device.reads.format = said.reads.format;
                device.reads.features.extend(said.reads.features);
            }
        }
        Ok(seen)
    }

    /// Digest of the sum of `head`'s state for its next commit, if that may name it: once commits do, all
    /// do. They begin with a generation before which a checkpoint is due, when every device that
    /// committed lately reads them.
    ///
    /// # Errors
    /// As for [`Log::devices_lately`].
    pub async fn base_for(&self, head: &Snapshot) -> Result<Option<Digest>, LogError> {
        let begins = head.key.filter(|key| (key.seq + 1).is_multiple_of(EVERY));
        let named = match begins {
            _ if head.names_base => true,
            None => false,
            Some(key) => {
                let devices = self.devices_lately(key).await?;
                devices.values().all(|device| device.reads.format >= FORMAT)
            }
        };
        Ok(named.then(|| head.base()))
    }

    /// Names of the devices that committed lately and do not read `feature`, but for `own`.
    ///
    /// # Errors
    /// As for [`Log::devices_lately`].
    pub async fn cannot_read(
        &self,
        feature: Feature,
        head: CommitKey,
        own: DeviceId,
    ) -> Result<Vec<String>, LogError> {
        let devices = self.devices_lately(head).await?;
        let behind = devices.into_iter().filter(|(id, seen)| *id != own && !seen.reads.knows(feature));
        Ok(behind.map(|(_, seen)| seen.name).collect())
    }
}
