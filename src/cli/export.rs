//! `cogzy-vault export`

use std::path::{Path, PathBuf};

use super::app::{App, runtime};
use super::documents::ExportDocument;
use super::exit::Exit;
use super::failure::Failure;
use super::moment::Moment;
use super::output::{Output, Tone, count, size, thousands};
use super::paths::{target, vault_paths};
use super::progress::ProgressWatcher;
use cogzy_client::documents::SchemaVersion;
use cogzy_engine::sync::{Exported, Generation, Point, Target};

/// Write a plain copy of the backup to a folder
///
/// Needs no vault on this machine and no daemon: only the remote and its credentials.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; nothing in it is overwritten
    #[arg(value_name = "DIR", value_parser = target)]
    pub target: PathBuf,
    /// Generation to write; the newest if nothing is said
    #[arg(long, value_name = "N", conflicts_with = "at")]
    pub generation: Option<Generation>,
    /// Time to write: 2026-11-20T18:00:00Z, "2026-11-20 18:00", or how long ago, such as
    /// 36h
    #[arg(long, value_name = "TIME")]
    pub at: Option<Moment>,
    /// Files or folders, as they are named in the vault; everything where none is named
    #[arg(value_name = "PATH")]
    pub paths: Vec<String>,
    /// Also into a folder that is not empty
    #[arg(long)]
    pub force: bool,
}

/// Exports.
///
/// # Errors
/// If the remote cannot be read, or the folder cannot be written.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let paths = vault_paths(app.layout().root(), &args.paths)?;
    let time = args.at.map(|moment| Point::Time(moment.ms));
    let point = args.generation.clone().map(Point::Generation).or(time).unwrap_or(Point::Newest);
    let target = Target { folder: args.target.clone(), force: args.force };
    let exported = runtime()?.block_on(async {
        let mut engine = app.assembly().reading_engine().await?;
        let watcher = ProgressWatcher::on(output);
        Ok::<_, Failure>(engine.export(&point, &paths, &target, &watcher).await?)
    })?;
    Ok(tell(&exported, &args.target, output))
}

/// Prints the result of an export.
pub fn tell(exported: &Exported, target: &Path, output: &mut Output) -> Exit {
    output.json(&ExportDocument { schema: SchemaVersion, exported, to: target });
    let (files, bytes) = (thousands(exported.files as u64), size(exported.bytes));
    let text =
        format!("{files} files ({bytes}) of generation {} are in {}", exported.generation, target.display());
    output.toned(Tone::Good, text);
    for path in &exported.never {
        output.toned(Tone::Warning, format!("left out: {path}: files of such names are never synced"));
    }
    if let Some(path) = exported.escaped.first() {
        let names = count(exported.escaped.len(), "name");
        output.toned(Tone::Warning, format!("this disk cannot hold {names} (such as {path}): written with full-width characters, `16：51` for `16:51`"));
    }
    if exported.lost.is_empty() {
        return Exit::Done;
    }
    for path in &exported.lost {
        output.toned(Tone::Bad, format!("lost: {path}: the bucket no longer has its content"));
    }
    if let Some(first) = exported.first_kept {
        output.line(format!(
            "retention keeps the generations from {first} on: choose one of these (`cogzy-vault history`)"
        ));
        return Exit::Usage;
    }
    output
        .line("another device may still have it: run `cogzy-vault verify --repair` there, then export again");
    Exit::Corrupt
}
