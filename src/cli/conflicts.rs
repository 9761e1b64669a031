//! `cogzy-vault conflicts`

use std::path::PathBuf;

use serde::Serialize;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::output::{Output, size};
use super::paths::absolute;
use super::progress::ProgressWatcher;
use super::rewritten::tell;
use crate::control::jobs::{self, RewriteJob};
use cogzy_client::documents::{ConflictsDocument, ResolveRequest, SchemaVersion, moment};
use cogzy_engine::model::{Conflict, Entry, Keep, VaultPath};
use cogzy_engine::sync::{Difference, Engine, ListedConflict, SyncError, Target, differences};

/// The longest file that is compared, in bytes.
const MAX_COMPARED: u64 = 64 << 20;
/// The largest number of differences that are listed of a file.
const MOST_DIFFERENCES: usize = 200;
/// The largest number of them that are printed for people.
const SHOWN: usize = 10;

/// List conflicts, show one, or decide one
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The action; the list where none is named.
    #[command(subcommand)]
    pub action: Option<ConflictsAction>,
}

/// An action on conflicts.
#[derive(Debug, Clone, PartialEq, Eq, clap::Subcommand)]
pub enum ConflictsAction {
    /// List the open conflicts
    List,
    /// Show one: whose versions met, when, how they differ, and where the losing one is kept
    Show {
        /// The conflict's id, or how it begins
        id: String,
        /// Also write the version that lost to this folder
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        to: Option<PathBuf>,
        /// Also into a folder that is not empty
        #[arg(long, requires = "to")]
        force: bool,
    },
    /// Decide one, for all devices: a new generation
    Resolve {
        /// The conflict's id, or how it begins
        id: String,
        /// mine: the version that lost is put back; remote: the one that stands stays; both: the
        /// one that lost is put beside it
        #[arg(long, value_enum)]
        keep: KeptSide,
        /// Also where it looks like an accident: a group that gets much smaller
        #[arg(long)]
        yes: bool,
    },
}

/// A version of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum KeptSide {
    /// The version that lost
    Mine,
    /// The version that stands
    Remote,
    /// Both, side by side
    Both,
}

impl From<KeptSide> for Keep {
    fn from(side: KeptSide) -> Self {
        match side {
            KeptSide::Mine => Self::Mine,
            KeptSide::Remote => Self::Remote,
            KeptSide::Both => Self::Both,
        }
    }
}

/// Lists conflicts, shows one, or decides one.
///
/// # Errors
/// If no conflict or more than one fits, the vault cannot be read, or the decision fails.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    app.vault()?;
    let conflicts =
        || runtime()?.block_on(async { Ok::<_, Failure>(app.engine().await?.conflicts().await?) });
    match args.action.as_ref().unwrap_or(&ConflictsAction::List) {
        ConflictsAction::List => list(&conflicts()?, output),
        ConflictsAction::Show { id, to, force } => {
            let conflicts = conflicts()?;
            let listed = pick(&conflicts, id)?;
            let seen = runtime()?.block_on(async {
                let mut engine = app.engine().await?;
                if let Some(target) = to {
                    let target = Target { folder: target.clone(), force: *force };
                    let watcher = ProgressWatcher::on(output);
                    engine.export_conflict(listed.conflict.id, &target, &watcher).await?;
                }
                Ok::<_, Failure>(look(&mut engine, &listed.conflict).await)
            })?;
            show(app, listed, &seen, output);
            if let Some(target) = to {
                output.note(format!("the version that lost is in {}", target.display()));
            }
        }
        ConflictsAction::Resolve { id, keep, yes } => {
            let id = pick(&conflicts()?, id)?.conflict.id;
            let (side, keep) = (*keep, Keep::from(*keep));
            let request = ResolveRequest { keep, yes: *yes };
            let job = RewriteJob::Resolve { id, keep, yes: *yes };
            let resource = format!("/v1/conflicts/{id}/resolve");
            let document = perform(app, &resource, &request, output, async |engine, watcher| {
                jobs::rewrite(engine, &job, watcher).await
            })?;
            let what = match side {
                KeptSide::Mine => "the version that lost is put back",
                KeptSide::Remote => "the version that stands stays",
                KeptSide::Both => "the version that lost stands beside the other",
            };
            return Ok(tell(&document, &format!("conflict {} decided, {what}", id.short()), output));
        }
    }
    Ok(Exit::Done)
}

fn list(conflicts: &[ListedConflict], output: &mut Output) {
    output.json(&ConflictsDocument::from(conflicts));
    if conflicts.is_empty() {
        output.line("no conflicts");
    }
    let row = |listed: &ListedConflict| {
        let conflict = &listed.conflict;
        let (device, when) = origin(conflict);
        let bytes = conflict.files.iter().filter_map(|file| file.entry).map(|entry| entry.size).sum();
        [
            conflict.id.short(),
            conflict.item.to_string(),
            format!("{} files, {}", conflict.files.len(), size(bytes)),
            device,
            when,
        ]
    };
    let rows: Vec<[String; 5]> = conflicts.iter().map(row).collect();
    output.table(&rows);
    if !conflicts.is_empty() {
        output.note("in each case one version stands and the one that lost is kept:");
        output.note("    cogzy-vault conflicts show ID                             how they differ");
        output.note("    cogzy-vault conflicts resolve ID --keep mine|remote|both  decide");
    }
}

