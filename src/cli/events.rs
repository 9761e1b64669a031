//! `cogzy-vault events`

use std::sync::Arc;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use crate::control::events::documents;
use cogzy_client::documents::{
    EventBody, EventDocument, EventsDocument, LeftOutDocument, RebuildState, SchemaVersion,
};
use cogzy_client::follow::follow;
use cogzy_client::socket::ClientError;
use cogzy_engine::fs::RootedFs;
use cogzy_engine::state::Database;

/// The number of events listed if no number is given to go on from.
const NEWEST: u64 = 20;

/// List what has happened, or follow what happens
///
/// Events are numbered without gaps: a gap says that some were lost. The daemon makes them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on with what happens, until it is stopped; with --json one document per line
    #[arg(long)]
    pub follow: bool,
    /// Only what came after the event of this number; else the newest ones
    #[arg(long, value_name = "ID")]
    pub since: Option<u64>,
}

/// Lists the kept events, or follows the daemon's.
///
/// # Errors
/// If the events cannot be read; with `--follow`, if no daemon runs.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let layout = app.vault()?;
    let database = Database::open_beside(Arc::<RootedFs>::clone(app.disk()), &layout.cache_db());
    if args.follow {
        // Without a number, a stream that ends before its first event would be gone on with later.
        let newest = || database.ok()?.newest_event().ok();
        let since = args.since.or_else(newest);
        return runtime()?.block_on(go_on(app, since, output));
    }
    let database = Arc::new(database?);
    let newest = database.newest_event()?;
    let since = args.since.unwrap_or_else(|| newest.saturating_sub(NEWEST));
    let events = documents(database.events_after(since, usize::MAX)?);
    for event in &events {
        output.line(text(event));
    }
    if events.is_empty() {
        output.line("nothing has happened");
    }
    output.json(&EventsDocument { schema: SchemaVersion, events, newest });
    Ok(Exit::Done)
}

async fn go_on(app: &App, mut since: Option<u64>, output: &mut Output) -> Result<Exit, Failure> {
    loop {
        let followed = follow(&app.socket, since, |event| {
            output.json(&event);
            output.line(text(&event));
            output.flush()
        });
        match followed.await {
            // After a restart of the daemon, or an interrupted stream, it goes on where it stopped.
            Ok(last) if output.is_read() => since = last,
            Ok(_) => return Ok(Exit::Done),
            Err(ClientError::NoDaemon) => {
                return Err(Failure::new(Exit::NoDaemon, "no daemon runs").next("cogzy-vault run"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn text(event: &EventDocument) -> String {
    let number = event.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{number:>6}  {}  {:<8}  {}", event.at, event.body.kind(), words(event))
}

/// An event in words.
pub fn words(event: &EventDocument) -> String {
    match &event.body {
        EventBody::Change(change) => {
            let device = change.device.as_deref().map(|name| format!(" by {name}")).unwrap_or_default();
            let first = change.paths.first().map(|path| format!(": {path}")).unwrap_or_default();
            let more =
                if change.files > 1 { format!(" and {} more", change.files - 1) } else { String::new() };
            format!("generation {}{device}{first}{more}", change.generation)
        }
        EventBody::Conflict(conflict) => format!("{} is kept: {}", conflict.item, conflict.next),
        EventBody::Hold { hold } => format!("{}: {}", hold.reason, hold.next),
        EventBody::Error { error } => {
            let path = error.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
            format!("{path}{}; next: {}", error.message, error.next)
        }
        EventBody::State { state, was } => format!("{was} -> {state}"),
        EventBody::LeftOut(document) => left_out(document),
        EventBody::Unknown => "of a kind that this version does not know".to_owned(),
        EventBody::Progress { progress } => {
            let progress = progress.progress;
            format!("{} {}/{}", progress.phase, progress.files_done, progress.files_total)
        }
    }
}

/// Derived members that a group lacks, and what is done about it.
fn left_out(document: &LeftOutDocument) -> String {
    let LeftOutDocument { group, left_out, rebuild, .. } = document;
    if left_out.is_empty() {
        return format!("{group} has all its files again");
    }
    let line = rebuild.as_ref().and_then(|run| run.last_line.as_deref());
    let line = line.map_or_else(String::new, |line| format!(": {line}"));
    let run = match rebuild.as_ref().map(|run| run.state) {
        None => String::new(),
        Some(RebuildState::Running) => "; `hooks.rebuild` computes it again".to_owned(),
        Some(RebuildState::Done) => format!("; `hooks.rebuild` has ended{line}"),
        Some(RebuildState::Failed) => format!("; `hooks.rebuild` failed{line}"),
    };
    format!("{group} is without {}{run}", left_out.join(", "))
}
