//! Every key: its name, its type and its bounds, once.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml_edit::Value;

use super::ConfigError;
use super::layer::Setting;
use super::reader::{Reader, Spans, refused, texts};
use super::settings::{
    Config, ConflictSettings, FilterSettings, Finite, HookSettings, LimitSettings, LogSettings, Merge,
    NotifySettings, Policy, RetentionSettings, RetrySettings, S3Settings, SafetySettings, SmallSaves,
    StaleIndex, SyncSettings, ValidationSettings,
};
use super::units::Span;
use cogzy_engine::model::{Group, Groups, Rank, Rules, Texts};

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const DAY: u64 = 24 * HOUR;
const CENTURY_IN_DAYS: u64 = 36_500;

fn spans(shortest_ms: u64, longest_ms: u64) -> Spans {
    Span(Duration::from_millis(shortest_ms))..=Span(Duration::from_millis(longest_ms))
}

impl Config {
    /// Reads every key.
    pub(super) fn read(from: &mut Reader) -> Result<Self, ConfigError> {
        encryption(from)?;
        let vault = from.path("vault")?.ok_or(ConfigError::Missing { key: "vault" })?;
        Ok(Self {
            remote: url(from, "remote", "b2://bucket/prefix, s3://bucket/prefix or file:///path")?,
            user_id: from.text(
                "user_id",
                "1 to 64 letters, digits, `.`, `_` or `-`, not led by a dot",
                user_id,
            )?,
            device_name: from.text("device_name", "1 to 64 characters on one line", device_name)?,
            s3: S3Settings::read(from)?,
            sync: SyncSettings::read(from)?,
            validation: ValidationSettings {
                finite: from
                    .word("validation.finite", &[("full", Finite::Full), ("sample", Finite::Sample)])?,
            },
            retry: RetrySettings {
                schedule: from.spans("retry.schedule", spans(100, DAY))?,
                max_attempts: from.number("retry.max_attempts", 1..=1000)?,
            },
            filter: FilterSettings {
                include: patterns(from, "filter.include", &vault)?,
                exclude: patterns(from, "filter.exclude", &vault)?,
            },
            vault,
            groups: groups(from)?,
            conflict: ConflictSettings {
                policy: from.word("conflict.policy", &[("remote-wins", Policy::RemoteWins)])?,
                merge: from.word("conflict.merge", &[("entries", Merge::Entries), ("off", Merge::Off)])?,
                rules: Rules {
                    quiet: from.texts("conflict.quiet")?.into_iter().collect(),
                    no_embed: from.texts("conflict.no_embed")?.into_iter().collect(),
                    rank: rank(from)?,
                },
                texts: line_merges(from)?,
            },
            safety: SafetySettings {
                max_delete_percent: from.number("safety.max_delete_percent", 1..=100)?,
                max_shrink_percent: from.number("safety.max_shrink_percent", 1..=100)?,
                min_files: from.number("safety.min_files", 0..=1_000_000)?,
            },
            retention: RetentionSettings::read(from)?,
            limits: LimitSettings {
                upload: Some(from.size("limits.upload")?).filter(|rate| *rate > 0),
                download: Some(from.size("limits.download")?).filter(|rate| *rate > 0),
            },
            hooks: HookSettings {
                on_conflict: from.texts("hooks.on_conflict")?,
                on_hold: from.texts("hooks.on_hold")?,
                on_error: from.texts("hooks.on_error")?,
                timeout: from.span("hooks.timeout", spans(SECOND, HOUR))?,
                rebuild: from.texts("hooks.rebuild")?,
                rebuild_timeout: from.span("hooks.rebuild_timeout", spans(SECOND, DAY))?,
            },
            notify: NotifySettings { desktop: from.boolean("notify.desktop")? },
            log: LogSettings { level: level(from)?, file: from.boolean("log.file")? },
        })
    }
}

/// Patterns of a filter. One that begins with the vault's own path matches nothing below it, unless
/// that has folders of such names.
fn patterns(from: &mut Reader, key: &'static str, vault: &Path) -> Result<Vec<String>, ConfigError> {
    let patterns = from.texts(key)?;
    let absolute = |pattern: &String| Path::new(pattern.trim_start_matches('!')).starts_with(vault);
    let is_below = |names: &Path| vault.join(names).exists();
    if vault.strip_prefix("/").is_ok_and(|names| !is_below(names)) && patterns.iter().any(absolute) {
        from.refuse(key, "patterns that begin in the vault's folder, such as [\"private/**\"]")?;
    }
    Ok(patterns)
}

impl S3Settings {
    fn read(from: &mut Reader) -> Result<Self, ConfigError> {
        let name = |text: &str| Some(text.to_owned()).filter(|text| !text.chars().any(char::is_control));
        Ok(Self {
            endpoint: url(from, "s3.endpoint", "https://host or http://host:port")?,
            region: from.optional_text(
                "s3.region",
                "the name of a region, such as \"us-west-004\"",
                region,
            )?,
            profile: from.optional_text("s3.profile", "the name of an AWS profile", name)?,
            path_style: from.optional("s3.path_style", "true or false", Value::as_bool)?,
            insecure: from.boolean("s3.insecure")?,
            concurrency: from.number("s3.concurrency", 1..=64)?,
            connect_timeout: from.span("s3.connect_timeout", spans(SECOND, HOUR))?,
            operation_timeout: from.span("s3.operation_timeout", spans(SECOND, DAY))?,
        })
    }
}

