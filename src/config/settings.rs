//! The configuration as the program uses it: plain values, each already checked. What the keys mean to a user is described in
//! `config/default.toml`.

use std::path::PathBuf;
use std::time::Duration;

use cogzy_engine::model::Groups;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub struct Config {
    /// The vault's folder, absolute.
    pub vault: PathBuf,
    /// The remote's URL; none stands for a folder beside the vault.
    pub remote: Option<String>,
    /// Whose vault it is: a name that is safe in a key.
    pub user_id: String,
    /// What this device is called.
    pub device_name: String,
    /// `[s3]`
    pub s3: S3Settings,
    /// `[sync]`
    pub sync: SyncSettings,
    /// `[validation]`
    pub validation: ValidationSettings,
    /// `[retry]`
    pub retry: RetrySettings,
    /// `[filter]`
    pub filter: FilterSettings,
    /// `[[group]]`, in the order of definition.
    pub groups: Groups,
    /// `[conflict]`
    pub conflict: ConflictSettings,
    /// `[safety]`
    pub safety: SafetySettings,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[hooks]`
    pub hooks: HookSettings,
    /// `[log]`
    pub log: LogSettings,
}

/// How to reach a bucket.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The store's URL.
    pub endpoint: Option<String>,
    /// The region's name.
    pub region: Option<String>,
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// Whether the bucket stands in the path; none: as soon as there is an endpoint.
    pub path_style: Option<bool>,
    /// How many requests are under way at once.
    pub concurrency: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How long one request may take in all.
    pub operation_timeout: Duration,
}

/// How the time is divided.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// How long a file must have stood still.
    pub settle: Duration,
    /// The shortest time between two batches.
    pub batch_interval: Duration,
    /// How many changed files start a cycle early.
    pub batch_files: usize,
    /// How often the remote is asked for news.
    pub poll_interval: Duration,
    /// The same, for a while after something happened.
    pub poll_interval_active: Duration,
    /// How often the whole vault is scanned.
    pub rescan_interval: Duration,
    /// How often every file is hashed again.
    pub rehash_interval: Duration,
    /// How long a group may be invalid before that is an error.
    pub max_invalid: Duration,
}

/// How closely the files of groups are looked into.
#[derive(Debug, Clone)]
pub struct ValidationSettings {
    /// How much of a matrix is searched for what is no finite number.
    pub finite: Finite,
}

/// How much of a matrix is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finite {
    /// All of it.
    Full,
    /// Blocks, evenly spread.
    Sample,
}

/// When to try again.
#[derive(Debug, Clone)]
pub struct RetrySettings {
    /// The waits after the first, second … failure; not empty, the last one repeats.
    pub schedule: Vec<Duration>,
    /// After how many permanent failures to stop.
    pub max_attempts: u32,
}

/// What is synced: patterns as in .gitignore, not yet compiled.
#[derive(Debug, Clone)]
pub struct FilterSettings {
    /// Only this, unless it is empty.
    pub include: Vec<String>,
    /// Not this.
    pub exclude: Vec<String>,
}

/// What happens where both sides changed.
#[derive(Debug, Clone)]
pub struct ConflictSettings {
    /// Who wins.
    pub policy: Policy,
}

/// Who wins a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The remote does; the local version is kept.
    RemoteWins,
}

/// When to ask first.
#[derive(Debug, Clone)]
pub struct SafetySettings {
    /// How many of the files may be deleted at once, in percent.
    pub max_delete_percent: u8,
    /// By how much a group may shrink at once, in percent.
    pub max_shrink_percent: u8,
    /// Below this many files, deleting or changing all of them is no accident.
    pub min_files: usize,
}

/// What is kept, and for how long.
#[derive(Debug, Clone)]
pub struct RetentionSettings {
    /// Whether old data is removed from the bucket at all.
    pub prune: bool,
    /// How many generations are kept.
    pub keep_generations: u64,
    /// For how many days every generation is kept.
    pub keep_days: u32,
    /// For how many days files stay in the local trash.
    pub trash_days: u32,
    /// How long data stays after nothing needs it any more.
    pub grace: Duration,
}

/// Bytes per second; none is no limit.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// Towards the remote.
    pub upload: Option<u64>,
    /// From the remote.
    pub download: Option<u64>,
}

/// A program with its arguments for each kind of event; empty is none.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// A conflict was found.
    pub on_conflict: Vec<String>,
    /// A change is held.
    pub on_hold: Vec<String>,
    /// Something went wrong.
    pub on_error: Vec<String>,
    /// How long one of them may take.
    pub timeout: Duration,
}

/// What is written to the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// How much.
    pub level: tracing::Level,
    /// Whether the daemon also writes a file.
    pub file: bool,
}
