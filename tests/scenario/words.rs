//! The words that the program can print: the commands that it proposes must be commands.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use cogzy_testkit::strings::{Text, texts};
use cogzy_vault::cli::args::Cli;

fn all() -> BTreeSet<Text> {
    let of = |folder| texts(Path::new(env!("CARGO_MANIFEST_DIR")), folder);
    ["", "crates/client", "crates/engine", "crates/s3"].into_iter().flat_map(of).collect()
}

/// The commands that a text proposes: it is one itself, or has them in backticks. A program's name
/// elsewhere is no command, and must not look like one.
fn proposed(text: &str) -> Vec<String> {
    let whole = text.trim().trim_start_matches("next: ").trim_start_matches("or: ");
    let verb = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    if let Some(rest) = whole.strip_prefix("cogzy-vault ").filter(verb) {
        // A column of explanations may follow, and ways to decide are told apart by bars.
        let command = rest.split("    ").next().unwrap_or_default();
        return command.split('|').next().map(str::to_owned).into_iter().collect();
    }
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter_map(|quoted| quoted.strip_prefix("cogzy-vault ")).map(str::to_owned).collect()
}

/// A command with values in the place of its placeholders.
fn filled(command: &str) -> Vec<OsString> {
    let word = |word: &str| match word {
        "N" | "TIME" | "ID" => "7".to_owned(),
        word if word.starts_with('{') => "7".to_owned(),
        word => word.to_owned(),
    };
    ["cogzy-vault".to_owned()]
        .into_iter()
        .chain(command.split_whitespace().map(word))
        .map(OsString::from)
        .collect()
}

#[test]
fn every_command_that_a_message_proposes_is_one() {
    let proposed: Vec<(String, String)> = all()
        .into_iter()
        .flat_map(|Text { file, text }| {
            proposed(&text).into_iter().map(move |command| (file.clone(), command))
        })
        .collect();
    assert!(proposed.len() > 60, "only {} commands were found", proposed.len());
    let refused = |(file, command): &(String, String)| {
        let refused = Cli::read(filled(command)).err()?;
        Some(format!("{file} proposes `cogzy-vault {command}`: {refused}"))
    };
    let refused: Vec<String> = proposed.iter().filter_map(refused).collect();
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_command_in_a_sentence_stands_in_backticks() {
    let verbs: BTreeSet<String> =
        Cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let is_command =
        |rest: &str| verbs.contains(rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or_default());
    let hidden: Vec<Text> = all()
        .into_iter()
        .filter(|text| proposed(&text.text).is_empty())
        .filter(|text| text.text.split("cogzy-vault ").skip(1).any(is_command))
        .collect();
    assert!(hidden.is_empty(), "which words are the command? {hidden:#?}");
}
