//! Devices that commit to this vault, and the features that each can read.
//!
//! A writer uses a feature only once every device that committed lately reads it. A device tells
//! its features in its commits of format 2. Before there are any, it tells them in the name of an
//! empty object below `devices/`, which older programs do not look at. A missing object makes a
//! writer wait. A forged one makes it go on, and the device that cannot follow says which version
//! it needs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::checkpoint::EVERY;
use super::{Log, LogError, Snapshot};
use crate::model::{Announcement, CommitKey, DeviceId, Digest, FORMAT, Feature, Keeps, Reads};
use crate::remote::{Object, Remote, RemoteError, list_all};

/// Prefix of the objects in which devices tell what they read.
pub(super) const DEVICES: &str = "devices/";
/// Time after its last commit from which a device is no longer waited for.
const LATELY_MS: u64 = 30 * 24 * 3600 * 1000;

/// A device that committed to this vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSeen {
    /// Name of the device in its last commit.
    pub name: String,
    /// Time of its last commit, by its own clock, in milliseconds since the Unix epoch.
    pub last_ms: u64,
    /// Formats and features that it reads.
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
    /// Says what this program reads, and what a device that is about to commit wants to be kept.
    ///
    /// # Errors
    /// Those of the remote.
    pub async fn announce(&self, device: DeviceId, keeps: Keeps) -> Result<(), LogError> {
        let announcement = Announcement { device, reads: Reads::ours(), keeps: Some(keeps) };
        Ok(self.remote.put(&format!("{DEVICES}{}", announcement.name()), Bytes::new()).await?)
    }

    /// Devices that committed to `head` within the last 30 days before its newest commit, by id.
    ///
    /// # Errors
    /// Errors of the remote, for objects that the cache does not have.
    pub async fn devices_lately(&self, head: CommitKey) -> Result<BTreeMap<DeviceId, DeviceSeen>, LogError> {
        let mut seen: BTreeMap<DeviceId, DeviceSeen> = BTreeMap::new();
        let mut newest = 0;
        // By rank from the newest down: the last word of a device counts.
        let mut reads = std::pin::pin!(self.reads(self.graph.ancestry(head).into_iter().rev()));
        while let Some((_, commit)) = reads.try_next().await? {
            let (Some(device), Some(txn)) = (commit.device, commit.txn) else { continue };
            newest = newest.max(txn.wall_ms);
            if txn.wall_ms.saturating_add(LATELY_MS) < newest {
                break;
            }
            let reads = device.reads.unwrap_or_else(Reads::first);
            let said = DeviceSeen { name: device.name, last_ms: txn.wall_ms, reads };
            seen.entry(device.id).or_insert(said);
        }
        for said in self.announcements().await? {
            if let Some(device) = seen.get_mut(&said.device)
                && said.reads.format >= device.reads.format
            {
                device.reads.format = said.reads.format;
                device.reads.features.extend(said.reads.features);
            }
        }
        Ok(seen)
    }

    /// All that devices say of themselves.
    async fn announcements(&self) -> Result<Vec<Announcement>, LogError> {
        let listed = list_all(self.remote.as_ref(), DEVICES, None).await?;
        let said = |object: &Object| object.key.strip_prefix(DEVICES).and_then(Announcement::parse);
        Ok(listed.iter().filter_map(said).collect())
    }

    /// Wishes of other devices to keep old data: all that each of them ever said and did not take
    /// back, so that whoever speaks in its name can only add to it. A device counts as long as its
    /// last commit is younger than 30 days, or than the time that it keeps, by the server's time.
    ///
    /// # Errors
    /// Errors of the remote, for commits that are not in the cache too.
    pub async fn others_keep(
        &self,
        head: CommitKey,
        own: DeviceId,
        times: &BTreeMap<CommitKey, i64>,
        now_ms: i64,
    ) -> Result<Keeps, LogError> {
        let said = self.announcements().await?;
        let wishes: Vec<(DeviceId, Keeps, u64)> = said
            .into_iter()
            .filter(|said| said.device != own)
            .filter_map(|said| said.keeps.map(|keeps| (said.device, keeps)))
            .map(|(device, keeps)| (device, keeps, LATELY_MS.max(keeps.seconds.saturating_mul(1000))))
            .collect();
        let Some(longest_ms) = wishes.iter().map(|(.., counts_ms)| *counts_ms).max() else {
            return Ok(Keeps::default());
        };
        let since_ms = now_ms.saturating_sub_unsigned(longest_ms);
        let mut lately = self.graph.ancestry(head);
        lately.retain(|key| times.get(key).is_none_or(|time| *time >= since_ms));
        let mut last: BTreeMap<DeviceId, i64> = BTreeMap::new();
        let mut reads = std::pin::pin!(self.reads(lately));
        while let Some((key, commit)) = reads.try_next().await? {
            let Some(device) = commit.device else { continue };
            let time = times.get(&key).copied().unwrap_or(now_ms);
            let last = last.entry(device.id).or_insert(time);
            *last = time.max(*last);
        }
        let counts = |(device, _, counts_ms): &&(DeviceId, Keeps, u64)| {
            last.get(device).is_some_and(|last| now_ms.saturating_sub(*last).unsigned_abs() <= *counts_ms)
        };
        Ok(wishes.iter().filter(counts).map(|(_, keeps, _)| *keeps).fold(Keeps::default(), Keeps::and))
    }

    /// Takes back what a device once wanted to be kept and does not want any more. What is locked
    /// keeps nothing else from going.
    ///
    /// # Errors
    /// Errors of the remote: of several the first.
    pub async fn take_back_keeps(&self, device: DeviceId, keeps: Keeps) -> Result<(), LogError> {
        let said = self.announcements().await?.into_iter();
        let past = said.filter(|said| said.device == device && said.keeps.is_some_and(|said| said != keeps));
        let keys: Vec<String> = past.map(|said| format!("{DEVICES}{}", said.name())).collect();
        if !keys.is_empty() {
            self.remote.delete_all(&keys).await?;
        }
        Ok(())
    }

    /// Digest of the sum of `head`'s state for its next commit, if that may name it: once commits
    /// do, all do. They begin with a generation before which a checkpoint is due, when every device
    /// that committed lately reads them.
    ///
    /// # Errors
    /// See [`Log::devices_lately`].
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

    /// Names of the devices that committed lately and do not read `feature`, without `own`.
    ///
    /// # Errors
    /// See [`Log::devices_lately`].
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
