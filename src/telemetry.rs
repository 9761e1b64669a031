//! The log: to standard error, coloured only where a terminal shows it.
//!
//! What the log says is for whoever looks for a cause; what a user asked for is printed by `cli::output`.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The log is set up already.
#[derive(Debug, thiserror::Error)]
#[error("the log is set up already: {0}")]
pub struct TelemetryError(#[from] tracing_subscriber::util::TryInitError);

/// What is logged: `level` is what is configured, each `-v` tells more, `-q` leaves only errors.
#[must_use]
pub fn level(level: Level, verbose: u8, quiet: bool) -> Level {
    let asked = match verbose {
        0 => level,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Levels compare by how much they let through.
    if quiet { Level::ERROR } else { asked.max(level) }
}

/// Starts logging. Our own events up to `level`; those of the libraries, which have their own idea of what is worth
/// knowing, only from warnings on unless everything is asked for.
///
/// # Errors
/// Where it was called before.
pub fn start(level: Level, color: bool) -> Result<(), TelemetryError> {
    let to_terminal = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(color)
        // With standard error closed there is nobody to tell that it is.
        .log_internal_errors(false);
    tracing_subscriber::registry().with(to_terminal).with(filter(level)).try_init()?;
    Ok(())
}

fn filter(level: Level) -> Targets {
    let others = if level == Level::TRACE { Level::DEBUG } else { level.min(Level::WARN) };
    Targets::new()
        .with_target("cogzy_vault", level)
        // It warns of each place where it found no credentials; what that comes to, our own error says.
        .with_target("aws_config", others.min(Level::ERROR))
        .with_default(LevelFilter::from_level(others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_the_configuration() {
        assert_eq!(level(Level::INFO, 0, false), Level::INFO);
        assert_eq!(level(Level::INFO, 1, false), Level::DEBUG);
        assert_eq!(level(Level::TRACE, 1, false), Level::TRACE, "-v must not tell less");
        assert_eq!(level(Level::TRACE, 0, true), Level::ERROR);
    }

    #[test]
    fn libraries_are_quieter_than_we_are() {
        let debug = filter(Level::DEBUG);
        assert!(debug.would_enable("cogzy_vault::sync", &Level::DEBUG));
        assert!(debug.would_enable("hyper", &Level::WARN) && !debug.would_enable("hyper", &Level::INFO));
        assert!(!filter(Level::ERROR).would_enable("hyper", &Level::WARN));
        assert!(filter(Level::TRACE).would_enable("hyper", &Level::DEBUG));
    }
}