fn origin(conflict: &Conflict) -> (String, String) {
    match &conflict.origin {
        Some(origin) => (format!("from {}", origin.device), moment(origin.txn.wall_ms)),
        None => ("from this device".to_owned(), "not committed yet".to_owned()),
    }
}

/// `conflicts show --json`.
#[derive(Debug, Serialize)]
struct ComparedDocument<'a> {
    schema: SchemaVersion,
    conflict: &'a ListedConflict,
    compared: &'a [FileComparison],
}

/// One file of a conflict, as far as its two versions could be compared.
#[derive(Debug, Serialize)]
struct FileComparison {
    path: VaultPath,
    /// The version that stands. None if the file is deleted.
    standing: Option<Entry>,
    /// The number of places that differ. None if the two could not be compared.
    differing: Option<usize>,
    /// The first of those places.
    differences: Vec<Difference>,
}

/// Compares the files of a conflict that are JSON. A file that cannot be read is listed without
/// differences.
async fn look(engine: &mut Engine, conflict: &Conflict) -> Vec<FileComparison> {
    let mut all = Vec::new();
    for file in &conflict.files {
        let standing = engine.standing(&file.path).await.unwrap_or_default();
        let mut seen =
            FileComparison { path: file.path.clone(), standing, differing: None, differences: vec![] };
        if file.path.as_str().ends_with(".json") {
            match engine.both_versions(conflict.id, &file.path, file.entry, MAX_COMPARED).await {
                Ok((Some(mine), Some(remote))) => compare(&mine, &remote, &mut seen),
                Ok(_) => {}
                Err(error) => note_unread(&file.path, &error),
            }
        }
        all.push(seen);
    }
    all
}

fn note_unread(path: &VaultPath, error: &SyncError) {
    tracing::info!(%path, %error, "the two versions cannot be compared now");
}

fn compare(mine: &[u8], remote: &[u8], seen: &mut FileComparison) {
    if let (Ok(mine), Ok(remote)) = (serde_json::from_slice(mine), serde_json::from_slice(remote)) {
        let (list, count) = differences(&mine, &remote, MOST_DIFFERENCES);
        (seen.differences, seen.differing) = (list, Some(count));
    }
}

fn show(app: &App, listed: &ListedConflict, seen: &[FileComparison], output: &mut Output) {
    output.json(&ComparedDocument { schema: SchemaVersion, conflict: listed, compared: seen });
    let conflict = &listed.conflict;
    let (device, when) = origin(conflict);
    output.line(format!("conflict {}", conflict.id));
    output.line(format!("    over {}", conflict.item));
    output.line(format!("    the version that lost: {device}, {when}"));
    let layout = app.layout();
    let version = |entry: Option<Entry>| match entry {
        Some(entry) => format!("{}, {}", size(entry.size), moment(entry.mtime_ms.max(0).unsigned_abs())),
        None => "deleted".to_owned(),
    };
    for (file, seen) in conflict.files.iter().zip(seen) {
        output.line(format!("    {}", file.path));
        output.line(format!("        lost     {}", version(file.entry)));
        let same = if file.entry == seen.standing { " (the same)" } else { "" };
        output.line(format!("        stands   {}{same}", version(seen.standing)));
        let kept = layout.conflict_file(conflict.id, &file.path);
        if listed.here && kept.exists() {
            output.line(format!("        kept at  {}", kept.display()));
        }
        tell_differences(seen, output);
    }
    if !listed.here {
        output.line("    the bytes of the version that lost are in the bucket: --to DIR writes them out");
    }
    let id = conflict.id.short();
    output.note(format!("cogzy-vault conflicts resolve {id} --keep mine|remote|both"));
}

fn tell_differences(seen: &FileComparison, output: &mut Output) {
    let Some(count) = seen.differing.filter(|count| *count > 0) else { return };
    output.line(format!("        {count} places differ:"));
    let text = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    for one in seen.differences.iter().take(SHOWN) {
        let at = if one.at.is_empty() { "the whole file" } else { &one.at };
        output.line(format!("            {at}: lost {}, stands {}", text(&one.mine), text(&one.remote)));
    }
    if count > SHOWN {
        output.line(format!("            and {} more: --json has them", count - SHOWN));
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

#[cfg(test)]
mod tests {
    use super::*;
    use cogzy_engine::model::{Item, Kept};

    #[test]
    fn the_document_of_a_comparison_keeps_its_form() {
        let path = VaultPath::new("a.json").unwrap();
        let kept = vec![Kept { path: path.clone(), entry: None }];
        let listed =
            ListedConflict { conflict: Conflict::new(Item::File(path.clone()), kept, None), here: true };
        let mut compared = [FileComparison { path, standing: None, differing: None, differences: vec![] }];
        let [first] = &mut compared;
        compare(br#"{"x":1}"#, br#"{"x":2}"#, first);
        let document = ComparedDocument { schema: SchemaVersion, conflict: &listed, compared: &compared };
        let id = listed.conflict.id;
        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            format!(
                concat!(
                    r#"{{"schema":1,"conflict":{{"id":"{}","item":{{"file":"a.json"}},"files":[{{"path":"a.json","#,
                    r#""entry":null}}],"origin":null,"here":true}},"compared":[{{"path":"a.json","standing":null,"#,
                    r#""differing":1,"differences":[{{"node":null,"at":"x","mine":1,"remote":2}}]}}]}}"#
                ),
                id
            )
        );
    }
}
