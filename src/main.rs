//! The program: reads the command line, runs the verb, ends with its code.

use std::process::ExitCode;

use clap::CommandFactory;

use cogzy_vault::cli;
use cogzy_vault::cli::args::{Cli, Verb};
use cogzy_vault::cli::exit::Exit;
use cogzy_vault::cli::output::Output;
use cogzy_vault::cli::reference;
use cogzy_vault::config::Environment;
use cogzy_vault::memory;
use cogzy_vault::telemetry::{self, Sinks};

fn main() -> ExitCode {
    memory::keep_little();
    // A debugger may look at a debug build.
    if !cfg!(debug_assertions) {
        memory::keep_to_itself();
    }
    match reference::complete(Cli::command, std::env::args_os()) {
        Ok(false) => {}
        // A script that asks takes what it gets.
        Ok(true) => return ExitCode::SUCCESS,
        Err(_) => return Exit::Internal.into(),
    }
    let environment = Environment::of_this_process();
    let json = std::env::args_os().any(|argument| argument == "--json");
    let (cli, flags) = match Cli::read(std::env::args_os()) {
        Ok(read) => read,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8);
            return if Output::usage(&error, json).is_ok() { code.into() } else { Exit::Internal.into() };
        }
    };
    let mut output = Output::of_this_process(&cli.global, environment.no_color());
    // A verb reports its own errors; the daemon's log begins when its place is known.
    if !matches!(cli.verb, Verb::Run(_)) {
        let level = telemetry::level(tracing::Level::WARN, cli.global.verbose, cli.global.quiet);
        if let Err(error) = telemetry::start(level, output.colors_errors(), &Sinks::default()) {
            output.error(error, None);
        }
    }
    let exit = cli::main(&cli, flags, environment, &mut output);
    match output.finish() {
        Ok(()) => exit,
        // The answer did not arrive because of a full disk or the like, not because the reader
        // left.
        Err(_) => Exit::Internal.into(),
    }
}
