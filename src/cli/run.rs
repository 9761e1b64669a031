//! `cogzy-vault run`

mod keys;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::runtime::Runtime;
use tokio::sync::oneshot::{self, error::RecvError};

use super::app::{App, runtime};
use super::events::words;
use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use super::output::Output;
use super::progress::ProgressWatcher;
use crate::assemble::AssembledDaemon;
use crate::control::events::Subscription;
use crate::control::server::{self, Door};
use crate::daemon::{Daemon, Ended, Guarded, StopSignals};
use crate::telemetry::{self, Rotated, Sinks};
use cogzy_client::documents::EventBody;
use cogzy_client::paths::{fits_socket, machine_id};
use cogzy_client::socket::ClientError;
use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::remote::{Meter, RemoteUrl, Store};
use cogzy_engine::sync::{Engine, Joining, join};
use cogzy_engine::vault::FileLock;

/// Stack of the daemon's thread, in bytes.
const STACK: usize = 8 << 20;

/// Run the daemon in the foreground
///
/// This is what the service manager starts. With nothing configured it keeps the default vault in a
/// folder beside it, and says so.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Keeps the vault in sync until a stop signal.
///
/// # Errors
/// If the daemon cannot start, or its loop ends by itself.
pub fn run(app: &App, global: &Global, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    if !fits_socket(&app.socket) {
        return Err(ClientError::TooLong(app.socket.clone()).into());
    }
    let b2 = matches!(&app.remote, RemoteUrl::Bucket(url) if url.store() == Store::B2);
    let asked = keys::Asked { profile: app.config().s3.profile.is_some(), b2 };
    if let Some(unread) = keys::take(&app.credentials_file(), app.environment(), asked)? {
        output.error(unread, None);
    }
    make_embedded_vault(app)?;
    let lock = app.lock()?;
    let log = start_log(app, global, output);
    let runtime = runtime()?;
    let signals = runtime.block_on(async { StopSignals::catch() });
    let mut signals = signals.map_err(|error| failed("signals cannot be caught", error))?;

    let starting = start(app, (lock, log), output);
    let Some((daemon, events, door)) =
        runtime.block_on(unless_stopped(&mut signals, starting)).transpose()?
    else {
        // The stop came while the vault was still being made or joined: the next start goes on with
        // that.
        return Ok(Exit::Done);
    };
    let guards = [daemon.hooks.guarded.clone(), daemon.rebuild.guarded.clone()];
    let heart = daemon.heart.clone();
    let (engine, ended) = spawn(daemon, &runtime)?;
    let events = output.is_watched().then_some(events);
    let ended = runtime.block_on(unless_stopped(&mut signals, telling(ended, events, output)));
    guards.iter().for_each(Guarded::end);
    heart.stopping();
    // The engine's thread ends with the process, wherever it stands; taking its runtime away would
    // only make it complain. The lock ends with the process, too.
    std::mem::forget((runtime, engine));
    match ended {
        None => tracing::info!("stopped by a signal"),
        // The socket's path may be that of another vault by now.
        Some(Ok(Ended { message, next })) => return Err(Failure::new(Exit::Internal, message).next(next)),
        // A daemon that answers and syncs nothing would be worse.
        Some(Err(_)) => {
            return Err(Failure::new(
                Exit::Internal,
                "the daemon's loop has ended: a fault in the program, told above",
            )
            .next("start it again, and report what it said"));
        }
    }
    // Without it clients learn sooner that no daemon listens.
    door.close();
    Ok(Exit::Done)
}

/// Makes the vault's folder at the first start, if nothing is configured.
fn make_embedded_vault(app: &App) -> Result<(), Failure> {
    let root = &app.config().vault;
    if !app.embedded {
        return Ok(());
    }
    RealFs.create_dir_all(&root.join("sync")).map_err(|error| {
        // A service that ends with 2 is not started again, and a disk may be mounted later.
        Failure::new(Exit::Held, format!("the vault's folder {} cannot be made: {error}", root.display()))
            .next("mount the disk that it lies on, or name another folder: cogzy-vault --vault FOLDER init")
    })
}

