//! `cogzy-vault man` and `cogzy-vault completions`: both are generated from the definition of the
//! command line, so they cannot lag behind it.

use std::ffi::OsString;

use clap::Command;
use clap_complete::Shell;
use clap_complete::env::{CompleteEnv, Shells};
use clap_mangen::Man;

use super::documents::{PageDocument, ScriptDocument};
use super::exit::Exit;
use super::failure::Failure;
use super::output::Output;
use cogzy_client::documents::SchemaVersion;

/// Print the manual page
///
/// To read it: cogzy-vault man | man -l -
#[derive(Debug, clap::Args)]
pub struct ManArgs {}

/// Print completions for a shell
///
/// For bash, for example: cogzy-vault completions bash >
/// ~/.local/share/bash-completion/completions/cogzy-vault. The script asks the program, which also
/// completes ids, generations and paths of the vault.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// Shell to complete for
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The sections of the manual page that no definition has, in roff; see man(7).
const MORE: &str = include_str!("../../docs/man.roff");

/// Prints the manual page: the program, then each verb with its options.
///
/// # Errors
/// If it cannot be rendered.
pub fn man(command: Command, _: &ManArgs, output: &mut Output) -> Result<Exit, Failure> {
    let page =
        page(command).map_err(|error| Failure::new(Exit::Internal, format!("no manual page: {error}")))?;
    output.whole(&page, &PageDocument { schema: SchemaVersion, page: &page });
    Ok(Exit::Done)
}

/// The variable by which a script says that it asks for completions, and of which shell it is.
const ASKS: &str = "COGZY_VAULT_COMPLETE";
/// The program's name, by which scripts call it.
const PROGRAM: &str = "cogzy-vault";

/// Prints the completions for a shell.
///
/// # Errors
/// If there are none for it.
pub fn completions(args: &CompletionsArgs, output: &mut Output) -> Result<Exit, Failure> {
    let script = script(args.shell)
        .map_err(|error| Failure::new(Exit::Internal, format!("no completions: {error}")))?;
    output.whole(&script, &ScriptDocument { schema: SchemaVersion, script: &script });
    Ok(Exit::Done)
}

fn script(shell: Shell) -> std::io::Result<String> {
    let shells = Shells::builtins();
    let completer = shells.completer(&shell.to_string()).ok_or(std::io::ErrorKind::Unsupported)?;
    let mut script = Vec::new();
    completer.write_registration(ASKS, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Answers a script that asks for completions. True if one did.
///
/// # Errors
/// If the answer cannot be given.
pub fn complete(
    command: fn() -> Command,
    words: impl IntoIterator<Item = OsString>,
) -> clap::error::Result<bool> {
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(command).var(ASKS).bin(PROGRAM).try_complete(words, folder.as_deref())
}

fn page(mut command: Command) -> std::io::Result<String> {
    command.build();
    let mut page = Vec::new();
    // A page without a date is the same for every build of a version.
    let source = format!("cogzy-vault {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).date("").source(source).manual("User Commands");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    page.extend_from_slice(b".SH VERBS\n");
    verbs(&command, "", &mut page)?;
    man.render_options_section(&mut page)?;
    page.extend_from_slice(MORE.as_bytes());
    man.render_version_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Writes each verb below `command`: its synopsis, its description, its own options. Verbs of verbs
/// follow theirs.
fn verbs(command: &Command, above: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let shown = |verb: &&Command| verb.get_name() != "help" && !verb.is_hide_set();
    for verb in command.get_subcommands().filter(shown) {
        let name = format!("{above}{}", verb.get_name());
        let global = |argument: &&clap::Arg| !argument.is_global_set() && argument.get_id() != "help";
        let own: Vec<&clap::Arg> = verb.get_arguments().filter(global).collect();
        let mut usage = name.clone();
        for argument in own.iter().filter(|argument| argument.is_positional()) {
            let value = argument.get_id().as_str().to_uppercase();
            usage += &if argument.is_required_set() { format!(" {value}") } else { format!(" [{value}]") };
        }
        let about = verb.get_long_about().or(verb.get_about()).map(ToString::to_string).unwrap_or_default();
        let mut text = format!(".SS {}\n{}\n", roff(&usage), paragraphs(&about));
        for argument in own {
            let flag = match argument.get_long() {
                Some(long) if argument.get_action().takes_values() => {
                    let value = argument.get_value_names().and_then(|names| names.first());
                    format!("--{long} {}", value.map_or("VALUE", |name| name.as_str()))
                }
                Some(long) => format!("--{long}"),
                None => argument.get_id().as_str().to_uppercase(),
            };
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            text += &format!(".TP\n\\fB{}\\fR\n{}\n", roff(&flag), roff(&help));
        }
        page.extend_from_slice(text.as_bytes());
        verbs(verb, &format!("{name} "), page)?;
    }
    Ok(())
}

fn paragraphs(text: &str) -> String {
    text.split("\n\n").map(|part| roff(&part.replace('\n', " "))).collect::<Vec<_>>().join("\n.PP\n")
}

/// Text for roff: a hyphen becomes a minus that can be copied, and no line begins with a request.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests;
