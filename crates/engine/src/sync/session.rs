//! One run over the vault and its log: the value that all rooms of this module work on.
//!
//! A [`Session`] begins by reading the marker and opening the log of that very vault, and holds
//! both, the report and the watcher until the run ends. The log stays the engine's, lent for the
//! run: however the run ends, by an error or because its caller stops waiting, the next one goes on
//! with it.
//!
//! Nothing is decided here, and a crash leaves nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::interrupt::Interrupt;
use super::{Engine, Ports, Refusal, Report, Settings, SyncError, Watcher, object_cache};
use crate::fs::Fs;
use crate::log::{Ahead, Holders, Log, LogError};
use crate::model::{CommitKey, Decisions, Feature, FileStat, Item, VaultId, VaultPath};
use crate::state::{LastSync, Reference};
use crate::sync::cycle::{Census, Early, FactsKnown, Indexed, Judged, LastLook, PutOff, Uplink, Visible};
use crate::sync::standing::Unsent;
use crate::vault::{Layout, Marker, Verdict};

/// Inputs of every run, which none changes.
#[derive(Debug)]
pub(crate) struct Context {
    pub layout: Layout,
    pub ports: Ports,
    pub settings: Settings,
    /// Known facts of the files of groups.
    pub facts: FactsKnown,
    pub interrupt: Interrupt,
    /// Measured speed of the line.
    pub uplink: Uplink,
    /// The last manifest as the filters show it.
    pub shown: Visible,
    /// The index of the vault's chunks.
    pub indexed: Indexed,
    /// Commits that packs may stand in.
    pub holders: Arc<Holders>,
    /// Recipes that gave other bytes than they should.
    pub judged: Judged,
}

/// State that one run leaves for the next.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Commit whose manifest this process has seen on disk.
    pub manifest_of: Option<Option<CommitKey>>,
    /// The last time that leftovers of transactions were looked at.
    pub tidied_ms: Option<u64>,
    /// Commit that the last cycle agreed on.
    pub agreed: Option<Option<CommitKey>>,
    /// The commit that this process has noted outside the vault.
    pub seen: Option<Option<CommitKey>>,
    /// True while the last survey left something undone that a poll of the remote alone would not
    /// see.
    pub unfinished: bool,
    /// Devices that cannot read a feature, and the time until which that answer counts.
    pub behind: BTreeMap<Feature, (Duration, Vec<String>)>,
    /// True if the remote was out of reach when it was listed last.
    pub unreached: bool,
    /// Changes that the last cycle should have sent and did not.
    pub unsent: Unsent,
    /// The paths that the last pull wrote here, each as it left it; none where it removed the file.
    pub brought: BTreeMap<VaultPath, Option<FileStat>>,
    /// Attributes that could not be passed on to files that were replaced, as far as it was told.
    pub told_left: BTreeSet<&'static str>,
    /// Items that the disk did not let be put in place.
    pub put_off: BTreeMap<Item, PutOff>,
    /// The files here as the last look found them, where the next one may go on from there.
    pub last: Option<LastLook>,
    /// Places that a pull has written since the last look.
    pub written: BTreeSet<VaultPath>,
    /// Facts of the files here.
    pub here: Census,
    /// Facts of the agreed files and of those of the newest commit, whichever was looked at last.
    pub there: Census,
}

/// One run over one vault.
pub(crate) struct Session<'e> {
    pub context: &'e Context,
    pub memory: &'e mut Memory,
    pub log: &'e mut Log,
    pub marker: Marker,
    pub report: Report,
    /// Reference of the brakes, and the trusted time.
    pub reference: Reference,
    pub watcher: &'e dyn Watcher,
    /// Places that the next look is to be at. None to look at all of the vault.
    pub hints: Option<BTreeSet<VaultPath>>,
    /// Listing of commits that was asked for ahead.
    pub ahead: Option<Ahead>,
    /// Look at the vault that was made meanwhile.
    pub early: Option<Early>,
}

