//! `cogzy-vault pause` and `cogzy-vault resume`

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::config::Span;
use cogzy_client::documents::{PauseRequest, StatusDocument};
use cogzy_client::socket::{self, ClientError};

/// Stop syncing for a while, or until `resume`
///
/// A cycle that runs is broken off and goes on later from where it was. A pause outlives a restart;
/// `sync` still runs.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// For how long, such as 30m or 1h; else until `resume`
    #[arg(long = "for", value_name = "DURATION")]
    pub span: Option<Span>,
}

/// Go on syncing after a pause
#[derive(Debug, clap::Args)]
pub struct ResumeArgs {}

/// Tells the daemon to pause.
///
/// # Errors
/// If none runs.
pub fn pause(app: &App, args: &PauseArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = PauseRequest { seconds: args.span.map(|Span(span)| span.as_secs()) };
    let status: StatusDocument = told(runtime()?.block_on(socket::post(&app.socket, "/v1/pause", &request)))?;
    output.json(&status);
    output.line(match &status.paused_until {
        Some(until) => format!("paused until {until}"),
        None => "paused".to_owned(),
    });
    output.note("next: cogzy-vault resume");
    Ok(Exit::Done)
}

/// Tells the daemon to go on.
///
/// # Errors
/// If none runs.
pub fn resume(app: &App, _: &ResumeArgs, output: &mut Output) -> Result<Exit, Failure> {
    let status: StatusDocument = told(runtime()?.block_on(socket::post(&app.socket, "/v1/resume", &())))?;
    output.json(&status);
    output.line("the daemon goes on");
    Ok(Exit::Done)
}

fn told<T>(answer: Result<T, ClientError>) -> Result<T, Failure> {
    answer.map_err(|error| match error {
        ClientError::NoDaemon => Failure::new(Exit::NoDaemon, "no daemon runs").next("cogzy-vault run"),
        error => error.into(),
    })
}
