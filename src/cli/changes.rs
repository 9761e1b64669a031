//! `cogzy-vault changes`

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, size};
use cogzy_client::documents::{ChangesDocument, MovedDocument, SchemaVersion};
use cogzy_client::socket::{self, ClientError};

/// List the files that have moved since a generation
///
/// Read from the log of the vault, each file once and as it is now. To go on later, ask since the
/// generation that is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The generation that is known; 0 for everything
    #[arg(long, value_name = "GENERATION")]
    pub since: u64,
}

/// Asks the daemon, or reads the log itself.
///
/// # Errors
/// If the log cannot be read.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let runtime = runtime()?;
    let document = match runtime.block_on(through(app, args.since)) {
        Err(ClientError::NoDaemon) => runtime.block_on(alone(app, args.since))?,
        answered => answered?,
    };
    for moved in &document.changes {
        let what = match moved.size {
            Some(bytes) => size(bytes),
            None => "deleted".to_owned(),
        };
        let device = moved.device.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
        output.line(format!("{}  {what}, generation {}{device}", moved.path, moved.generation));
    }
    output.note(format!("the vault is at generation {}", document.generation));
    output.json(&document);
    Ok(Exit::Done)
}

/// Asks the daemon, and joins all pages into one document.
async fn through(app: &App, since: u64) -> Result<ChangesDocument, ClientError> {
    let mut whole: ChangesDocument = socket::get(&app.socket, &format!("/v1/changes?since={since}")).await?;
    while let Some(next) = whole.next.take() {
        let page: ChangesDocument = socket::get(&app.socket, &next).await?;
        whole.changes.extend(page.changes);
        whole.next = page.next;
    }
    Ok(whole)
}

async fn alone(app: &App, since: u64) -> Result<ChangesDocument, Failure> {
    let found = app.engine().await?.changes_since(since, None, usize::MAX).await?;
    let changes = found.moved.into_iter().map(MovedDocument::from).collect();
    Ok(ChangesDocument { schema: SchemaVersion, since, generation: found.generation, changes, next: None })
}
