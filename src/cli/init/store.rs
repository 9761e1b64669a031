//! The store that a vault was joined to: what it is, and what it lets this key do.

use crate::cli::app::App;
use crate::cli::doctor::remote::{locked, mode};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, Tone};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::remote::{Refused, RemoteError, RemoteUrl};
use cogzy_engine::sync::{Engine, SyncError};

/// Name under which the database notes that the key may not delete.
pub const MAY_NOT_DELETE: &str = "store:no-delete";

/// Findings about a store: facts, and warnings.
#[derive(Debug, Default)]
pub(super) struct Found {
    facts: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    pub(super) fn tell(&self, output: &mut Output) {
        self.facts.iter().for_each(|fact| output.note(format!("the store: {fact}")));
        self.warnings.iter().for_each(|warning| output.toned(Tone::Warning, warning));
    }
}

/// Tries what the store takes, and notes for `doctor` what only a trial shows. The vault is joined
/// already, so a trial that does not come to its end is only told.
pub(super) async fn look(app: &App, engine: &Engine) -> Found {
    let mut found = Found::default();
    let RemoteUrl::Bucket(_) = &app.remote else { return found };
    let mut days = 0;
    match app.assembly().probe().await {
        Ok(probe) => {
            found.facts.push(mode(app, &probe));
            days = probe.locked_days.unwrap_or_default();
            found.facts.extend((days > 0).then(|| locked(days)));
        }
        Err(error) => found.warnings.push(untried(error.into())),
    }
    match app.assembly().trial().await {
        Ok(refused) => {
            let deletes = !refused.iter().any(|refused| matches!(refused, Refused::Deleting(_)));
            note(engine, deletes || days > 0);
            let told =
                refused.into_iter().filter(|refused| days == 0 || !matches!(refused, Refused::Deleting(_)));
            found.warnings.extend(told.map(|refused| words(&refused)));
        }
        Err(error) => found.warnings.push(untried(error.into())),
    }
    found
}

fn note(engine: &Engine, deletes: bool) {
    let database = engine.database();
    let noted = if deletes {
        database.forget(MAY_NOT_DELETE)
    } else {
        database.note(MAY_NOT_DELETE, SystemClock::new().now_ms())
    };
    if let Err(error) = noted {
        tracing::warn!(%error, "what the store takes could not be noted for `cogzy-vault doctor`");
    }
}

fn words(refused: &Refused) -> String {
    let of = |error: &RemoteError| SyncError::from(error.clone());
    match refused {
        Refused::Writing(error) => {
            format!("the store lets this key write nothing, so nothing is sent from here: {}", of(error))
        }
        Refused::Reading(error) => format!("the store does not give back what was written: {}", of(error)),
        Refused::Listing(error) => format!("the store does not list what was written: {}", of(error)),
        Refused::Deleting(error) => {
            format!("the store lets this key delete nothing, so a prune frees nothing there: {}", of(error))
        }
    }
}

fn untried(failure: Failure) -> String {
    format!("what the store takes could not be tried: {}", failure.message)
}
