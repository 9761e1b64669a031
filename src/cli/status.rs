//! `cogzy-vault status`

mod look;
mod text;
mod watch;

pub use look::look;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use cogzy_client::documents::{State, StatusDocument};
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::clock::{Clock, SystemClock};

/// Say whether all is in sync, and if not, what to do
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on showing it as it changes, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Prints the status: the daemon's, or without one that of a look at the vault. The remote is not
/// asked.
///
/// # Errors
/// If the vault cannot be looked at.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    app.vault()?;
    if args.watch {
        return runtime.block_on(watch::run(app, output));
    }
    // The vault's lock is no way to find out: trying it holds it for a moment, and a sync that
    // starts just then would find it taken.
    let (status, exit) = match runtime.block_on(socket::get(&app.socket, "/v1/status")) {
        Ok(status) => {
            let exit = exit_of(&status);
            (status, exit)
        }
        Err(ClientError::NoDaemon) => runtime.block_on(look::judged(app))?,
        Err(error) => return Err(error.into()),
    };
    output.json(&status);
    for line in text::lines(&status, SystemClock::new().now_ms()) {
        output.styled(&line);
    }
    Ok(exit)
}

/// The code for the status of a daemon.
fn exit_of(status: &StatusDocument) -> Exit {
    match status.state {
        State::Held => Exit::Held,
        State::Offline => Exit::Offline,
        // The rest is in sync; each path that is not is named.
        State::Error if status.errors.iter().all(|error| error.path.is_some()) => Exit::Partial,
        State::Error => Exit::Internal,
        _ if !status.holds.is_empty() => Exit::Held,
        _ => Exit::Done,
    }
}
