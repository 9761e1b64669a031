//! The status without a daemon: a look at the vault.

use crate::cli::app::App;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::daemon::overdue;
use cogzy_client::documents::{
    AsideDocument, ContentDocument, ErrorDocument, LeftOutDocument, PendingDocument, State, StatusDocument,
    holds, moment,
};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::sync::{Glance, Trouble, Unwatched, Weight};

/// Looks at the vault.
pub async fn look(app: &App) -> Result<StatusDocument, Failure> {
    Ok(judged(app).await?.0)
}

/// Looks at the vault. Returns the code for what is found with it: that of the last sync, if it
/// failed, or of what waits for somebody.
pub(super) async fn judged(app: &App) -> Result<(StatusDocument, Exit), Failure> {
    let mut engine = app.engine().await?;
    let glance = engine.glance(&Unwatched).await?;
    let mut status = app.assembly().status(State::Stopped, glance.device);
    fill(&mut status, &glance);
    status.left_out = engine.left_out().iter().map(LeftOutDocument::from).collect();
    // Nobody looks again by itself at what merely had to settle, and the next sync does.
    let lasting = |trouble: &Trouble| trouble.weight.left_out() && trouble.weight != Weight::Passing;
    let mut exit = match () {
        () if !status.holds.is_empty() => Exit::Held,
        () if glance.survey.troubles().any(lasting) => Exit::Partial,
        () => Exit::Done,
    };
    // A pause is the user's own wish: no alarm.
    if let (Some(then), None) = (glance.last_sync_ms, engine.paused()?) {
        status.errors.splice(0..0, overdue(then, SystemClock::new().now_ms()));
    }
    if let Some(failed) = engine.failed_run() {
        let message = format!("the last sync failed, at {}: {}", moment(failed.at_ms), failed.message);
        status.errors.insert(0, ErrorDocument::of(&message, &failed.next));
        exit = Exit::of_failure(failed.code).unwrap_or(Exit::Internal);
    }
    Ok((status, exit))
}

fn fill(status: &mut StatusDocument, glance: &Glance) {
    let (up, down) = glance.survey.pending();
    status.generation = glance.generation;
    status.remote_generation = glance.generation;
    status.last_sync = glance.last_sync_ms.map(moment);
    (status.files, status.bytes) = (glance.survey.here.files, glance.survey.here.bytes);
    status.pending = PendingDocument { up, down };
    status.aside = AsideDocument::of(&glance.aside);
    status.conflicts = glance.conflicts.len();
    status.content = Some(ContentDocument::from(&glance.survey.holdings));
    status.holds = holds(&glance.survey.plan.holds);
    let troubles = glance.survey.troubles().filter(|trouble| trouble.weight != Weight::Skipped);
    status.errors = troubles.map(ErrorDocument::from).collect();
}
