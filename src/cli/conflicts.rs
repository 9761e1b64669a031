//! `cogzy-vault conflicts`

use serde_json::json;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, size};
use crate::control::api::moment;
use crate::model::Conflict;
use crate::sync::ListedConflict;

/// List conflicts, or show one
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do; lists them where nothing is said.
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do with conflicts.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// List the open conflicts
    List,
    /// Show one: whose versions met, when, and where the losing one is kept
    Show {
        /// The conflict's id, or how it begins
        id: String,
    },
}

/// Lists conflicts or shows one.
///
/// # Errors
/// Where no conflict, or more than one, fits; a vault that cannot be read.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let conflicts =
        runtime()?.block_on(async { Ok::<_, Failure>(app.engine().await?.conflicts().await?) })?;
    match args.action.as_ref().unwrap_or(&Action::List) {
        Action::List => list(&conflicts, output),
        Action::Show { id } => show(app, pick(&conflicts, id)?, output),
    }
    Ok(Exit::Done)
}

fn list(conflicts: &[ListedConflict], output: &mut Output) {
    output.json(&json!({ "schema": 1, "conflicts": conflicts }));
    if conflicts.is_empty() {
        output.line("no conflicts");
    }
    let row = |listed: &ListedConflict| {
        let conflict = &listed.conflict;
        let (device, when) = origin(conflict);
        [
            conflict.id.short(),
            conflict.item.to_string(),
            format!("{} files", conflict.files.len()),
            device,
            when,
        ]
    };
    let rows: Vec<[String; 5]> = conflicts.iter().map(row).collect();
    output.table(&rows);
    if !conflicts.is_empty() {
        output.note("the remote's version stands in each case; the version that lost is kept: cogzy-vault conflicts show ID");
    }
}

fn origin(conflict: &Conflict) -> (String, String) {
    match &conflict.origin {
        Some(origin) => (format!("from {}", origin.device), moment(origin.txn.wall_ms)),
        None => ("from this device".to_owned(), "not committed yet".to_owned()),
    }
}

fn show(app: &App, listed: &ListedConflict, output: &mut Output) {
    output.json(&json!({ "schema": 1, "conflict": listed }));
    let conflict = &listed.conflict;
    let (device, when) = origin(conflict);
    output.line(format!("conflict {}", conflict.id));
    output.line(format!("    over {}", conflict.item));
    output.line(format!("    the version that lost: {device}, {when}"));
    let layout = app.layout();
    for file in &conflict.files {
        match file.entry {
            Some(entry) => {
                output.line(format!(
                    "    {}  {}, {}",
                    file.path,
                    size(entry.size),
                    moment(entry.mtime_ms.max(0).unsigned_abs())
                ));
                let kept = layout.conflict_file(conflict.id, &file.path);
                if listed.here && kept.exists() {
                    output.line(format!("        kept at {}", kept.display()));
                }
            }
            None => output.line(format!("    {}  was deleted in the version that lost", file.path)),
        }
    }
    if !listed.here {
        output.line("    its bytes are in the bucket, not on this device");
    }
}

fn pick<'a>(conflicts: &'a [ListedConflict], id: &str) -> Result<&'a ListedConflict, Failure> {
    let fitting: Vec<_> =
        conflicts.iter().filter(|listed| listed.conflict.id.to_string().starts_with(id)).collect();
    match fitting.as_slice() {
        [one] => Ok(one),
        [] => {
            Err(Failure::new(Exit::Usage, format!("no conflict is named {id}")).next("cogzy-vault conflicts"))
        }
        _ => Err(Failure::new(Exit::Usage, format!("more than one conflict begins with {id}"))
            .next("cogzy-vault conflicts")),
    }
}
