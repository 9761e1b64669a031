//! Makes a vault or joins one: the work of `init`, and of `run` with the embedded default.
//!
//! Decided here: whether this folder may become a device of that vault, and under which device id.
//! Safe to repeat: a folder that is already this remote's vault stays as it is. A crash in between
//! leaves a header without commits, or a marker without a record: the next `init` goes on from
//! there.

use serde::Serialize;

use crate::clock::random;
use crate::fs::{At, Linked, found};
use crate::log::{Depth, Log, LogError, create_vault};
use crate::model::{ChunkParams, DeviceId, FIRST_FORMAT, Group, VaultHeader, VaultId};
use crate::state::{LastSync, Seen};
use crate::sync::cycle::{Scope, Sides};
use crate::sync::session::{Context, Session};
use crate::sync::{Engine, SyncError, Watcher};
use crate::vault::{APP_FOLDERS, MARKER_FORMAT, Marker, MarkerError};

/// Inputs of joining.
#[derive(Debug, Clone)]
pub struct Joining {
    /// Groups of a vault that is made now.
    pub groups: Vec<Group>,
    /// Digest of this machine's id.
    pub machine: String,
    /// True if the user agrees that the remote's versions win where both sides hold files, and
    /// agrees to another remote.
    pub approved: bool,
}

/// Result of joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Joined {
    /// Id of the vault.
    pub vault: VaultId,
    /// Id of this device.
    pub device: DeviceId,
    /// True if the vault was made now.
    pub created: bool,
    /// Generation of the remote.
    pub generation: u64,
    /// True where this machine has seen a newer state of the remote, or another vault there, and
    /// the user has agreed to go on from what it holds now.
    pub rolled_back: bool,
    /// Files that would meet each other, while both sides hold some and nobody has agreed to it
    /// yet. Then nothing was joined.
    pub meets: Option<Meeting>,
}

/// Files of two sides that would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Meeting {
    /// Files on both sides, with the same bytes.
    pub same: usize,
    /// Files on both sides, with different bytes.
    pub differing: usize,
    /// Files here only.
    pub local_only: usize,
    /// Files there only.
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
    engine.context.make_folders()?;
    let marker = match Marker::read(engine.context.fs(), &engine.context.layout) {
        Ok(marker) => Some(marker),
        Err(MarkerError::Missing(_)) => None,
        // A damaged marker is replaced only with the user's approval.
        Err(MarkerError::Damaged { .. }) if joining.approved => None,
        Err(error) => return Err(error.into()),
    };
    engine.leave_other_remote(joining.approved).await?;
    // With a marker, the vault's own records know better.
    let seen = engine.context.seen()?.filter(|_| marker.is_none());
    let known = marker.as_ref().map(|marker| marker.vault).or(seen.as_ref().map(|seen| seen.vault));
    let known = known.filter(|_| !joining.approved);
    let (mut log, created) = engine.context.open_or_create(&joining.groups, known).await?;
    let rolled_back = engine.context.is_older_than_seen(&mut log, seen, joining.approved).await?;
    let vault =
        log.vault().ok_or(LogError::Foreign { expected: VaultId::from_bytes([0; 16]), found: None })?;
    let generation = log.graph().heads().first().map_or(0, |head| head.seq);
    let named = marker.as_ref().is_some_and(|marker| log.is_named(marker.vault));
    engine.log = Some(log);
    let context = &engine.context;
    let mut joined =
        Joined { vault, device: DeviceId::from_bytes([0; 8]), created, generation, rolled_back, meets: None };
    match marker {
        Some(marker) if named => {
            // The program that wrote it may have been cut short before the name was durable.
            let root = context.layout.root();
            context.fs().sync_dir(root).at("sync", root)?;
            joined.device = context.own_device(&marker, &joining.machine)?;
        }
        Some(marker) if !joining.approved => {
            return Err(LogError::Foreign { expected: marker.vault, found: Some(vault) }.into());
        }
        other => {
            if other.is_some() {
                engine.forget()?;
            }
            joined.device = engine.context.new_device(vault, &joining.machine)?;
            if !joining.approved && !created {
                joined.meets = engine.meeting(watcher).await?;
                if joined.meets.is_some() {
                    let path = engine.context.layout.marker();
                    engine.context.fs().remove_file(&path).at("remove", &path)?;
                }
            }
        }
    }
    if joining.approved {
        engine.context.approve_joining(vault)?;
    }
    Ok(joined)
}

impl Meeting {
    /// True if both sides hold files.
    const fn wants_a_word(self) -> bool {
        let common = self.same + self.differing;
        self.local_only + common > 0 && self.remote_only + common > 0
    }
}

impl Engine {
    /// Forgets the agreement with another remote, or with a bucket that is no longer the same, if
    /// the user approves. An error otherwise.
    async fn leave_other_remote(&mut self, approved: bool) -> Result<(), SyncError> {
        let context = &self.context;
        let record = LastSync::load(context.fs(), &context.layout.last_sync()).ok().flatten();
        if record.is_some_and(|record| record.remote != context.settings.remote) {
            if !approved {
                context.record()?;
            }
            self.forget()?;
        }
        if approved && self.context.is_lost().await? {
            self.forget()?;
        }
        Ok(())
    }

    /// Gives a copied vault a device id of its own, if this is one.
    ///
    /// # Errors
    /// Errors of the marker.
    pub fn claim_device(&self, machine: &str) -> Result<DeviceId, SyncError> {
        let marker = Marker::read(self.context.fs(), &self.context.layout)?;
        self.context.own_device(&marker, machine)
    }

