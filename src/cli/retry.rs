//! `cogzy-vault retry`

use super::app::{App, runtime};
use super::documents::RetryDocument;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use cogzy_client::documents::SchemaVersion;
use cogzy_client::socket;

/// Try again now what the daemon has put off or given up
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Tells the daemon to try again.
///
/// # Errors
/// If none runs.
pub fn run(app: &App, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    if !app.is_held()? {
        return Err(
            Failure::new(Exit::NoDaemon, "no daemon runs").next("`cogzy-vault sync`, or `cogzy-vault run`")
        );
    }
    runtime()?.block_on(socket::post_only(&app.socket, "/v1/retry"))?;
    output.json(&RetryDocument { schema: SchemaVersion, retrying: true });
    output.note("the daemon tries again now");
    Ok(Exit::Done)
}
