//! `cogzy-vault conflicts`

use std::path::PathBuf;

use clap_complete::ArgValueCandidates;
use serde::Serialize;

mod keep;
mod merge;

use super::app::{App, runtime};
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::job::perform;
use super::output::{Output, count, size};
use super::paths::target;
use super::progress::ProgressWatcher;
use super::rewritten::tell;
use crate::control::jobs::{self, RewriteJob};
use crate::control::sides::{self, Makers, Sides};
use cogzy_client::documents::{ConflictsDocument, KeptVersion, ResolveSeveralRequest, SchemaVersion, moment};
use cogzy_engine::model::{Conflict, Entry, Item, LineMerge, Resolution, VaultPath};
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
        #[arg(add = ArgValueCandidates::new(complete::conflicts))]
        id: String,
        /// Also write the version that lost to this folder
        #[arg(long, value_name = "DIR", value_parser = target)]
        to: Option<PathBuf>,
        /// Also into a folder that is not empty
        #[arg(long, requires = "to")]
        force: bool,
    },
    /// Decide one or all, for all devices: a new generation
    Resolve {
        /// The conflict's id, or how it begins
        #[arg(required_unless_present = "all", add = ArgValueCandidates::new(complete::conflicts))]
        id: Option<String>,
        /// Decide all that are open in the same way, in one generation
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// this: this device's version; other: that of the other device; both: the one set aside is
        /// put beside the one that stands; merged: a group's two versions become one, memory by
        /// memory (docs/MERGING.md); or a version as `show` names it: aside, stands, or the device
        /// that made it
        #[arg(long, value_name = "VERSION", value_parser = keep::kept)]
        keep: KeptVersion,
        /// Also where it looks like an accident: a group that gets much smaller
        #[arg(long)]
        yes: bool,
    },
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
            let (seen, sides) = runtime()?.block_on(async {
                let mut engine = app.engine().await?;
                if let Some(target) = to {
                    let target = Target { folder: target.clone(), force: *force };
                    let watcher = ProgressWatcher::on(output);
                    engine.export_conflict(listed.conflict.id, &target, &watcher).await?;
                }
                let sides = Makers::of(&mut engine).await?.sides(&mut engine, &listed.conflict).await;
                Ok::<_, Failure>((look(&mut engine, &listed.conflict).await, sides))
            })?;
            show(app, listed, (&seen, &sides), output);
            if let Some(target) = to {
                output.note(format!("the version that was set aside is in {}", target.display()));
            }
        }
        ConflictsAction::Resolve { id, keep, yes, .. } => {
            let open = conflicts()?;
            let chosen: Vec<&ListedConflict> = match id {
                Some(id) => vec![pick(&open, id)?],
                None => open.iter().collect(),
            };
            return match (keep, chosen.as_slice()) {
                (KeptVersion::Merged, [one]) => merge::decide(app, &one.conflict, *yes, output),
                (KeptVersion::Merged, [_, ..]) => Err(Failure::new(
                    Exit::Usage,
                    "conflicts are merged one at a time: a later one may come to another result by then",
                )
                .next("cogzy-vault conflicts")),
                _ => decide(app, &chosen, keep, *yes, output),
            };
        }
    }
    Ok(Exit::Done)
}

/// Decides the chosen conflicts, in one generation.
fn decide(
    app: &App,
    chosen: &[&ListedConflict],
    keep: &KeptVersion,
    yes: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if chosen.is_empty() {
        return Err(Failure::new(Exit::Usage, "no conflict is open").next("cogzy-vault conflicts"));
    }
    let decisions = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        let makers = Makers::of(&mut engine).await?;
        let mut decisions = Vec::new();
        for listed in chosen {
            let made = makers.sides(&mut engine, &listed.conflict).await;
            let id = listed.conflict.id;
            let keep = sides::chosen(keep, &made, id).map_err(SyncError::from)?;
            decisions.push(Resolution { id, keep });
        }
        Ok::<_, Failure>(decisions)
    })?;
    let told = match decisions.as_slice() {
        [one] => format!("conflict {} decided, {}", one.id.short(), keep::told(one.keep)),
        many => format!("{} conflicts decided", many.len()),
    };
    let request = ResolveSeveralRequest { decisions: decisions.clone(), yes };
    let job = RewriteJob::Resolve { decisions, yes };
    let document = perform(app, "/v1/conflicts/resolve", &request, output, async |engine, watcher| {
        jobs::rewrite(engine, &job, watcher).await
    })?;
    Ok(tell(&document, &told, output))
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
            words(&conflict.item),
            format!("{}, {}", count(conflict.files.len(), "file"), size(bytes)),
            device,
            when,
        ]
    };
    let rows: Vec<[String; 5]> = conflicts.iter().map(row).collect();
    output.table(&rows);
    if !conflicts.is_empty() {
        output.note("in each case one version stands and the other one is set aside, and kept:");
        output.note("    `cogzy-vault conflicts show ID`                       how they differ");
        output.note("    `cogzy-vault conflicts resolve ID --keep this`        this device's version (or other, both)");
        output.note("    `cogzy-vault conflicts resolve ID --keep merged`      memories or lines of both, where they merge");
        output
            .note("    `cogzy-vault conflicts resolve --all --keep other`    all of them in one generation");
    }
}

