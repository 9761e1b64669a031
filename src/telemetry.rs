//! The log: on standard error, coloured only on a terminal. The daemon's goes to the journal where
//! systemd has connected it to one, and otherwise to a file of the vault as well.
//!
//! The log is for finding causes; `cli::output` prints the answers for the user. The names of
//! fields are stable: `generation`, `pushed`, `pulled`, `deleted_local`, `deleted_remote`,
//! `conflicts`, `held`, `left_out`, `requests`, `bytes_up`, `bytes_down`, `took_ms`, `attempts`,
//! `error`, `next`, `path`. Neither credentials nor contents are ever among them.

mod journal;
mod rotated;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use cogzy_engine::fs::RootedFs;
use journal::JournalLayer;
pub use rotated::Rotated;

/// A reason why the log is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log was set up before.
    #[error("the log is set up already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// The file cannot be written; the rest of the log works.
    #[error("the log cannot be written to {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Places for the log besides standard error.
#[derive(Debug, Clone, Default)]
pub struct Sinks {
    /// The device and inode of the stream that systemd has connected to its journal, from
    /// JOURNAL_STREAM.
    pub journal: Option<(u64, u64)>,
    /// The file, for a log without a journal, and the vault that it lies in.
    pub file: Option<(Arc<RootedFs>, PathBuf)>,
    /// True if a person reads standard error: it gets warnings and errors only, if the rest goes to
    /// the file.
    pub for_people: bool,
}

/// The level of the log: the configured `level`, more with each `-v`, only errors with `-q`.
#[must_use]
pub fn level(level: Level, verbose: u8, quiet: bool) -> Level {
    let asked = match verbose {
        0 => level,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // A level is greater when it lets more through.
    if quiet { Level::ERROR } else { asked.max(level) }
}

/// Starts the log, and returns the file if it goes to one. It has our own events up to `level`.
/// From libraries it has only warnings and errors, unless everything is asked for.
///
/// # Errors
/// If it was called before, or the file cannot be written; then the log works without the file.
pub fn start(level: Level, color: bool, sinks: &Sinks) -> Result<Option<Rotated>, TelemetryError> {
    let mut layers: Vec<Box<dyn Layer<tracing_subscriber::Registry> + Send + Sync>> = Vec::new();
    let journal = sinks.journal.filter(is_standard_error).and_then(|_| JournalLayer::connect().ok());
    let mut file = Ok(None);
    match journal {
        Some(journal) => layers.push(journal.boxed()),
        None => {
            let few = sinks.for_people && sinks.file.is_some();
            let shown = if few { LevelFilter::WARN } else { LevelFilter::TRACE };
            let to_terminal = tracing_subscriber::fmt::layer()
                .with_writer(io::stderr)
                .with_ansi(color)
                // With standard error closed there is no place for these.
                .log_internal_errors(false)
                .with_filter(shown);
            layers.push(to_terminal.boxed());
            file = sinks.file.as_ref().map(opened).transpose();
            if let Ok(Some(file)) = &file {
                let to_file = tracing_subscriber::fmt::layer().with_writer(file.clone()).with_ansi(false);
                layers.push(to_file.log_internal_errors(false).boxed());
            }
        }
    }
    tracing_subscriber::registry().with(layers).with(filter(level)).try_init()?;
    file
}

fn opened((disk, path): &(Arc<RootedFs>, PathBuf)) -> Result<Rotated, TelemetryError> {
    let opened = Rotated::open(Arc::clone(disk), path);
    opened.map_err(|source| TelemetryError::File { path: path.clone(), source })
}

/// True while standard error still is the stream that systemd connected: a program in between may
/// have redirected it. Asks through the standard library, whose numbers are 64 bits wide on every
/// Unix.
fn is_standard_error(stream: &(u64, u64)) -> bool {
    let metadata = io::stderr().as_fd().try_clone_to_owned().and_then(|copy| File::from(copy).metadata());
    metadata.is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == *stream)
}

/// Our crates, by the names that their events carry.
const OURS: [&str; 4] = ["cogzy_vault", "cogzy_engine", "cogzy_client", "cogzy_s3"];

fn filter(level: Level) -> Targets {
    let others = if level == Level::TRACE { Level::DEBUG } else { level.min(Level::WARN) };
    Targets::new()
        .with_targets(OURS.map(|krate| (krate, level)))
        // It warns of each place without credentials; our own error reports the result.
        .with_target("aws_config", others.min(Level::ERROR))
        .with_default(LevelFilter::from_level(others))
}

#[cfg(test)]
mod tests;