impl SyncSettings {
    fn read(from: &mut Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            settle: from.span("sync.settle", spans(0, HOUR))?,
            batch_interval: from.span("sync.batch_interval", spans(0, HOUR))?,
            batch_files: from.number("sync.batch_files", 1..=1_000_000)?,
            poll_interval: from.span("sync.poll_interval", spans(100, DAY))?,
            poll_interval_active: from.span("sync.poll_interval_active", spans(100, DAY))?,
            poll_interval_idle: from.span("sync.poll_interval_idle", spans(100, DAY))?,
            rescan_interval: from.span("sync.rescan_interval", spans(SECOND, 7 * DAY))?,
            rehash_interval: from.span("sync.rehash_interval", spans(HOUR, 365 * DAY))?,
            max_invalid: from.span("sync.max_invalid", spans(0, 7 * DAY))?,
            stale_index: from.word(
                "sync.stale_index",
                &[("leave-out", StaleIndex::LeaveOut), ("hold", StaleIndex::Hold)],
            )?,
        })
    }
}

impl RetentionSettings {
    fn read(from: &mut Reader) -> Result<Self, ConfigError> {
        Ok(Self {
            prune: from.boolean("retention.prune")?,
            keep_generations: from.number("retention.keep_generations", 1..=1_000_000_000)?,
            keep_days: from.number("retention.keep_days", 0..=CENTURY_IN_DAYS)?,
            trash_days: from.number("retention.trash_days", 0..=CENTURY_IN_DAYS)?,
            grace: from.span("retention.grace", spans(HOUR, 365 * DAY))?,
            small_saves: from.word(
                "retention.small_saves",
                &[("commit", SmallSaves::Commit), ("pack", SmallSaves::Pack)],
            )?,
        })
    }
}

/// Reads and checks the keys for encryption, and refuses them. A user who set a key must not find
/// their memories in the bucket in the clear because this version cannot encrypt yet.
fn encryption(from: &mut Reader) -> Result<(), ConfigError> {
    let file = from.path("encryption.key_file")?;
    let argv = "a list of texts: a program and its arguments";
    let command = from.optional("encryption.passphrase_command", argv, texts)?;
    let set = [("encryption.key_file", file.is_some()), ("encryption.passphrase_command", command.is_some())];
    match set.into_iter().find(|(_, set)| *set) {
        Some((key, _)) => {
            from.refuse(key, "nothing: this version cannot encrypt, and would send all in the clear")
        }
        None => Ok(()),
    }
}

/// A URL, if there is one. Only leaks are checked here; the rest is checked when the remote is
/// opened.
fn url(from: &mut Reader, key: &'static str, allowed: &str) -> Result<Option<String>, ConfigError> {
    from.take_as_text(key);
    let value = from.last(key, |setting| match setting.value.as_str() {
        Some("") => Ok(None),
        Some(text) if text.contains('@') && !text.starts_with("file:") => {
            Err(ConfigError::Credentials { place: setting.source.clone(), key })
        }
        Some(text) if text.contains("://") => Ok(Some(text.to_owned())),
        _ => Err(refused(key, setting, allowed)),
    })?;
    Ok(value.flatten())
}

/// A region's name, which stands in host names and signatures.
fn region(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (!text.is_empty() && text.chars().all(legal)).then(|| text.to_owned())
}

fn user_id(text: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = (1..=64).contains(&text.len()) && !text.starts_with('.') && text.chars().all(legal);
    good.then(|| text.to_owned())
}

fn device_name(text: &str) -> Option<String> {
    let good = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}

fn level(from: &mut Reader) -> Result<tracing::Level, ConfigError> {
    use tracing::Level;
    let words = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    from.word("log.level", &words)
}

fn rank(from: &mut Reader) -> Result<Option<Rank>, ConfigError> {
    let field =
        from.optional_text("conflict.rank.field", "the name of a field", |text| Some(text.to_owned()))?;
    let order = from.texts("conflict.rank.order")?;
    Ok(field.map(|field| Rank { field, order }))
}

fn line_merges(from: &mut Reader) -> Result<Texts, ConfigError> {
    let [lines, json, text] =
        [from.texts("conflict.lines")?, from.texts("conflict.json")?, from.texts("conflict.text")?];
    let texts = Texts::new([&lines, &json, &text]);
    if let Err(error) = &texts {
        let key = match () {
            () if lines.contains(&error.pattern) => "conflict.lines",
            () if json.contains(&error.pattern) => "conflict.json",
            () => "conflict.text",
        };
        from.refuse(key, &format!("a list of patterns, such as [\"notes/**/*.md\"]: {error}"))?;
    }
    Ok(texts.unwrap_or_default())
}

fn groups(from: &mut Reader) -> Result<Groups, ConfigError> {
    let groups = from.last("group", |setting: &Setting| {
        let definitions =
            Vec::<Group>::deserialize(setting.value.clone().into_deserializer()).map_err(|error| {
                refused("group", setting, &format!("groups as [[group]]: {}", error.message()))
            })?;
        Groups::new(definitions)
            .map_err(|source| ConfigError::Groups { place: setting.source.clone(), source })
    })?;
    groups.ok_or(ConfigError::Missing { key: "group" })
}
