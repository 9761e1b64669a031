//! The configuration as the program uses it: plain values, each already checked.
//! `config/default.toml` describes the keys for the user.

use std::path::PathBuf;
use std::time::Duration;

use cogzy_engine::model::{Groups, Rules, Texts};

/// All settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The vault's folder, absolute.
    pub vault: PathBuf,
    /// The remote's URL; none stands for a folder beside the vault.
    pub remote: Option<String>,
    /// The user whose vault it is: a name that is safe in a key of the bucket.
    pub user_id: String,
    /// The name of this device.
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
    /// `[notify]`
    pub notify: NotifySettings,
    /// `[log]`
    pub log: LogSettings,
}

/// Settings for reaching a bucket.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The store's URL.
    pub endpoint: Option<String>,
    /// The region's name.
    pub region: Option<String>,
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// True if the bucket stands in the path; without it, true as soon as there is an endpoint.
    pub path_style: Option<bool>,
    /// True where the store may be reached without encryption over a network that is not private.
    pub insecure: bool,
    /// The number of requests that run at once.
    pub concurrency: usize,
    /// The longest time to make a connection.
    pub connect_timeout: Duration,
    /// The longest time in which a request moves no byte.
    pub operation_timeout: Duration,
}

/// Settings for the timing of cycles.
#[derive(Debug, Clone)]
pub struct SyncSettings {
    /// The time that a file must have stood still.
    pub settle: Duration,
    /// The shortest time between two batches.
    pub batch_interval: Duration,
    /// The number of changed files that starts a cycle early.
    pub batch_files: usize,
    /// The time between two polls of the remote.
    pub poll_interval: Duration,
    /// The same, for a while after a change.
    pub poll_interval_active: Duration,
    /// The longest time between two polls where nothing has changed for hours.
    pub poll_interval_idle: Duration,
    /// The time between two scans of the whole vault.
    pub rescan_interval: Duration,
    /// The time after which every file is hashed again.
    pub rehash_interval: Duration,
    /// The time that a group may be invalid before that is an error.
    pub max_invalid: Duration,
    /// The fate of an index that was not rebuilt for that long.
    pub stale_index: StaleIndex,
}

/// The fate of a group whose derived members were not computed again in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleIndex {
    /// It is saved without them.
    LeaveOut,
    /// It waits.
    Hold,
}

/// Settings for looking into the files of groups.
#[derive(Debug, Clone)]
pub struct ValidationSettings {
    /// The part of a matrix that is searched for numbers that are not finite.
    pub finite: Finite,
}

/// A part of a matrix to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finite {
    /// All of it.
    Full,
    /// Blocks, evenly spread.
    Sample,
}

/// Settings for repeating what failed.
#[derive(Debug, Clone)]
pub struct RetrySettings {
    /// The waits after the first, second … failure; not empty, the last one repeats.
    pub schedule: Vec<Duration>,
    /// The number of failures that only a person can cure after which it is tried less often.
    pub max_attempts: u32,
}

/// Filters of the synced files: patterns as in .gitignore, not compiled yet.
#[derive(Debug, Clone)]
pub struct FilterSettings {
    /// Only these paths, unless it is empty.
    pub include: Vec<String>,
    /// Never these paths.
    pub exclude: Vec<String>,
}

/// Settings for files that both sides changed.
#[derive(Debug, Clone)]
pub struct ConflictSettings {
    /// The winner.
    pub policy: Policy,
    /// The treatment of two versions of a group of memories.
    pub merge: Merge,
    /// Wishes for merges of memories.
    pub rules: Rules,
    /// Single files that merge line by line.
    pub texts: Texts,
}

/// A winner of conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The remote; the local version is kept.
    RemoteWins,
}

/// A treatment of two versions of a group of memories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// They are merged; a memory that both changed waits for a person.
    Entries,
    /// They wait for a person.
    Off,
}

/// Limits from which on the user is asked first.
#[derive(Debug, Clone)]
pub struct SafetySettings {
    /// The share of the files that may be deleted at once, in percent.
    pub max_delete_percent: u8,
    /// The share of its size that a group may lose at once, in percent.
    pub max_shrink_percent: u8,
    /// The number of files below which deleting or changing all of them is no accident.
    pub min_files: usize,
}

/// Settings for keeping old data.
#[derive(Debug, Clone)]
pub struct RetentionSettings {
    /// True if old data is removed from the bucket at all.
    pub prune: bool,
    /// The number of generations that are kept.
    pub keep_generations: u64,
    /// The number of days for which every generation is kept.
    pub keep_days: u32,
    /// The number of days that files stay in the local trash.
    pub trash_days: u32,
    /// The time that data stays after nothing needs it any more.
    pub grace: Duration,
    /// The place of the bytes of small saves.
    pub small_saves: SmallSaves,
}

/// The place of the bytes of small saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmallSaves {
    /// The commit, which stays.
    Commit,
    /// An object, which a prune deletes.
    Pack,
}

/// Limits in bytes per second; none is no limit.
#[derive(Debug, Clone)]
pub struct LimitSettings {
    /// The limit of uploads.
    pub upload: Option<u64>,
    /// The limit of downloads.
    pub download: Option<u64>,
}

/// A program with its arguments for each kind of event; empty for none.
#[derive(Debug, Clone)]
pub struct HookSettings {
    /// For a conflict.
    pub on_conflict: Vec<String>,
    /// For a hold.
    pub on_hold: Vec<String>,
    /// For an error.
    pub on_error: Vec<String>,
    /// The longest time that one of them may take.
    pub timeout: Duration,
    /// The program that computes again what merges have left out.
    pub rebuild: Vec<String>,
    /// The longest time that it may take.
    pub rebuild_timeout: Duration,
}

impl HookSettings {
    /// True if there is nothing to run.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.on_conflict.is_empty()
            && self.on_hold.is_empty()
            && self.on_error.is_empty()
            && self.rebuild.is_empty()
    }
}

/// Settings of notices to the person at this machine.
#[derive(Debug, Clone)]
pub struct NotifySettings {
    /// True if conflicts, holds and a day without a sync are told on the desktop.
    pub desktop: bool,
}

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The level.
    pub level: tracing::Level,
    /// True if the daemon also writes a file.
    pub file: bool,
}
