//! `cogzy-vault run`

use std::sync::Arc;
use std::time::Duration;

use super::app::{App, Shown, runtime};
use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::clock::{SystemClock, SystemEntropy};
use crate::daemon::{self, Daemon};
use crate::fs::RealFs;
use crate::paths::machine_id;
use crate::sync::scheduler::Timing;
use crate::sync::{Joining, join};
use crate::vault::Filter;

/// The longest that changes may be put off by further changes.
const MAX_DELAY: Duration = Duration::from_secs(300);

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
pub fn run(app: &App, _: &Global, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
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
    let runtime = runtime()?;
    let daemon = runtime.block_on(async {
        let engine = if app.embedded { embedded(app, output).await? } else { app.engine().await? };
        engine.claim_device(&machine_id())?;
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
        let (clock, entropy) = (Arc::new(SystemClock::new()), Arc::new(SystemEntropy));
        Ok::<_, Failure>(Daemon { engine, filter, timing, fs: Arc::new(RealFs), clock, entropy })
    })?;
    let handle = runtime.handle().clone();
    let engine = std::thread::Builder::new().name("engine".to_owned());
    let failed = |what: &str, error: std::io::Error| Failure::new(Exit::Internal, format!("{what}: {error}"));
    let running = engine.spawn(move || handle.block_on(daemon.run()));
    let running = running.map_err(|error| failed("no thread could be started", error))?;
    let stopped = runtime.block_on(daemon::stopped());
    tracing::info!("stopped by a signal");
    // The engine's thread ends with the process, wherever it stands; to take its runtime from under it would only make it
    // complain. The lock goes with the process, too.
    std::mem::forget((runtime, running, lock));
    stopped.map_err(|error| failed("signals cannot be caught", error)).map(|()| Exit::Done)
}

/// With nothing configured: the vault in the platform's data folder, kept in a folder beside it.
async fn embedded(app: &App, output: &mut Output) -> Result<crate::sync::Engine, Failure> {
    app.make_remote_folder().await?;
    let mut engine = app.engine().await?;
    let groups = app.config().groups.definitions().to_vec();
    let joining = Joining { groups, machine: machine_id(), approved: false };
    let shown = Shown::on(output);
    let joined = join(&mut engine, &joining, &shown).await?;
    drop(shown);
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
