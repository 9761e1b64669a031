use super::*;

fn read(line: &str) -> Result<(Cli, Vec<Flag>), clap::Error> {
    Cli::read(std::iter::once("cogzy-vault").chain(line.split_whitespace()).map(OsString::from))
}

/// The command lines of README, the manual and the pages below docs/.
const ACCEPTED: &[&str] = &[
    "init",
    "init --remote b2://bucket/x --user-id me --device-name laptop --join",
    "run",
    "retry",
    "pause",
    "pause --for 1h",
    "resume",
    "sync --dry-run --derived --all",
    "--json status",
    "status --json -q",
    "status --watch",
    "approve",
    "approve 0123456789abcdef",
    "approve --reject",
    "approve --reject 0123456789abcdef",
    "approve --all",
    "approve --reject --all",
    "conflicts",
    "events",
    "events --follow --since 7 --json",
    "changes --since 42",
    "conflicts list",
    "conflicts show 0123",
    "conflicts show 0123 --to x",
    "conflicts resolve 0123 --keep mine",
    "conflicts resolve 0123 --keep desk",
    "conflicts resolve --all --keep other",
    "conflicts resolve 0123 --keep both --yes",
    "history",
    "history corpus/nodes.json --limit 3",
    "restore --generation 7",
    "restore --generation 7-3fa2 corpus traces/t.json --yes",
    "restore --at 2026-11-20T18:00:00Z --to x",
    "restore --at 2d corpus",
    "undo",
    "undo 7 --force",
    "reset",
    "reset --yes",
    "reset --dry-run --json",
    "prune",
    "prune --dry-run --json",
    "export x",
    "import",
    "import b2://bucket/old",
    "export x --generation 7 corpus",
    "verify --deep -vv --color never",
    "doctor",
    "man",
    "completions bash",
    "doctor --json",
    "verify --repair",
    "service install",
    "service uninstall",
    "service start",
    "service stop",
    "service status --json",
    "config show",
    "config check --config x.toml",
    "config path",
];

const REFUSED: &[&str] = &[
    "",
    "sink",
    "sync x",
    "config",
    "approve 01 --all",
    "conflicts show",
    "conflicts resolve 01",
    "conflicts resolve --keep this",
    "conflicts resolve 01 --all --keep this",
    "restore",
    "restore --generation 7 --at 2d",
    "restore --at soon",
    "export",
    "status -v -q",
    "sync --color blue",
    "--vault",
];

#[test]
fn the_definition_is_sound_and_every_verb_has_help() {
    let command = Cli::command();
    command.clone().debug_assert();
    for verb in command.get_subcommands() {
        assert!(verb.get_about().is_some(), "{} has no help", verb.get_name());
    }
}

#[test]
fn the_documented_command_lines_are_accepted() {
    for line in ACCEPTED {
        assert!(read(line).is_ok(), "{line} was refused");
    }
    for line in REFUSED {
        assert_eq!(read(line).unwrap_err().exit_code(), 2, "{line} was taken");
    }
}

#[test]
fn flags_become_keys_wherever_they_stand() {
    for line in ["--vault /v init --user-id me", "init --user-id me --vault /v"] {
        let (_, flags) = read(line).unwrap();
        let keys: Vec<_> = flags.iter().map(|flag| (flag.key, flag.value.as_str())).collect();
        assert_eq!(keys, [("vault", "/v"), ("user_id", "me")], "{line}");
        assert_eq!(flags[0].source, SettingSource::Flag("--vault".to_owned()));
    }
    let (cli, flags) = read("status --vault here").unwrap();
    assert!(cli.global.vault.is_some_and(|path| path.is_absolute() && path.ends_with("here")));
    assert!(flags.iter().all(|flag| PathBuf::from(&flag.value).is_absolute()));
}
