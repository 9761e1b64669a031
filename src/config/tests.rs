//! The layers together: which one wins, which values are refused, and in which words.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use cogzy_engine::fs::RealFs;

/// A home folder, with a configuration file if there is a text for it.
fn home(text: Option<&str>) -> (TempDir, Paths) {
    let home = tempfile::tempdir().unwrap();
    let paths = Paths::in_home(home.path(), None);
    if let Some(text) = text {
        std::fs::create_dir_all(paths.config_file().parent().unwrap()).unwrap();
        std::fs::write(paths.config_file(), text).unwrap();
    }
    (home, paths)
}

fn load(
    text: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[Flag],
) -> Result<LoadedConfig, ConfigError> {
    let (_home, paths) = home(text);
    load_from(&paths, environment, flags)
}

fn load_from(
    paths: &Paths,
    environment: &[(&str, &str)],
    flags: &[Flag],
) -> Result<LoadedConfig, ConfigError> {
    let environment = environment.iter().copied().collect();
    Config::load(LoadOptions {
        paths,
        file: None,
        may_be_missing: false,
        environment: &environment,
        flags: flags.to_vec(),
    })
}

fn flag(key: &'static str, value: &str) -> Flag {
    Flag { key, value: value.to_owned(), source: SettingSource::Flag(format!("--{key}")) }
}

/// The refusal of a file with this text, without the path of the file.
fn refusal(text: &str) -> String {
    let message = load(Some(text), &[], &[]).unwrap_err().to_string();
    let at = message.find("config.toml").unwrap_or_else(|| panic!("{message:?} does not name the file"));
    message[at..].to_owned()
}

