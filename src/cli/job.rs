//! Jobs of a verb: done by the daemon where one runs, else by this process.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::App;
use super::failure::Failure;
use super::output::Output;
use super::progress::{ProgressWatcher, through_daemon};
use cogzy_client::paths::machine_id;
use cogzy_client::socket;
use cogzy_engine::sync::{Engine, SyncError, Watcher};

/// Has a job done: by the daemon, which gets `request` at `resource`, or by this process, which
/// runs `alone`.
///
/// # Errors
/// Errors of the job and of [`App::cycle`].
pub fn perform<T: DeserializeOwned>(
    app: &App,
    resource: &str,
    request: &impl Serialize,
    output: &Output,
    alone: impl AsyncFnOnce(&mut Engine, &dyn Watcher) -> Result<T, SyncError>,
) -> Result<T, Failure> {
    app.cycle(
        async || {
            let mut engine = app.engine().await?;
            engine.claim_device(&machine_id())?;
            Ok(alone(&mut engine, &ProgressWatcher::on(output)).await?)
        },
        async || through_daemon(&app.socket, output, socket::post(&app.socket, resource, request)).await,
    )
}
