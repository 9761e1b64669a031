//! Making a vault, or joining one: what `init` does, and `run` on the embedded default.
//!
//! Safe to repeat: a folder that is this remote's vault already stays what it is. A crash in between leaves a header without
//! commits, or a marker without a record: the next `init` goes on from there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::report::Watcher;
use super::survey::Seen;
use super::{DatabaseCache, Engine, SyncError};
use crate::clock::random;
use crate::log::{Depth, Log, LogError, create_vault};
use crate::model::{ChunkParams, DeviceId, FORMAT, Group, VaultHeader, VaultId};
use crate::state::LastSync;
use crate::vault::{APP_FOLDERS, IoAt, MARKER_FORMAT, Marker, MarkerError};

/// What joining is told.
#[derive(Debug, Clone)]
pub struct Joining {
    /// Groups of a vault that is made now.
    pub groups: Vec<Group>,
    /// Digest of this machine's id.
    pub machine: String,
    /// Whether the user has agreed that the remote's versions win where both sides hold files, and to another remote.
    pub approved: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// The vault's name.
    pub vault: VaultId,
    /// This device's.
    pub device: DeviceId,
    /// Whether the vault was made now.
    pub created: bool,
    /// The remote's generation.
    pub generation: u64,
    /// Where both sides hold files and nobody has agreed to it yet: what would meet what. Then nothing was joined.
    pub meets: Option<Meeting>,
}

/// Files of two sides that would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Meeting {
    /// On both sides, with the same bytes.
    pub same: usize,
    /// On both sides, with different bytes.
    pub differing: usize,
    /// Here only.
    pub local_only: usize,
    /// There only.
    pub remote_only: usize,
}

/// Makes the vault's folders and marker, and creates or joins the vault that the remote holds.
///
/// # Errors
/// See [`SyncError`]; another remote or vault than before needs [`Joining::approved`].
pub async fn join(
    engine: &mut Engine,
    joining: &Joining,
    watcher: &dyn Watcher,
) -> Result<Joined, SyncError> {
    engine.make_folders()?;
    let marker = match Marker::read(engine.fs(), &engine.layout) {
        Ok(marker) => Some(marker),
        Err(MarkerError::Missing(_)) => None,
        // A damaged marker is replaced only by somebody who says so.
        Err(MarkerError::Damaged { .. }) if joining.approved => None,
        Err(error) => return Err(error.into()),
    };
    let elsewhere = LastSync::load(engine.fs(), &engine.layout.last_sync());
    let elsewhere =
        elsewhere.is_ok_and(|record| record.is_some_and(|record| record.remote != engine.settings.remote));
    if elsewhere && joining.approved {
        engine.forget()?;
    } else if elsewhere {
        engine.record()?;
    }
    if joining.approved && engine.is_lost().await? {
        // The word covers it: what was agreed with a bucket that is no longer what it was is void.
        engine.forget()?;
    }
    let known = marker.as_ref().filter(|_| !joining.approved).map(|marker| marker.vault);
    let (log, created) = engine.open_or_create(&joining.groups, known).await?;
    let vault =
        log.vault().ok_or(LogError::Foreign { expected: VaultId::from_bytes([0; 16]), found: None })?;
    engine.log = Some(log);
    match marker {
        Some(marker) if engine.log.as_ref().is_some_and(|log| log.is_named(marker.vault)) => {
            // Whoever wrote it may have been cut short before its name lasted.
            let root = engine.layout.root();
            engine.fs().sync_dir(root).map_err(|source| IoAt {
                operation: "sync",
                path: root.to_owned(),
                source,
            })?;
            let device = engine.own_device(&marker, &joining.machine)?;
            if joining.approved {
                engine.approve_joining(vault)?;
            }
            return engine.joined(vault, device, created).await;
        }
        Some(marker) if !joining.approved => {
            return Err(LogError::Foreign { expected: marker.vault, found: Some(vault) }.into());
        }
        Some(_) => engine.forget()?,
        None => {}
    }
    let device = DeviceId::from_bytes(random(engine.ports.entropy.as_ref()));
    let marker = Marker { format: MARKER_FORMAT, vault, device, machine: joining.machine.clone() };
    marker.write(engine.fs(), &engine.layout)?;
    if !joining.approved && !created {
        let meeting = engine.meeting(vault, watcher).await?;
        if meeting.local_only + meeting.same + meeting.differing > 0
            && meeting.remote_only + meeting.same + meeting.differing > 0
        {
            let path = engine.layout.marker();
            engine.fs().remove_file(&path).map_err(|source| IoAt { operation: "remove", path, source })?;
            let mut joined = engine.joined(vault, device, created).await?;
            joined.meets = Some(meeting);
            return Ok(joined);
        }
    }
    if joining.approved {
        engine.approve_joining(vault)?;
    }
    engine.joined(vault, device, created).await
}

impl Engine {
    /// Whether the remote has lost what this device agreed on.
    async fn is_lost(&self) -> Result<bool, SyncError> {
        let Some(agreed) = self.record()?.and_then(|record| record.commit) else { return Ok(false) };
        let cache = Arc::new(DatabaseCache(Arc::clone(&self.ports.database)));
        let Some(mut log) = Log::open(Arc::clone(&self.ports.remote), cache).await? else { return Ok(true) };
        let checked = match log.check_agreed(agreed).await {
            Ok(()) => log.check_heads().await,
            lost => lost,
        };
        match checked {
            Err(LogError::RolledBack { .. }) => Ok(true),
            checked => Ok(checked.map(|()| false)?),
        }
    }