impl Engine {
    /// Begins a run over the vault that the marker names.
    pub(crate) async fn session<'e>(
        &'e mut self,
        watcher: &'e dyn Watcher,
    ) -> Result<Session<'e>, SyncError> {
        let Self { context, memory, log, .. } = self;
        Session::begin(context, memory, log, watcher).await
    }

    /// The log of the remote, whichever vault that is: this machine may have none.
    pub(crate) async fn any_log(&mut self) -> Result<(&Context, &mut Log), SyncError> {
        let Self { context, log, .. } = self;
        let log = opened(context, log).await?.ok_or(Refusal::Empty)?;
        log.build_on(context.agreed().ok().flatten());
        Ok((context, log))
    }
}

impl<'e> Session<'e> {
    /// Begins a run with the parts of an engine.
    pub(crate) async fn begin(
        context: &'e Context,
        memory: &'e mut Memory,
        log: &'e mut Option<Log>,
        watcher: &'e dyn Watcher,
    ) -> Result<Self, SyncError> {
        let marker = Marker::read(context.fs(), &context.layout)?;
        let expected = marker.vault;
        let log = opened(context, log).await?.ok_or(LogError::Foreign { expected, found: None })?;
        log.build_on(context.agreed().ok().flatten());
        if !log.look_for(expected).await? {
            return Err(LogError::Foreign { expected, found: log.vault() }.into());
        }
        let reference = context.reference(expected, log)?;
        Ok(Self {
            context,
            memory,
            log,
            marker,
            report: Report::default(),
            reference,
            watcher,
            hints: None,
            ahead: None,
            early: None,
        })
    }
}

/// The log, opened by the first run and kept. None if the remote holds no vault.
async fn opened<'l>(context: &Context, slot: &'l mut Option<Log>) -> Result<Option<&'l mut Log>, SyncError> {
    if slot.is_none() {
        *slot = context.open_log().await?;
    }
    Ok(slot.as_mut())
}

impl Context {
    pub(crate) fn fs(&self) -> &dyn Fs {
        self.ports.fs.as_ref()
    }

    /// Opens the log of the remote. None if it holds no vault.
    pub(crate) async fn open_log(&self) -> Result<Option<Log>, LogError> {
        let log = Log::open(Arc::clone(&self.ports.remote), object_cache(&self.ports)).await?;
        Ok(log.map(|log| log.sharing(Arc::clone(&self.holders))))
    }

    /// True if the filters let a path be synced.
    pub(crate) fn visible(&self, path: &VaultPath) -> bool {
        self.settings.filter.verdict(path) == Verdict::Synced
    }

    /// Reads this device's record of what was agreed. None if nothing was agreed yet, or if the
    /// record is lost.
    pub(crate) fn record(&self) -> Result<Option<LastSync>, SyncError> {
        let Some(record) = LastSync::load(self.fs(), &self.layout.last_sync())? else { return Ok(None) };
        if record.remote != self.settings.remote {
            return Err(SyncError::OtherRemote {
                known: record.remote,
                configured: self.settings.remote.clone(),
            });
        }
        Ok(Some(record))
    }

    /// The commit that this device agreed on last.
    pub(crate) fn agreed(&self) -> Result<Option<CommitKey>, SyncError> {
        Ok(self.record()?.and_then(|record| record.commit))
    }

    /// Record of a device that has agreed on nothing yet.
    pub(crate) fn first_record(&self, vault: VaultId) -> LastSync {
        let filter = self.settings.filter_record.clone();
        LastSync::new(vault, self.settings.remote.clone(), filter, Decisions::default())
    }

    /// The record, or a first one.
    pub(crate) fn record_or_first(&self, vault: VaultId) -> Result<LastSync, SyncError> {
        Ok(self.record()?.unwrap_or_else(|| self.first_record(vault)))
    }

    /// Makes a record durable.
    pub(crate) fn save_record(&self, record: &LastSync) -> Result<(), SyncError> {
        Ok(record.save(self.fs(), &self.layout.last_sync())?)
    }
}