/// An item as a person calls it.
fn words(item: &Item) -> String {
    match item {
        Item::File(path) => path.to_string(),
        Item::Group(name) => format!("the memory {name:?}"),
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
    #[serde(flatten)]
    sides: &'a Sides,
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

fn show(app: &App, listed: &ListedConflict, looked: (&[FileComparison], &Sides), output: &mut Output) {
    let (seen, sides) = looked;
    output.json(&ComparedDocument { schema: SchemaVersion, conflict: listed, sides, compared: seen });
    let conflict = &listed.conflict;
    output.line(format!("conflict {}", conflict.id));
    output.line(format!("    over {}", words(&conflict.item)));
    output.line(format!("    set aside: the version of {}", sides.lost));
    match &sides.stands {
        Some(made) => output.line(format!("    stands:    the version of {made}")),
        None => output.line("    stands:    a version whose device the history does not name"),
    }
    if let Some(why) = &listed.unmerged {
        output.line(format!("    not merged: {why}"));
    }
    if let Some(group) = &listed.part_of {
        output.line(format!(
            "    not put back: it would stand without the other files of the memory {group:?}"
        ));
    }
    let layout = app.layout();
    let version = |entry: Option<Entry>| match entry {
        Some(entry) => format!("{}, {}", size(entry.size), moment(entry.mtime_ms.max(0).unsigned_abs())),
        None => "deleted".to_owned(),
    };
    for (file, seen) in conflict.files.iter().zip(seen) {
        output.line(format!("    {}", file.path));
        output.line(format!("        set aside  {}", version(file.entry)));
        let same = if file.entry == seen.standing { " (the same)" } else { "" };
        output.line(format!("        stands     {}{same}", version(seen.standing)));
        let kept = layout.conflict_file(conflict.id, &file.path);
        if listed.here && kept.exists() {
            output.line(format!("        kept at    {}", kept.display()));
        }
        tell_differences(seen, output);
    }
    if !listed.here {
        output.line("    the version that was set aside is in the bucket: --to DIR writes it out");
    }
    let id = conflict.id.short();
    let merges = match &conflict.item {
        _ if !listed.may_be_merged() => None,
        Item::Group(_) => Some("memory by memory"),
        Item::File(path) => app.loaded.config.conflict.texts.of(path).map(|how| match how {
            LineMerge::Keys => "key by key",
            LineMerge::Append | LineMerge::Weave => "line by line",
        }),
    };
    if let Some(how) = merges {
        output.note(format!(
            "    `cogzy-vault conflicts resolve {id} --keep merged`    both become one, {how}"
        ));
    }
    for (version, what) in sides.choices(listed.part_of.is_none()) {
        output.note(format!("    `cogzy-vault conflicts resolve {id} --keep {version}`    {what}"));
    }
}

fn tell_differences(seen: &FileComparison, output: &mut Output) {
    let Some(count) = seen.differing.filter(|count| *count > 0) else { return };
    let differ = if count == 1 { "1 place differs".to_owned() } else { format!("{count} places differ") };
    output.line(format!("        {differ}:"));
    let text = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    for one in seen.differences.iter().take(SHOWN) {
        let at = if one.at.is_empty() { "the whole file" } else { &one.at };
        output.line(format!("            {at}: set aside {}, stands {}", text(&one.mine), text(&one.remote)));
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
mod tests;