/// Starts the log, and returns the file that it goes to. If it cannot be written, the daemon
/// reports that and goes on without it: the memories are worth more than their log.
fn start_log(app: &App, global: &Global, output: &mut Output) -> Option<Rotated> {
    let log = &app.config().log;
    let file = log.file.then(|| (Arc::clone(app.disk()), app.layout().log()));
    let for_people = output.is_watched() && global.verbose == 0;
    let sinks = Sinks { journal: app.environment().journal_stream(), file, for_people };
    let level = telemetry::level(log.level, global.verbose, global.quiet);
    telemetry::start(level, output.colors_errors(), &sinks).unwrap_or_else(|error| {
        output.error(error, Some("cogzy-vault doctor"));
        None
    })
}

/// Puts the daemon together, and begins to answer on its socket.
async fn start(
    app: &App,
    held: (FileLock, Option<Rotated>),
    output: &mut Output,
) -> Result<(Daemon, Subscription, Door), Failure> {
    let (assembly, meter) = (app.assembly(), Meter::default());
    let engine = if app.embedded {
        embedded_engine(app, meter.clone(), output).await?
    } else {
        assembly.engine(meter.clone()).await?
    };
    let AssembledDaemon { daemon, listener, handles } = assembly.daemon(engine, meter, &app.sockets, held)?;
    let root = &app.config().vault;
    output.note(format!("keeping {} in sync with {}; stop with Ctrl-C", root.display(), app.remote));
    let events = handles.events.subscribe(handles.events.newest());
    let door = Door::at(daemon.socket.clone());
    tokio::spawn(server::serve(listener, door.clone(), handles));
    daemon.heart.ready();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), vault = %root.display(), remote = %app.remote, "started");
    Ok((daemon, events, door))
}

/// Tells a person at the terminal what happens, until the daemon has `ended`.
async fn telling(
    mut ended: oneshot::Receiver<Ended>,
    mut events: Option<Subscription>,
    output: &mut Output,
) -> Result<Ended, RecvError> {
    loop {
        let told = async {
            match &mut events {
                Some(events) => events.next().await,
                None => None,
            }
        };
        tokio::select! {
            ended = &mut ended => return ended,
            Some(event) = told => {
                if !matches!(event.body, EventBody::Progress { .. }) {
                    output.line(format!("{}  {}", event.at, words(&event)));
                    output.flush();
                }
            }
        }
    }
}

/// The engine of a machine with no configuration: the vault in the platform's data folder, kept in
/// a folder beside it.
async fn embedded_engine(app: &App, meter: Meter, output: &mut Output) -> Result<Engine, Failure> {
    let assembly = app.assembly();
    assembly.make_remote_folder().await?;
    let mut engine = assembly.engine(meter).await?;
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
    output.line("a bucket outlives this disk: `cogzy-vault init --remote b2://BUCKET/PREFIX`");
    Ok(engine)
}

/// Runs the daemon on a thread of its own, which it blocks now and then. The receiver gets the
/// cause of its end.
fn spawn(daemon: Daemon, runtime: &Runtime) -> Result<(JoinHandle<()>, oneshot::Receiver<Ended>), Failure> {
    let handle = runtime.handle().clone();
    let (tell, ended) = oneshot::channel();
    // The main thread, on which a command runs the same engine, has as much.
    let thread = std::thread::Builder::new().name("engine".to_owned()).stack_size(STACK);
    let engine = thread.spawn(move || {
        // After a stop signal there is no receiver left.
        let _stopping = tell.send(handle.block_on(daemon.run()));
    });
    let engine = engine.map_err(|error| failed("no thread could be started", error))?;
    Ok((engine, ended))
}

/// The outcome of `work`. None if a stop signal comes first.
async fn unless_stopped<T>(signals: &mut StopSignals, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = signals.arrive() => None,
    }
}

fn failed(what: &str, error: io::Error) -> Failure {
    Failure::new(Exit::Internal, format!("{what}: {error}"))
}
