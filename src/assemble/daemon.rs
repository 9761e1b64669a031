//! The daemon: its loop, its board and events, and the socket that leads to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};

use super::{AssembleError, Assembly, clock, entropy};
use crate::control::board::Board;
use crate::control::events::Events;
use crate::control::routes::Handles;
use crate::control::server;
use crate::daemon::scheduler::Timing;
use crate::daemon::{Daemon, Grip, Guarded, Heart, Hooks, Rebuild, Signs};
use crate::service::notify::Notifier;
use crate::telemetry::Rotated;
use cogzy_client::documents::{DaemonDocument, State, StatusDocument, moment};
use cogzy_client::paths::machine_id;
use cogzy_engine::model::DeviceId;
use cogzy_engine::remote::{FolderRemote, Meter, RemoteUrl};
use cogzy_engine::sync::{Engine, LastKnown};
use cogzy_engine::vault::FileLock;

/// The longest time that changes may be put off by further changes.
const MAX_DELAY: Duration = Duration::from_secs(300);

/// The number of commands that may wait while a cycle runs.
const COMMANDS: usize = 16;

/// A daemon that is ready to run, and its socket, which does not answer yet.
#[derive(Debug)]
pub struct AssembledDaemon {
    /// The loop.
    pub daemon: Daemon,
    /// The socket.
    pub listener: UnixListener,
    /// The handles that the socket's answers need.
    pub handles: Handles,
}

impl Assembly<'_> {
    /// The daemon around `engine`, whose remote counts on `meter`, with the vault's lock and the
    /// log's file. Binds the control socket
    /// at the first of `sockets` that can be made.
    ///
    /// # Errors
    /// If another device owns the vault, the socket cannot be bound, or the events cannot be read.
    pub fn daemon(
        &self,
        engine: Engine,
        meter: Meter,
        sockets: &[PathBuf],
        (lock, log): (FileLock, Option<Rotated>),
    ) -> Result<AssembledDaemon, AssembleError> {
        let device = engine.claim_device(&machine_id())?;
        let (listener, socket) = server::bind_first(sockets).map_err(|source| {
            let path = sockets.first().cloned().unwrap_or_default();
            AssembleError::Socket { path, source }
        })?;
        if let Err(error) = lock.tell(&socket.to_string_lossy()) {
            tracing::warn!(%error, "the lock does not name the socket: only processes of this session find it");
        }
        let clock = clock();
        let heart = Heart::new(Notifier::of_this_process(), Arc::clone(&clock));
        let status = self.running_status(device, engine.last_known(), clock.now_ms());
        let board = Board::new(status, meter, Arc::clone(&clock));
        let events = Events::new(engine.event_log()?, Arc::clone(&clock));
        let (send, commands) = mpsc::channel(COMMANDS);
        let interrupt = watch::Sender::new(false);
        let handles = Handles::new(
            board.clone(),
            send,
            events.clone(),
            interrupt.clone(),
            heart.pulse().clone(),
            engine.reader(),
        );
        let grip = Grip {
            disk: Arc::clone(&self.disk),
            layout: self.layout.clone(),
            database: engine.database(),
            log,
            lock: Some(lock),
        };
        let daemon = Daemon {
            engine,
            filter: self.filter()?,
            timing: self.timing(),
            grip,
            socket,
            clock,
            entropy: entropy(),
            board,
            events,
            hooks: self.hooks(),
            rebuild: self.rebuild(),
            heart,
            signs: self.signs(),
            commands,
            prune: self.config.retention.prune,
            interrupt,
        };
        Ok(AssembledDaemon { daemon, listener, handles })
    }

    /// The status that the board begins with: this process, at work, and how the last run ended.
    fn running_status(&self, device: DeviceId, known: LastKnown, now_ms: u64) -> StatusDocument {
        let daemon = DaemonDocument {
            running: true,
            pid: Some(std::process::id()),
            since: Some(moment(now_ms)),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        };
        let LastKnown { generation, last_sync_ms, here } = known;
        StatusDocument {
            daemon,
            generation,
            remote_generation: generation,
            last_sync: last_sync_ms.map(moment),
            files: here.files,
            bytes: here.bytes,
            ..self.status(State::Syncing, device)
        }
    }

    fn timing(&self) -> Timing {
        let (sync, retry) = (&self.config.sync, &self.config.retry);
        Timing {
            settle: sync.settle,
            batch_interval: sync.batch_interval,
            batch_files: sync.batch_files,
            poll: sync.poll_interval,
            poll_active: sync.poll_interval_active,
            poll_idle: sync.poll_interval_idle,
            rescan: sync.rescan_interval,
            max_delay: MAX_DELAY,
            retry: retry.schedule.clone(),
            max_attempts: retry.max_attempts,
        }
    }

    /// The folder of the remote, or the files that keys are read from.
    fn signs(&self) -> Signs {
        Signs::at(match self.remote {
            RemoteUrl::Folder(root) => vec![FolderRemote::marker(root)],
            RemoteUrl::Bucket(_) => self.environment.aws_files(),
        })
    }

    fn rebuild(&self) -> Rebuild {
        Rebuild {
            argv: self.config.hooks.rebuild.clone(),
            guarded: self.guarded(self.config.hooks.rebuild_timeout),
            layout: self.layout.clone(),
            disk: Arc::clone(&self.disk),
        }
    }

    /// The limits of programs that may take so long.
    fn guarded(&self, timeout: Duration) -> Guarded {
        Guarded::new(timeout, self.environment.credentials().into_iter().map(str::to_owned).collect())
    }

    fn hooks(&self) -> Hooks {
        let hooks = &self.config.hooks;
        Hooks {
            on_conflict: hooks.on_conflict.clone(),
            on_hold: hooks.on_hold.clone(),
            on_error: hooks.on_error.clone(),
            desktop: if self.config.notify.desktop { self.environment.notifier() } else { Vec::new() },
            guarded: self.guarded(hooks.timeout),
        }
    }
}