    fn make_folders(&self) -> Result<(), SyncError> {
        let ours = [self.layout.sync(), self.layout.staging(), self.layout.trash(), self.layout.conflicts()];
        let folders = APP_FOLDERS.iter().map(|name| self.layout.root().join(name)).chain(ours);
        for path in std::iter::once(self.layout.root().to_owned()).chain(folders) {
            self.fs().create_dir_all(&path).map_err(|source| IoAt { operation: "create", path, source })?;
        }
        Ok(())
    }

    /// Opens the remote's log, after putting a header there if it has none. Another device may do the same at this moment:
    /// both then look again, and the smaller id wins. A remote that should hold the vault `known` and holds none was emptied:
    /// nothing is put there unasked.
    async fn open_or_create(
        &self,
        groups: &[Group],
        known: Option<VaultId>,
    ) -> Result<(Log, bool), SyncError> {
        let open = || async {
            let cache = Arc::new(DatabaseCache(Arc::clone(&self.ports.database)));
            Log::open(Arc::clone(&self.ports.remote), cache).await
        };
        let mut created = false;
        let mut log = match open().await? {
            Some(log) => log,
            None => {
                if let Some(expected) = known {
                    return Err(LogError::Foreign { expected, found: None }.into());
                }
                let vault = VaultId::from_bytes(random(self.ports.entropy.as_ref()));
                let header = VaultHeader {
                    format: FORMAT,
                    vault,
                    chunking: ChunkParams::default(),
                    groups: groups.to_vec(),
                };
                create_vault(self.ports.remote.as_ref(), &header).await?;
                created = true;
                open().await?.ok_or(LogError::Foreign { expected: vault, found: None })?
            }
        };
        log.refresh(Depth::Whole).await?;
        Ok((log, created))
    }

    /// The device id of a marker that is already here; a new one where the folder was copied from another machine, for two
    /// devices of one name would be one writer to the log.
    fn own_device(&self, marker: &Marker, machine: &str) -> Result<DeviceId, SyncError> {
        if marker.machine == machine {
            return Ok(marker.device);
        }
        let device = DeviceId::from_bytes(random(self.ports.entropy.as_ref()));
        let fresh = Marker { device, machine: machine.to_owned(), ..marker.clone() };
        fresh.write(self.fs(), &self.layout)?;
        tracing::warn!(old = %marker.device, new = %device, "this vault was copied from another machine and gets a device id of its own");
        Ok(device)
    }

    /// Gives a copied vault a device id of its own, if this is one.
    ///
    /// # Errors
    /// Those of the marker.
    pub fn claim_device(&self, machine: &str) -> Result<DeviceId, SyncError> {
        let marker = Marker::read(self.fs(), &self.layout)?;
        self.own_device(&marker, machine)
    }

    async fn meeting(&mut self, vault: VaultId, watcher: &dyn Watcher) -> Result<Meeting, SyncError> {
        let mut log = self.open_log(vault).await?;
        let head = log.graph().heads().first().copied();
        let (remote, agreed) = (log.snapshot(head).await?, log.snapshot(None).await?);
        let survey =
            self.survey(&mut log, vault, None, Seen { head, remote, agreed }, false, watcher).await?;
        self.log = Some(log);
        let mut meeting = Meeting::default();
        for (path, entry) in &survey.local.tree {
            match survey.remote.tree.get(path) {
                Some(there) if there == entry => meeting.same += 1,
                Some(_) => meeting.differing += 1,
                None => meeting.local_only += 1,
            }
        }
        let only_there = survey.remote.tree.keys().filter(|path| !survey.local.tree.contains_key(*path));
        meeting.remote_only = only_there.filter(|path| self.visible(path)).count();
        Ok(meeting)
    }

    /// Notes that the remote's versions win where both sides hold files.
    fn approve_joining(&self, vault: VaultId) -> Result<(), SyncError> {
        let mut record = self.record()?.unwrap_or_else(|| self.first_record(vault));
        record.decisions.join = record.joining;
        Ok(record.save(self.fs(), &self.layout.last_sync())?)
    }

    /// Forgets what was agreed with another remote. No file of the user's is touched.
    fn forget(&mut self) -> Result<(), SyncError> {
        self.log = None;
        self.manifest_of = None;
        self.ports.database.forget_remote()?;
        for path in [self.layout.last_sync(), self.layout.pending()] {
            self.remove(path)?;
        }
        Ok(())
    }

    fn remove(&self, path: PathBuf) -> Result<(), SyncError> {
        match self.fs().remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(IoAt { operation: "remove", path, source }.into())
            }
            _ => Ok(()),
        }
    }

    async fn joined(&mut self, vault: VaultId, device: DeviceId, created: bool) -> Result<Joined, SyncError> {
        let head = self.log.as_ref().and_then(|log| log.graph().heads().first().copied());
        Ok(Joined { vault, device, created, generation: head.map_or(0, |key| key.seq), meets: None })
    }
}