#[test]
fn without_any_setting_the_defaults_hold() {
    let LoadedConfig { config, keys, file_exists, .. } = load(None, &[], &[]).unwrap();
    assert!(!file_exists && config.vault.ends_with(".local/share/cogzy") && config.remote.is_none());
    assert_eq!((config.user_id.as_str(), config.device_name.as_str()), ("default", "laptop"));
    assert_eq!(config.sync.settle, Duration::from_secs(2));
    assert_eq!(config.sync.rehash_interval, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(config.retry.schedule.iter().map(Duration::as_secs).collect::<Vec<_>>(), [30, 60, 120, 300]);
    assert_eq!(config.filter.exclude, ["cache/**", "logs/**"]);
    assert_eq!(config.limits.upload, None);
    let groups: Vec<_> = config.groups.definitions().iter().map(|group| group.name.as_str()).collect();
    assert_eq!(groups, ["nodes", "episodes"]);
    assert!(keys.values().all(|shown| shown.source == SettingSource::Default && !shown.value.contains('\n')));
    assert_eq!(keys["retry.schedule"].value, r#"["30s", "60s", "120s", "300s"]"#);
    assert!(keys["group"].value.starts_with(r#"[{ name = "nodes", primary = ["corpus/nodes.json", "#));
}

#[test]
fn every_key_is_described_in_the_defaults_and_nothing_else_is() {
    let mut section = String::new();
    let mut described: BTreeSet<String> = BTreeSet::new();
    for line in DEFAULTS.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)) {
        if let Some(name) = line.strip_prefix("[").and_then(|line| line.strip_suffix("]")) {
            section = name.trim_matches(['[', ']']).to_owned();
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| !name.contains(' ')) {
            let key = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            described.insert(key);
        }
    }
    described.retain(|key| !key.starts_with("group."));
    described.insert("group".to_owned());

    let mut reader = Reader::default();
    reader.add_document(DEFAULTS, None).unwrap();
    reader.add_text("vault", "/v", SettingSource::Default);
    reader.add_text("device_name", "d", SettingSource::Default);
    Config::read(&mut reader).unwrap();
    let known: BTreeSet<String> = reader.known().map(str::to_owned).collect();
    assert_eq!(known, described);
}

#[test]
fn a_later_layer_wins_and_says_so() {
    let file = "user_id = \"file\"\nremote = \"b2://bucket\"\n[sync]\nsettle = \"3s\"\n";
    let environment = [("COGZY_VAULT__USER_ID", "env"), ("COGZY_VAULT__SYNC__POLL_INTERVAL", "7s")];
    let loaded = load(Some(file), &environment, &[flag("user_id", "flag")]).unwrap();
    assert_eq!(loaded.config.user_id, "flag");
    assert_eq!(loaded.config.sync.poll_interval, Duration::from_secs(7));
    let source = |key| loaded.keys[key].source.to_string();
    assert_eq!(source("user_id"), "flag --user_id");
    assert_eq!(source("sync.poll_interval"), "environment COGZY_VAULT__SYNC__POLL_INTERVAL");
    assert!(source("sync.settle").ends_with("config.toml:4"), "{}", source("sync.settle"));
    assert_eq!(source("sync.batch_files"), "default");
}

#[test]
fn the_environment_may_say_any_type() {
    let environment = [
        ("COGZY_VAULT__FILTER__EXCLUDE", r#"["a", "b"]"#),
        ("COGZY_VAULT__LOG__FILE", "false"),
        ("COGZY_VAULT__DEVICE_NAME", "42"),
        ("COGZY_VAULT__LIMITS__UPLOAD", "0"),
        ("COGZY_VAULT__USER_ID", "\"quoted\""),
        ("COGZY_VAULT__GROUP", r#"[{ name = "g", primary = ["x"] }]"#),
        ("COGZY_VAULT__S3__REGION", ""),
    ];
    let loaded = load(Some("[s3]\nregion = \"here\""), &environment, &[]).unwrap();
    let config = loaded.config;
    assert_eq!((config.filter.exclude, config.log.file), (vec!["a".to_owned(), "b".to_owned()], false));
    assert_eq!((config.device_name.as_str(), config.user_id.as_str()), ("42", "quoted"));
    assert_eq!(config.groups.definitions().len(), 1);
    assert_eq!(config.s3.region, None, "an empty text takes back what the file says");
    assert_eq!(loaded.keys["device_name"].value, "\"42\"");
}

#[test]
fn an_error_names_its_place_and_the_allowed_values() {
    for (text, expected) in [
        (
            "[sync]\n\nsettle = \"2 parsecs\"",
            "config.toml:3: sync.settle is \"2 parsecs\": expected a duration from 0s to 1h",
        ),
        ("[sync]\nsettle = 2", "config.toml:2: sync.settle is 2: expected a duration"),
        ("[sync]\nsettle = \"2h\"", "config.toml:2: sync.settle is \"2h\""),
        ("[sync]\nsetle = \"2s\"", "config.toml:2: there is no key sync.setle; did you mean sync.settle?"),
        ("settle = \"2s\"", "config.toml:1: there is no key settle; did you mean sync.settle?"),
        ("[snyc]", "config.toml:1: there is no key snyc"),
        ("sync = 5", "config.toml:1: sync is 5: expected a section, [sync]"),
        ("[[hooks]]\nx = 1", "config.toml:1: hooks is [{ x = 1 }]: expected a section"),
        ("\nuser_id = \"a/b\"", "config.toml:2: user_id is \"a/b\": expected 1 to 64 letters"),
        ("user_id = \"..\"", "config.toml:1: user_id is"),
        ("vault = \"here\"", "config.toml:1: vault is \"here\": expected an absolute path"),
        ("vault = 1\nvault = 2", "config.toml:2: this is no TOML: duplicate key"),
        (
            "[safety]\nmax_delete_percent = 0",
            "config.toml:2: safety.max_delete_percent is 0: expected a whole number from 1 to 100",
        ),
        ("[safety]\nmax_delete_percent = -1", "config.toml:2: safety.max_delete_percent is -1"),
        ("[retry]\nschedule = []", "config.toml:2: retry.schedule is []: expected a list of durations"),
        ("[retry]\nschedule = [\"1s\", 2]", "config.toml:2: retry.schedule"),
        (
            "[conflict]\npolicy = \"mine\"",
            "config.toml:2: conflict.policy is \"mine\": expected \"remote-wins\"",
        ),
        (
            "[conflict]\nmerge = true",
            "config.toml:2: conflict.merge is true: expected \"entries\" or \"off\"",
        ),
        ("[log]\nlevel = \"loud\"", "config.toml:2: log.level is \"loud\": expected \"error\" or \"warn\""),
        ("[log]\nfile = 1", "config.toml:2: log.file is 1: expected true or false"),
        ("remote = \"my-bucket\"", "config.toml:1: remote is \"my-bucket\": expected b2://"),
        ("[[group]]\nname = \"a b\"\nprimary = [\"x\"]", "config.toml:1: group name \"a b\""),
        ("[[group]]\nname = \"a\"\nprimry = [\"x\"]", "config.toml:1: group is"),
        (
            "[encryption]\nkey_file = \"/key\"",
            "config.toml:2: encryption.key_file is \"/key\": expected nothing",
        ),
        ("[encryption]\npassphrase_command = [\"pass\"]", "config.toml:2: encryption.passphrase_command is"),
        (
            "[encryption]\nkey_file = \"key\"",
            "config.toml:2: encryption.key_file is \"key\": expected an absolute path",
        ),
    ] {
        let message = refusal(text);
        assert!(message.starts_with(expected), "{text:?} gives\n  {message}\nand not\n  {expected}");
    }
}

#[test]
fn slips_and_wrong_sections_are_recognised_and_nothing_else() {
    let known = ["sync.settle", "sync.poll_interval", "remote", "log.level"];
    let nearest = |given| reader::nearest(given, known.into_iter());
    assert_eq!(nearest("sync.setle"), Some("sync.settle"));
    assert_eq!(nearest("settle"), Some("sync.settle"));
    assert_eq!(nearest("remot"), Some("remote"));
    assert_eq!(nearest("sync.poll-interval"), Some("sync.poll_interval"));
    for far in ["colour", "", "kitten", "sync.retry"] {
        assert_eq!(nearest(far), None, "{far:?}");
    }
    assert_eq!(reader::nearest("sync.settle", std::iter::empty()), None);
}

#[test]
fn the_environment_and_flags_are_checked_alike() {
    let message = |environment: &[_], flags: &[_]| load(None, environment, flags).unwrap_err().to_string();
    assert_eq!(
        message(&[("COGZY_VAULT__SYNC__SETLE", "2s")], &[]),
        "environment COGZY_VAULT__SYNC__SETLE: there is no key sync.setle; did you mean sync.settle?"
    );
    assert!(message(&[("COGZY_VAULT__SYNC", "2s")], &[]).contains("expected a section"));
    assert!(message(&[], &[flag("user_id", "a b")]).starts_with("flag --user_id: user_id is \"a b\""));
}

#[test]
fn a_bad_value_in_the_file_is_found_under_a_good_one_in_the_environment() {
    let file = Some("[sync]\nsettle = \"soon\"");
    assert!(load(file, &[("COGZY_VAULT__SYNC__SETTLE", "1s")], &[]).is_err());
}

#[test]
fn credentials_in_a_url_are_refused_and_not_repeated() {
    for key in ["remote", "s3.endpoint"] {
        let text = format!("{key} = \"https://id:hidden@host/\"");
        let message = refusal(&text);
        assert!(message.contains("holds credentials") && !message.contains("hidden"), "{message}");
    }
    assert!(load(Some("remote = \"file:///mnt/me@home\""), &[], &[]).is_ok());
}

#[test]
fn a_file_that_was_asked_for_must_be_there_unless_it_is_about_to_be_written() {
    let (home, paths) = home(None);
    let load = |may_be_missing| {
        let file = Some(home.path().join("other.toml"));
        let environment = Environment::default();
        Config::load(LoadOptions {
            paths: &paths,
            file,
            may_be_missing,
            environment: &environment,
            flags: Vec::new(),
        })
    };
    assert!(matches!(load(false), Err(ConfigError::Read { .. })));
    assert!(!load(true).unwrap().file_exists);
    std::fs::write(home.path().join("other.toml"), "user_id = \"other\"").unwrap();
    assert_eq!(load(false).unwrap().config.user_id, "other");
}

#[test]
fn a_changed_file_reads_back_and_keeps_its_other_lines() {
    let (_home, paths) = home(None);
    let file = paths.config_file();
    let write = |values: &[(&str, &str)]| update(&RealFs, &file, values).unwrap();
    write(&[("remote", "'b2://bucket/with \"quotes\"'"), ("s3.region", "\"here\"")]);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# mine\n{text}# last\n[log]\nlevel = 'warn' # why\n")).unwrap();
    write(&[("log.level", "'debug'"), ("user_id", "'me'"), ("remote", "'b2://other'")]);
    write(&[("s3.insecure", "true"), ("filter.exclude", "['a', \"b\"]")]);
    let written = Written::read(&file).unwrap();
    assert!(written.says("filter.exclude", "[ \"a\", 'b']") && written.says("s3.insecure", "true"));
    assert!(!written.says("filter.exclude", "['a']") && !written.says("s3.path_style", "true"));

    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\n# Configuration") && text.contains("\n# last\n"), "{text}");
    assert!(text.contains("level = 'debug' # why"), "{text}");
    let loaded = load_from(&paths, &[], &[]).unwrap();
    assert_eq!(loaded.config.remote.as_deref(), Some("b2://other"));
    assert_eq!(loaded.config.user_id, "me");
    assert_eq!(loaded.config.s3.region.as_deref(), Some("here"));
    assert_eq!(loaded.config.log.level, tracing::Level::DEBUG);
}

#[cfg(unix)]
#[test]
fn a_written_file_is_private_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let (home, paths) = home(None);
    let real = home.path().join("dotfiles.toml");
    std::fs::write(&real, "").unwrap();
    let link = paths.config_file();
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&real, &link).unwrap();
    update(&RealFs, &link, &[("user_id", "'me'")]).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    // One that leads to no file yet gets the file made.
    let dangling = home.path().join("dangling.toml");
    symlink("not yet.toml", &dangling).unwrap();
    update(&RealFs, &dangling, &[("user_id", "'me'")]).unwrap();
    assert!(std::fs::symlink_metadata(&dangling).unwrap().is_symlink());
    assert!(std::fs::read_to_string(home.path().join("not yet.toml")).unwrap().contains("'me'"));
    assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(load_from(&paths, &[], &[]).unwrap().config.user_id, "me");
}

#[test]
fn a_file_that_is_no_toml_is_not_overwritten() {
    let (_home, paths) = home(Some("remote = [\n"));
    let error = update(&RealFs, &paths.config_file(), &[("user_id", "'me'")]).unwrap_err();
    assert!(matches!(error, ConfigError::Syntax { .. }));
    assert_eq!(std::fs::read_to_string(paths.config_file()).unwrap(), "remote = [\n");
}

proptest! {
    #[test]
    fn no_file_panics(text in "(\\[?\\[?(sync|s3|group|é)\\]?\\]?|[a-z_.]{0,8} ?= ?(\"[^\"]{0,9}\"|[0-9tx\\[\\]{}]{0,6})|\n){0,8}") {
        let mut reader = Reader::default();
        if reader.add_document(&text, Some(Path::new("x"))).is_ok() {
            let _ = Config::read(&mut reader).and_then(|_| reader.finish().map(drop));
        }
    }

    #[test]
    fn any_text_survives_being_written(name in "[^\\p{C}]{1,64}") {
        let (_home, paths) = home(Some("[sync]\n"));
        update(&RealFs, &paths.config_file(), &[("device_name", &toml_edit::Value::from(name.as_str()).to_string())]).unwrap();
        prop_assert_eq!(load_from(&paths, &[], &[]).unwrap().config.device_name, name);
    }
}
