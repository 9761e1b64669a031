//! `cogzy-vault history`

use clap_complete::ArgValueCompleter;

use super::app::{App, runtime};
use super::complete;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, count, size};
use super::paths::vault_path;
use cogzy_client::documents::{GenerationDocument, HistoryDocument, VersionDocument};

/// Show what was committed: every generation, or the versions of one path
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A file, or a folder, as it is named in the vault
    #[arg(add = ArgValueCompleter::new(complete::paths))]
    pub path: Option<String>,
    /// Show so many, newest first; 0 for all
    #[arg(short = 'n', long, default_value_t = 30, value_name = "N")]
    pub limit: usize,
}

/// Shows the history.
///
/// # Errors
/// If no vault can hold the path, or the remote cannot be read.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let layout = app.vault()?;
    let path = args.path.as_deref().map(|text| vault_path(layout.root(), text));
    let path = path.transpose().map_err(|error| Failure::new(Exit::Usage, error))?;
    let (past, first) = runtime()?.block_on(async {
        let mut engine = app.engine().await?;
        Ok::<_, Failure>((engine.past().await?, engine.first_kept().await?))
    })?;
    let mut document = HistoryDocument::new(&past, path.as_ref()).kept_from(first);
    let all = document.generations.len() + document.versions.len();
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    document.generations.truncate(limit);
    document.versions.truncate(limit);
    output.json(&document);
    output.table(&document.generations.iter().map(generation).collect::<Vec<_>>());
    output.table(&document.versions.iter().map(version).collect::<Vec<_>>());
    match &document.path {
        Some(path) if all == 0 => output.line(format!("no generation has {path}")),
        None if all == 0 => output.line("nothing has been committed yet"),
        Some(path) => output.note(format!("`cogzy-vault restore --generation N {path}` puts it back; with `--to DIR` it goes elsewhere")),
        None => output.note("`cogzy-vault restore --generation N` puts everything back; `cogzy-vault undo N` takes one generation back"),
    }
    if all > limit {
        output.note(format!("{} more: --limit 0 shows all", all - limit));
    }
    Ok(Exit::Done)
}

fn generation(one: &GenerationDocument) -> [String; 6] {
    let kind = one.of.map_or_else(|| one.kind.clone(), |of| format!("{} of {of}", one.kind));
    let mut what = format!("{} changed ({}), {} deleted", one.changed, size(one.bytes), one.deleted);
    if !one.kept.is_empty() {
        what.push_str(&format!(", {}", count(one.kept.len(), "conflict")));
    }
    if !one.resolved.is_empty() {
        what.push_str(&format!(", {} decided", one.resolved.len()));
    }
    let merged = if one.on_line { "" } else { "merged" };
    let note = if one.expired { "no longer kept" } else { merged };
    [
        named(one.generation, &one.commit, one.on_line),
        one.time.clone(),
        one.device.clone().unwrap_or_default(),
        kind,
        what,
        note.to_owned(),
    ]
}

fn version(one: &VersionDocument) -> [String; 6] {
    let what = one.size.map_or_else(|| "deleted".to_owned(), size);
    [
        named(one.generation, &one.commit, one.on_line),
        one.time.clone(),
        one.device.clone().unwrap_or_default(),
        one.kind.clone(),
        one.path.clone(),
        what,
    ]
}

/// A generation as `--generation` takes it: a commit that a merge brought in is only found by its
/// id.
fn named(generation: u64, commit: &str, on_line: bool) -> String {
    let short = commit.get(..8).unwrap_or(commit);
    if on_line { generation.to_string() } else { format!("{generation}-{short}") }
}