    /// Counts the files of both sides that would meet. None if one side holds nothing.
    async fn meeting(&mut self, watcher: &dyn Watcher) -> Result<Option<Meeting>, SyncError> {
        let meeting = self.session(watcher).await?.meeting().await?;
        Ok(Some(meeting).filter(|meeting| meeting.wants_a_word()))
    }

    /// Forgets the agreement with another remote. No file of the user's is touched.
    fn forget(&mut self) -> Result<(), SyncError> {
        self.log = None;
        self.memory.manifest_of = None;
        let Context { ports, layout, .. } = &self.context;
        ports.database.forget_remote()?;
        for path in [layout.last_sync(), layout.pending()] {
            found(self.context.fs().remove_file(&path)).at("remove", &path)?;
        }
        self.memory.seen = None;
        self.context.forget_seen()
    }
}

impl Session<'_> {
    async fn meeting(&mut self) -> Result<Meeting, SyncError> {
        let head = self.log.graph().heads().first().copied();
        let (remote, agreed) = (self.log.snapshot(head).await?, self.log.snapshot(None).await?);
        let remote = self.log.at_hand(remote);
        let survey = self.survey(None, Sides { head, remote, agreed }, Scope::default()).await?;
        let mut meeting = Meeting::default();
        for (path, entry) in &survey.local.tree {
            match survey.remote.tree.get(path) {
                Some(there) if there == entry => meeting.same += 1,
                Some(_) => meeting.differing += 1,
                None => meeting.local_only += 1,
            }
        }
        let only_there = survey.remote.tree.keys().filter(|path| !survey.local.tree.contains_key(*path));
        meeting.remote_only = only_there.filter(|path| self.context.visible(path)).count();
        Ok(meeting)
    }
}

impl Context {
    /// True if the remote has lost the commit that this device agreed on.
    async fn is_lost(&self) -> Result<bool, SyncError> {
        let Some(agreed) = self.agreed()? else { return Ok(false) };
        let Some(mut log) = self.open_log().await? else { return Ok(true) };
        let checked = match log.check_agreed(agreed).await {
            Ok(()) => log.check_heads().await,
            lost => lost,
        };
        match checked {
            Err(LogError::RolledBack { .. }) => Ok(true),
            checked => Ok(checked.map(|()| false)?),
        }
    }

    /// True where the remote lacks what this machine has seen of it, and the user has agreed to
    /// that; an error where not.
    async fn is_older_than_seen(
        &self,
        log: &mut Log,
        seen: Option<Seen>,
        approved: bool,
    ) -> Result<bool, SyncError> {
        let Some(seen) = seen else { return Ok(false) };
        match self.check_seen(log, &seen).await? {
            Ok(()) => Ok(false),
            Err(_) if approved => self.forget_seen().map(|()| true),
            Err(error) => Err(error.into()),
        }
    }

    fn make_folders(&self) -> Result<(), SyncError> {
        let root = self.layout.root();
        self.fs().create_dir_all(root).at("create", root)?;
        for path in APP_FOLDERS.iter().map(|name| root.join(name)) {
            match self.fs().create_dir_all(&path) {
                // A link in its place is not followed, and the scan names it.
                Err(error) if Linked::is(&error) => {}
                made => made.at("create", &path)?,
            }
        }
        for path in [self.layout.sync(), self.layout.staging(), self.layout.trash(), self.layout.conflicts()]
        {
            self.fs().create_dir_all(&path).at("create", &path)?;
        }
        Ok(())
    }

    /// Opens the remote's log, after putting a header there if it has none. Another device may do
    /// the same at this moment: both then look again, and the smaller id wins. A remote that should
    /// hold the vault `known` and holds none was emptied: without approval nothing is put there.
    async fn open_or_create(
        &self,
        groups: &[Group],
        known: Option<VaultId>,
    ) -> Result<(Log, bool), SyncError> {
        let mut created = false;
        let mut log = match self.open_log().await? {
            Some(log) => log,
            None => {
                if let Some(expected) = known {
                    return Err(LogError::Foreign { expected, found: None }.into());
                }
                let vault = VaultId::from_bytes(random(self.ports.entropy.as_ref()));
                let header = VaultHeader {
                    format: FIRST_FORMAT,
                    vault,
                    chunking: ChunkParams::default(),
                    groups: groups.to_vec(),
                    needs: Vec::new(),
                    ext: None,
                };
                create_vault(self.ports.remote.as_ref(), &header).await?;
                created = true;
                self.open_log().await?.ok_or(LogError::Foreign { expected: vault, found: None })?
            }
        };
        log.refresh(Depth::Whole).await?;
        Ok((log, created))
    }

    /// Makes this folder a device of a vault.
    fn new_device(&self, vault: VaultId, machine: &str) -> Result<DeviceId, SyncError> {
        let device = DeviceId::from_bytes(random(self.ports.entropy.as_ref()));
        let marker = Marker { format: MARKER_FORMAT, vault, device, machine: machine.to_owned() };
        marker.write(self.fs(), &self.layout)?;
        Ok(device)
    }

    /// Device id of a marker that is already here. A new one if the folder was copied from another
    /// machine: two devices with one id would be one writer to the log.
    fn own_device(&self, marker: &Marker, machine: &str) -> Result<DeviceId, SyncError> {
        if marker.machine == machine {
            return Ok(marker.device);
        }
        let device = self.new_device(marker.vault, machine)?;
        tracing::warn!(old = %marker.device, new = %device, "this vault was copied from another machine and gets a device id of its own");
        Ok(device)
    }

    /// Notes that the remote's versions win where both sides hold files.
    fn approve_joining(&self, vault: VaultId) -> Result<(), SyncError> {
        self.decide(vault, |record| record.decisions.join = record.joining)
    }
}
