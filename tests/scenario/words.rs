//! The words that the program can print: the commands that it proposes must be commands, and a
//! change of words is seen in review.

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
pub fn proposed(text: &str) -> Vec<String> {
    let whole = text.trim().trim_start_matches("next: ").trim_start_matches("or: ");
    let verb = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_lowercase());
    if let Some(rest) = whole.strip_prefix("cogzy-vault ").filter(verb) {
        // A column of explanations may follow, and ways to decide are told apart by bars.
        let command = rest.split("    ").next().unwrap_or_default();
        return command.split('|').next().map(str::to_owned).into_iter().collect();
    }
    let quoted = text.split('`').skip(1).step_by(2);
    // Settings for this one command may stand before it.
    let command = |quoted: &str| {
        let (before, command) = quoted.split_once("cogzy-vault ")?;
        before.split_whitespace().all(|word| word.contains('=')).then(|| command.to_owned())
    };
    quoted.filter_map(command).collect()
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

/// The page with all words, which `COGZY_TEST_WORDS=write` writes anew.
const PAGE: &str = "tests/data/words.txt";

/// Everything that people may read: texts in the sources that have words, and the help.
fn page() -> String {
    let mut page = String::from("# All texts of the program. Written by the test `words`, not by hand.\n");
    let mut file = String::new();
    for text in all().into_iter().filter(|text| is_told(&text.text)) {
        if text.file != file {
            file.clone_from(&text.file);
            page.push_str(&format!("\n{file}\n"));
        }
        page.push_str(&format!("    {}\n", text.text.escape_debug().to_string().replace("\\'", "'")));
    }
    page.push_str("\nhelp\n");
    help(&Cli::command(), "cogzy-vault", &mut page);
    page
}

/// True for a text with words between which there are spaces: the others are names.
fn is_told(text: &str) -> bool {
    let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    let sql = ["SELECT ", "INSERT ", "DELETE ", "CREATE ", "UPDATE ", "PRAGMA "];
    text.split_whitespace().filter(is_word).count() > 1
        && !sql.iter().any(|verb| text.trim().starts_with(verb))
}

fn help(command: &clap::Command, name: &str, page: &mut String) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    page.push_str(&format!("    {name}: {}\n", about.escape_debug().to_string().replace("\\'", "'")));
    for argument in
        command.get_arguments().filter(|argument| !argument.is_global_set() || name == "cogzy-vault")
    {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        page.push_str(&format!("        {}: {help}\n", argument.get_id()));
    }
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        help(verb, &format!("{name} {}", verb.get_name()), page);
    }
}

#[test]
fn a_change_of_words_is_seen_in_review() {
    let (path, now) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), page());
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    if std::env::var("COGZY_TEST_WORDS").is_ok_and(|wish| wish == "write") {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let lines = |page: &str| page.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (was, is) = (lines(&kept), lines(&now));
    let differ: Vec<String> = was
        .difference(&is)
        .map(|line| format!("- {line}"))
        .chain(is.difference(&was).map(|line| format!("+ {line}")))
        .collect();
    assert!(
        kept == now,
        "{PAGE} has other words; COGZY_TEST_WORDS=write cargo test --test scenario words writes it:\n{}",
        differ.join("\n")
    );
}
