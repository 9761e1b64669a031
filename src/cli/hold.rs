//! `cogzy-vault hold -- COMMAND…`

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::app::App;
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use super::sync;
use cogzy_engine::vault::{FileLock, wait_for};

/// The longest wait for a generation that is being put in place.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Run a command that writes the corpus, its vectors and its index, and send what it wrote as one
///
/// While it runs, no group is sent and none is replaced. If it ends with 0, all groups it wrote
/// become one generation; a group whose files do not fit together is held back alone. Files in no
/// group go when they have settled. If it ends otherwise, what it left is judged like any other
/// change: sent if its files fit together, held back if not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command under the lock, then a cycle.
///
/// # Errors
/// If there is no vault, the command cannot be started, or the cycle fails.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let layout = app.vault()?;
    let Some((program, rest)) = args.command.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no command to run"));
    };
    let lock = take(app, &layout.hold_lock())?;
    let mut command = Command::new(program);
    command.args(rest);
    if output.is_json() {
        // Standard output is for the document alone.
        command.stdout(Stdio::from(io::stderr()));
    }
    let ended = command.status().map_err(|error| {
        Failure::new(Exit::Usage, format!("{program} cannot be run: {error}"))
            .next("check the command after `--`")
    })?;
    // The last writes have not settled yet; until they have, the first ones must not be sent
    // without them.
    let noted = lock.note_end();
    drop(lock);
    noted.map_err(|error| {
        let path = layout.hold_lock();
        Failure::new(Exit::Internal, format!("{} cannot be written: {error}", path.display()))
            .next("cogzy-vault status")
    })?;
    if ended.success() {
        return sync::run(app, &sync::Args::default(), output);
    }
    let text =
        format!("{program} did not end well ({ended}): what it left is sent only if its files fit together");
    Err(Failure::new(Exit::Partial, text).next("cogzy-vault status"))
}

fn take(app: &App, path: &std::path::Path) -> Result<FileLock, Failure> {
    let lock = wait_for(PATIENCE, PAUSE, || FileLock::try_take_shared(app.disk().as_ref(), path))?;
    lock.ok_or_else(|| {
        let text = "a generation has been being put in place for a minute";
        Failure::new(Exit::Locked, text).next("cogzy-vault status")
    })
}
