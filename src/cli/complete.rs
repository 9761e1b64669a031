//! Values that a shell completes: the program is asked for them.
//!
//! Whoever waits for a completion waits for a moment only, and an error completes nothing. The
//! words typed so far may name another vault than the configured one.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use clap_complete::engine::CompletionCandidate;
use serde_json::Value;

use super::app::{App, runtime};
use super::global::Global;
use super::status::look;
use crate::config::{Environment, Flag, SettingSource};
use cogzy_client::documents::{HistoryDocument, StatusDocument};
use cogzy_client::socket;

/// The longest time that a person waits for a completion.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest manifest that is read for a completion, in bytes.
const MAX_MANIFEST: u64 = 64 << 20;
/// The number of generations that are offered, the newest ones.
const GENERATIONS: usize = 50;

/// The ids of open holds.
#[must_use]
pub fn holds() -> Vec<CompletionCandidate> {
    ask(async |app| {
        let status: StatusDocument = match socket::get(&app.socket, "/v1/status").await {
            Ok(status) => status,
            Err(_) => look(app).await.ok()?,
        };
        let of = |hold: &cogzy_client::documents::HoldDocument| {
            CompletionCandidate::new(hold.id.to_string()).help(Some(hold.reason.clone().into()))
        };
        Some(status.holds.iter().map(of).collect())
    })
}

/// The ids of open conflicts.
#[must_use]
pub fn conflicts() -> Vec<CompletionCandidate> {
    ask(async |app| {
        let listed = app.engine().await.ok()?.conflicts().await.ok()?;
        let of = |listed: &cogzy_engine::sync::ListedConflict| {
            let item = listed.conflict.item.to_string();
            CompletionCandidate::new(listed.conflict.id.short()).help(Some(item.into()))
        };
        Some(listed.iter().map(of).collect())
    })
}

/// The numbers of the newest generations.
#[must_use]
pub fn generations() -> Vec<CompletionCandidate> {
    ask(async |app| {
        let history = match socket::get(&app.socket, "/v1/history").await {
            Ok(history) => history,
            Err(_) => HistoryDocument::new(&app.engine().await.ok()?.past().await.ok()?, None),
        };
        let of = |one: &cogzy_client::documents::GenerationDocument| {
            let device = one.device.as_deref().unwrap_or("a merge");
            let help = format!("{} by {device}, {}", one.kind, one.time);
            CompletionCandidate::new(one.generation.to_string()).help(Some(help.into()))
        };
        Some(history.generations.iter().filter(|one| one.on_line).take(GENERATIONS).map(of).collect())
    })
}

/// Files and folders of the vault that begin with `typed`, up to the next slash.
#[must_use]
pub fn paths(typed: &OsStr) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str().map(str::to_owned) else { return Vec::new() };
    ask(async |app| {
        let path = app.layout().manifest();
        let bytes = cogzy_engine::fs::read(app.disk().as_ref(), &path, MAX_MANIFEST).ok()?;
        let manifest: Value = serde_json::from_slice(&bytes).ok()?;
        let names = manifest["files"].as_object()?.keys();
        Some(segments(names.map(String::as_str), &typed).map(CompletionCandidate::new).collect())
    })
}

/// The names that begin with `typed`, each up to its next slash, each once.
fn segments<'a>(names: impl Iterator<Item = &'a str>, typed: &str) -> impl Iterator<Item = String> {
    let whole = names.filter_map(|name| {
        let rest = name.strip_prefix(typed)?;
        let end = rest.find('/').map_or(rest.len(), |slash| slash + 1);
        Some(format!("{typed}{}", rest.get(..end)?))
    });
    whole.collect::<std::collections::BTreeSet<_>>().into_iter()
}

/// An answer of the vault that the typed words name; nothing on an error, or if it takes long.
fn ask(question: impl AsyncFnOnce(&App) -> Option<Vec<CompletionCandidate>>) -> Vec<CompletionCandidate> {
    let answer = || {
        let app = app()?;
        let asked = async { tokio::time::timeout(PATIENCE, question(&app)).await.ok().flatten() };
        runtime().ok()?.block_on(asked)
    };
    answer().unwrap_or_default()
}

/// Options that name a vault.
#[derive(Debug, Parser)]
#[command(name = "cogzy-vault")]
struct Named {
    #[command(flatten)]
    global: Global,
}

fn app() -> Option<App> {
    let named = Named::try_parse_from(naming(std::env::args_os())).ok()?;
    let vault = named.global.vault.as_deref().and_then(Path::to_str).map(|path| Flag {
        key: "vault",
        value: path.to_owned(),
        source: SettingSource::Flag("--vault".to_owned()),
    });
    App::load(&named.global, vault.into_iter().collect(), Environment::of_this_process(), true).ok()
}

/// The program's name and the options among `words` that name a vault, each with its value.
fn naming(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut named = vec![OsString::from("cogzy-vault")];
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if ["--vault=", "--config=", "--socket="].iter().any(|option| text.starts_with(option)) {
            named.push(word);
        } else if ["--vault", "--config", "--socket"].contains(&text.as_ref())
            && let Some(value) = words.next_if(|value| !value.is_empty())
        {
            named.extend([word, value]);
        }
    }
    named
}

#[cfg(test)]
mod tests;
