//! The command line: one file per verb, with its arguments and its work.
//!
//! A verb reads its arguments, calls the library and hands the result to [`output`], the only place
//! that prints. It ends with one of the codes in [`exit`].

mod again;
pub mod app;
pub mod approve;
pub mod args;
mod ask;
pub mod changes;
mod complete;
pub mod config;
pub mod conflicts;
pub mod doctor;
mod documents;
pub mod events;
pub mod exit;
pub mod export;
pub mod failure;
pub mod global;
pub mod history;
pub mod hold;
pub mod import;
pub mod init;
mod job;
mod moment;
pub mod output;
pub mod paths;
pub mod pause;
mod progress;
pub mod prune;
pub mod reference;
mod report;
pub mod reset;
pub mod restore;
pub mod retry;
mod rewritten;
pub mod run;
pub mod service;
pub mod status;
pub mod sync;
pub mod undo;
pub mod verify;

use std::process::ExitCode;

use clap::CommandFactory;

use app::App;
use args::{Cli, Verb};
use exit::Exit;
use failure::Failure;
use output::Output;

use crate::config::{Environment, Flag};

/// Runs the verb of a command line and returns the code to end with.
#[must_use]
pub fn main(cli: &Cli, flags: Vec<Flag>, environment: Environment, output: &mut Output) -> ExitCode {
    match dispatch(cli, flags, environment, output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(&failure)
        }
    }
}

fn dispatch(
    cli: &Cli,
    flags: Vec<Flag>,
    environment: Environment,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let writing = matches!(cli.verb, Verb::Init(_));
    let app = || App::load(&cli.global, flags, environment, writing);
    match &cli.verb {
        Verb::Init(args) => init::run(&app()?, args, output),
        Verb::Run(args) => run::run(&app()?, &cli.global, args, output),
        Verb::Sync(args) => sync::run(&app()?, args, output),
        Verb::Status(args) => status::run(&app()?, args, output),
        Verb::Retry(args) => retry::run(&app()?, args, output),
        Verb::Pause(args) => pause::pause(&app()?, args, output),
        Verb::Resume(args) => pause::resume(&app()?, args, output),
        Verb::Approve(args) => approve::run(&app()?, args, output),
        Verb::Conflicts(args) => conflicts::run(&app()?, args, output),
        Verb::Events(args) => events::run(&app()?, args, output),
        Verb::Changes(args) => changes::run(&app()?, args, output),
        Verb::Hold(args) => hold::run(&app()?, args, output),
        Verb::History(args) => history::run(&app()?, args, output),
        Verb::Restore(args) => restore::run(&app()?, args, output),
        Verb::Undo(args) => undo::run(&app()?, args, output),
        Verb::Reset(args) => reset::run(&app()?, args, output),
        Verb::Prune(args) => prune::run(&app()?, args, output),
        Verb::Export(args) => export::run(&app()?, args, output),
        Verb::Import(args) => import::run(&app()?, args, output),
        Verb::Verify(args) => verify::run(&app()?, args, output),
        Verb::Doctor(args) => doctor::run(app(), args, output),
        Verb::Service(args) => service::run(&app()?, &cli.global, args, output),
        Verb::Config(args) => config::run(&app()?, args, output),
        // These two need no configuration: packages are built on machines that have none.
        Verb::Completions(args) => reference::completions(args, output),
        Verb::Man(args) => reference::man(Cli::command(), args, output),
    }
}
