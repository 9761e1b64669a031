use clap::CommandFactory;

use super::*;
use crate::cli::args::Cli;

#[test]
fn the_page_names_every_verb_every_flag_and_every_exit_code() {
    let page = page(Cli::command()).unwrap();
    let plain = page.replace("\\-", "-");
    let mut command = Cli::command();
    command.build();
    let mut open: Vec<(String, &Command)> =
        command.get_subcommands().map(|verb| (verb.get_name().to_owned(), verb)).collect();
    while let Some((name, verb)) = open.pop() {
        if verb.get_name() == "help" {
            continue;
        }
        assert!(plain.contains(&format!("\n.SS {name}")), "{name} is missing");
        for flag in verb.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(plain.contains(&format!("--{flag}")), "--{flag} of {name} is missing");
        }
        open.extend(verb.get_subcommands().map(|below| (format!("{name} {}", below.get_name()), below)));
    }
    for code in 0..=9 {
        assert!(plain.contains(&format!("\n.TP\n.B {code}\n")), "exit code {code} is missing");
    }
    for line in page.lines().filter(|line| line.starts_with('.')) {
        assert!(line[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '\\'), "no request: {line}");
    }
}

#[test]
fn every_shell_gets_a_script_that_asks_the_program_by_its_name() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
        let script = script(shell).unwrap();
        assert!(script.contains(ASKS) && script.contains(PROGRAM), "{shell}: {script}");
    }
}
