//! `cogzy-vault run`

use std::sync::Arc;
use std::time::Duration;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use super::output::Output;
use tokio::sync::{mpsc, oneshot, watch};

use super::progress::ProgressWatcher;
use super::status::document;
use crate::control::board::Board;
use crate::control::events::Events;
use crate::control::{routes::Handles, server};
use crate::daemon::scheduler::Timing;
use crate::daemon::{Daemon, Heart, Hooks, StopSignals};
use crate::service::notify::Notifier;
use crate::telemetry::{self, Sinks};
use cogzy_client::documents::{DaemonDocument, State, moment};
use cogzy_client::paths::machine_id;
use cogzy_engine::clock::{Clock, SystemClock, SystemEntropy};
use cogzy_engine::fs::RealFs;
use cogzy_engine::remote::Meter;
use cogzy_engine::sync::{Joining, join};
use cogzy_engine::vault::Filter;

/// The longest that changes may be put off by further changes.
const MAX_DELAY: Duration = Duration::from_secs(300);

/// Commands that may wait while a cycle runs.
const COMMANDS: usize = 16;

/// Run the daemon in the foreground
///
/// This is what the service manager starts. With nothing configured it keeps the default vault in a folder beside it, and
/// says so.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Keeps the vault in sync until it is told to stop.
///
/// # Errors
/// Where it cannot start.
pub fn run(app: &App, global: &Global, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let config = app.config();
    let root = &config.vault;
    if app.embedded {
        std::fs::create_dir_all(root.join("sync")).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("the vault's folder {} cannot be made: {error}", root.display()),
            )
        })?;
    }
    let lock = app.lock()?;
    start_log(app, global, output);
    let runtime = runtime()?;
    let failed = |what: &str, error: std::io::Error| Failure::new(Exit::Internal, format!("{what}: {error}"));
    let signals = runtime.block_on(async { StopSignals::catch() });
    let mut signals = signals.map_err(|error| failed("signals cannot be caught", error))?;
    let heart = Heart::new(Notifier::of_this_process(), Arc::new(SystemClock::new()));
    let hooks = Hooks {
        on_conflict: config.hooks.on_conflict.clone(),
        on_hold: config.hooks.on_hold.clone(),
        on_error: config.hooks.on_error.clone(),
        timeout: config.hooks.timeout,
        ..Hooks::default()
    };
    let starting = async {
        let meter = Meter::default();
        let engine = if app.embedded {
            embedded(app, meter.clone(), output).await?
        } else {
            app.metered_engine(meter.clone()).await?
        };
        let device = engine.claim_device(&machine_id())?;
        let listener = server::bind(&app.socket).map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("the control socket {} cannot be made: {error}", app.socket.display()),
            )
            .next("use another place: cogzy-vault --socket PATH run")
        })?;
        output.note(format!("keeping {} in sync with {}; stop with Ctrl-C", root.display(), app.remote));
        let sync = &config.sync;
        let timing = Timing {
            settle: sync.settle,
            batch_interval: sync.batch_interval,
            batch_files: sync.batch_files,
            poll: sync.poll_interval,
            poll_active: sync.poll_interval_active,
            rescan: sync.rescan_interval,
            max_delay: MAX_DELAY,
            retry: config.retry.schedule.clone(),
            max_attempts: config.retry.max_attempts,
        };
        let filter = Filter::new(&config.filter.include, &config.filter.exclude)?;
        let (clock, entropy) = (Arc::new(SystemClock::new()) as Arc<dyn Clock>, Arc::new(SystemEntropy));
        let mut status = document(app, State::Syncing, device);
        let since = Some(moment(clock.now_ms()));
        status.daemon = DaemonDocument {
            running: true,
            pid: Some(std::process::id()),
            since,
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        };
        let board = Board::new(status, meter, Arc::clone(&clock));
        let log = engine.event_log().map_err(|error| Failure::new(Exit::Internal, error))?;
        let events = Events::new(log, Arc::clone(&clock));
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
        tokio::spawn(server::serve(listener, handles));
        heart.ready();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), vault = %root.display(), remote = %app.remote, "started");
        Ok::<_, Failure>(Daemon {
            engine,
            filter,
            timing,
            fs: Arc::new(RealFs),
            clock,
            entropy,
            board,
            events,
            hooks: hooks.clone(),
            heart: heart.clone(),
            commands,
            prune: app.config().retention.prune,
            interrupt,
        })
    };
    let daemon = runtime.block_on(async {
        tokio::select! {
            daemon = starting => daemon.map(Some),
            () = signals.arrive() => Ok(None),
        }
    })?;
    // Told to stop while it was still making or joining the vault: the next start goes on with that.
    let Some(daemon) = daemon else { return Ok(Exit::Done) };
    let handle = runtime.handle().clone();
    let engine = std::thread::Builder::new().name("engine".to_owned());
    let (alive, ended) = oneshot::channel::<()>();
    let running = engine.spawn(move || {
        handle.block_on(daemon.run());
        drop(alive);
    });
    let running = running.map_err(|error| failed("no thread could be started", error))?;
    let ended = runtime.block_on(async {
        tokio::select! {
            () = signals.arrive() => false,
            _ = ended => true,
        }
    });
    if ended {
        // A daemon that answers and syncs nothing would be the worst of all.
        return Err(Failure::new(
            Exit::Internal,
            "the daemon's loop has ended: a fault in the program, told above",
        )
        .next("start it again, and report what it said"));
    }
    hooks.end();
    heart.stopping();
    tracing::info!("stopped by a signal");
    // The engine's thread ends with the process, wherever it stands; to take its runtime from under it would only make it
    // complain. The lock goes with the process, too.
    std::mem::forget((runtime, running, lock));
    // The next daemon would remove it as well; a client that finds none is told sooner that nobody listens.
    let _gone_already = std::fs::remove_file(&app.socket);
    Ok(Exit::Done)
}

/// A log that cannot be written is said and gone without: memory is worth more than its log.
fn start_log(app: &App, global: &Global, output: &mut Output) {
    let log = &app.config().log;
    let file = log.file.then(|| app.layout().log());
    let sinks = Sinks { journal: app.environment().journal_stream(), file };
    let level = telemetry::level(log.level, global.verbose, global.quiet);
    if let Err(error) = telemetry::start(level, output.colors_errors(), &sinks) {
        output.error(error, Some("cogzy-vault doctor"));
    }
}

/// With nothing configured: the vault in the platform's data folder, kept in a folder beside it.
async fn embedded(
    app: &App,
    meter: Meter,
    output: &mut Output,
) -> Result<cogzy_engine::sync::Engine, Failure> {
    app.make_remote_folder().await?;
    let mut engine = app.metered_engine(meter).await?;
    let groups = app.config().groups.definitions().to_vec();
    let joining = Joining { groups, machine: machine_id(), approved: false };
    let watcher = ProgressWatcher::on(output);
    let joined = join(&mut engine, &joining, &watcher).await?;
    drop(watcher);
    if joined.meets.is_some() {
        return Err(Failure::new(Exit::Held, "both the vault and its backup folder hold files")
            .next("cogzy-vault init --join"));
    }
    output.line(format!(
        "no remote is configured: {} is kept in a folder beside it, {}",
        app.config().vault.display(),
        app.remote
    ));
    output.line("a bucket outlives this disk: cogzy-vault init --remote b2://BUCKET/PREFIX");
    Ok(engine)
}
