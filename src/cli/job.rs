//! Jobs of a verb: done by the daemon where one runs, else by this process.

use serde::de::DeserializeOwned;

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::progress::ProgressWatcher;
use crate::control::jobs::{self, Job};
use cogzy_client::paths::machine_id;
use cogzy_client::socket;

/// Has a job done: through the daemon if one runs, else by this process.
///
/// # Errors
/// What keeps it from being done.
pub fn ask<T: DeserializeOwned>(
    app: &App,
    job: &Job,
    resource: &str,
    request: &serde_json::Value,
    output: &Output,
) -> Result<T, Failure> {
    let value = app.cycle(
        async || {
            let mut engine = app.engine().await?;
            engine.claim_device(&machine_id())?;
            Ok(jobs::run(&mut engine, job, &ProgressWatcher::on(output)).await?)
        },
        async || Ok(socket::post::<serde_json::Value>(&app.socket, resource, request).await?),
    )?;
    serde_json::from_value(value).map_err(|error| Failure::new(Exit::Internal, error))
}
