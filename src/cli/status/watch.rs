//! `status --watch`: the status as it changes. On a terminal it is drawn in place, with a bar
//! during a transfer. Without one it is written again whenever something other than the time has
//! changed; with `--json`, as one document per line.

use std::time::Duration;

use super::look::look;
use super::text;
use crate::cli::app::App;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, ProgressStep};
use crate::daemon::StopSignals;
use cogzy_client::documents::{DaemonDocument, State, StatusDocument};
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::remote::Transfer;

/// The time between two questions to the daemon.
const LOOK: Duration = Duration::from_millis(300);
/// The time between two looks at the vault without a daemon, which cost more.
const LOOK_ALONE: Duration = Duration::from_secs(5);

/// Shows the status until the process is stopped, or the reader has gone.
pub(super) async fn run(app: &App, output: &mut Output) -> Result<Exit, Failure> {
    let clock = SystemClock::new();
    // Once for all rounds: a Ctrl-C must not get lost while the daemon is being asked.
    let mut stop = catch()?;
    let mut live = output.live();
    let mut last: Option<StatusDocument> = None;
    while output.is_read() {
        let asked = tokio::select! {
            asked = socket::get::<StatusDocument>(&app.socket, "/v1/status") => asked,
            () = stop.arrive() => break,
        };
        let (status, wait) = match asked {
            Ok(status) => (status, LOOK),
            Err(ClientError::NoDaemon) => (look_unless_stopped(app).await?, LOOK_ALONE),
            // The daemon is stopping: the next look finds none.
            Err(ClientError::Broken(_)) => {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => continue,
                    () = stop.arrive() => break,
                }
            }
            Err(error) => return Err(error.into()),
        };
        let news = timeless(&status);
        let changed = last.as_ref() != Some(&news);
        let step =
            status.progress.as_ref().filter(|_| status.state == State::Syncing).map(ProgressStep::from);
        live.show(output, changed, &text::lines(&status, clock.now_ms()), step);
        if changed {
            output.json(&status);
            last = Some(news);
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // Ctrl-C is how watching ends: the drawing stays, and the prompt comes below it.
            () = stop.arrive() => break,
        }
    }
    Ok(Exit::Done)
}

/// Looks at the vault, which may hold its thread for minutes: a stop signal ends the process.
async fn look_unless_stopped(app: &App) -> Result<StatusDocument, Failure> {
    let mut stop = catch()?;
    let stopping = tokio::spawn(async move {
        stop.arrive().await;
        std::process::exit(i32::from(Exit::Done as u8));
    });
    let looked = look(app).await;
    stopping.abort();
    looked
}

fn catch() -> Result<StopSignals, Failure> {
    StopSignals::catch()
        .map_err(|error| Failure::new(Exit::Internal, format!("signals cannot be caught: {error}")))
}

/// The status without the fields that change although nothing happens.
fn timeless(status: &StatusDocument) -> StatusDocument {
    let mut status = status.clone();
    status.last_sync = None;
    status.transfer = Transfer::default();
    status.daemon = DaemonDocument { since: None, ..status.daemon };
    status
}
