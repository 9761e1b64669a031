//! The composition root: the only place where adapters, decorators, engine and daemon are put
//! together.
//!
//! The configuration chooses what is built. Every part is handed what it needs, and looks for
//! nothing by itself. Nothing runs here yet: no cycle, no task, no thread.

mod daemon;
mod engine;
mod error;
mod remote;

use std::path::PathBuf;
use std::sync::Arc;

pub use daemon::AssembledDaemon;
pub use error::AssembleError;
pub use remote::{open, probe};

use crate::config::{Config, Environment};
use cogzy_client::documents::{
    DaemonDocument, DeviceDocument, PendingDocument, SchemaVersion, State, StatusDocument,
};
use cogzy_engine::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use cogzy_engine::fs::RootedFs;
use cogzy_engine::model::DeviceId;
use cogzy_engine::remote::{RemoteUrl, Transfer};
use cogzy_engine::vault::Layout;

/// Everything that decides what is built for one vault.
#[derive(Debug, Clone)]
pub struct Assembly<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The environment, which has the B2 key.
    pub environment: &'a Environment,
    /// The place of this vault's objects: the configured URL with the user's part.
    pub remote: &'a RemoteUrl,
    /// The vault's folder.
    pub layout: Layout,
    /// The disk, with that folder held open.
    pub disk: Arc<RootedFs>,
    /// True where this process holds the vault's lock.
    pub owner: bool,
    /// The file that notes what this machine has seen of the remote.
    pub seen: PathBuf,
}

impl Assembly<'_> {
    /// A status that knows what is configured, and nothing of the vault yet.
    #[must_use]
    pub fn status(&self, state: State, device: DeviceId) -> StatusDocument {
        let config = self.config;
        StatusDocument {
            schema: SchemaVersion,
            state,
            vault: self.layout.root().to_owned(),
            remote: config.remote.clone().unwrap_or_else(|| self.remote.to_string()),
            user_id: config.user_id.clone(),
            device: DeviceDocument { id: device, name: config.device_name.clone() },
            daemon: DaemonDocument::default(),
            generation: 0,
            remote_generation: 0,
            last_sync: None,
            paused_until: None,
            open: Vec::new(),
            files: 0,
            bytes: 0,
            pending: PendingDocument::default(),
            unwatched: Vec::new(),
            progress: None,
            conflicts: 0,
            holds: Vec::new(),
            errors: Vec::new(),
            aside: None,
            left_out: Vec::new(),
            content: None,
            transfer: Transfer::default(),
        }
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn entropy() -> Arc<dyn Entropy> {
    Arc::new(SystemEntropy)
}
