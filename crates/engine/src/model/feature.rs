//! Features: parts of a commit that readers of the first format do not know.
//!
//! Formats rise by need. A commit without features is written in format 1, byte for byte as every
//! version wrote it. A commit with features is of format 2 and names each, with the version that
//! can read it, so that an older reader can say what it lacks. A device tells the features that it
//! reads in a name below `devices/`, and in each commit of format 2. A writer uses a feature once
//! every device that committed lately reads it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Commit, CommitKind, DeviceId, VaultPath};

/// The newest format of commits, checkpoints and headers that this program reads.
pub const FORMAT: u32 = 2;
/// Format of objects that use no feature.
pub const FIRST_FORMAT: u32 = 1;

/// A part of a commit that not every reader knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// A small pack in the commit that adds it.
    Enclosed,
    /// Contents that the bucket has lost, and that a commit gives up.
    GivenUp,
    /// A database and what stands beside it are one file. No commit says which files are databases,
    /// so a writer names this feature where it sends one.
    Sqlite,
    /// Paths that Unix can store and Windows cannot, such as `16:51.json`.
    UnixNames,
}

impl Feature {
    /// All features that this program reads, by name.
    pub const ALL: [Self; 4] = [Self::Enclosed, Self::GivenUp, Self::Sqlite, Self::UnixNames];

    /// Its name in commits.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enclosed => "enclosed",
            Self::GivenUp => "given-up",
            Self::Sqlite => "sqlite",
            Self::UnixNames => "unix-names",
        }
    }

    /// The first version of this program that reads it.
    #[must_use]
    pub const fn since(self) -> &'static str {
        match self {
            Self::Enclosed | Self::GivenUp | Self::Sqlite | Self::UnixNames => "0.2",
        }
    }

    /// The features that a commit's own parts tell that it uses.
    #[must_use]
    pub fn of(commit: &Commit) -> BTreeSet<Self> {
        let kept = commit.kept.iter().flat_map(|conflict| &conflict.files).map(|file| &file.path);
        let mut paths = commit.changes.iter().map(|change| &change.path).chain(kept);
        let gives_up = !commit.prune.given_up.is_empty() || commit.kind == CommitKind::GiveUp;
        let given_up = gives_up.then_some(Self::GivenUp);
        let unix_names = (!paths.all(VaultPath::is_portable)).then_some(Self::UnixNames);
        let enclosed = commit.enclosed.is_some().then_some(Self::Enclosed);
        enclosed.into_iter().chain(given_up).chain(unix_names).collect()
    }

    /// The feature as a commit names it.
    #[must_use]
    pub fn need(self) -> Need {
        Need { feature: self.name().to_owned(), since: self.since().to_owned() }
    }
}

/// A feature that a reader must know, as a commit names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Name of the feature.
    pub feature: String,
    /// First version of this program that reads it.
    pub since: String,
}

impl Need {
    /// True if this program reads the feature.
    #[must_use]
    pub fn is_known(&self) -> bool {
        Feature::ALL.iter().any(|feature| feature.name() == self.feature)
    }
}

/// Formats and features that a device reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reads {
    /// Newest format.
    pub format: u32,
    /// Names of the features, sorted.
    pub features: BTreeSet<String>,
}

impl Reads {
    /// Formats and features that this program reads.
    #[must_use]
    pub fn ours() -> Self {
        let features = Feature::ALL.iter().map(|feature| feature.name().to_owned()).collect();
        Self { format: FORMAT, features }
    }

    /// Formats and features that every version reads.
    #[must_use]
    pub const fn first() -> Self {
        Self { format: FIRST_FORMAT, features: BTreeSet::new() }
    }

    /// True if the device reads a feature.
    #[must_use]
    pub fn knows(&self, feature: Feature) -> bool {
        self.features.contains(feature.name())
    }
}

/// Old data that a device wants to be kept in the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keeps {
    /// Number of newest generations.
    pub generations: u64,
    /// Time within which all that stood is kept, in seconds.
    pub seconds: u64,
}

impl Keeps {
    /// The wish that satisfies both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let Self { generations, seconds } = other;
        Self { generations: self.generations.max(generations), seconds: self.seconds.max(seconds) }
    }

    /// The word for it, which older programs take for a feature that they do not know.
    fn word(self) -> String {
        format!("{KEEP}{}-{}", self.generations, self.seconds)
    }

    fn parse(word: &str) -> Option<Self> {
        let (generations, seconds) = word.strip_prefix(KEEP)?.split_once('-')?;
        Some(Self { generations: generations.parse().ok()?, seconds: seconds.parse().ok()? })
    }
}

/// Start of the word that says what a device wants to be kept.
const KEEP: &str = "keep-";

/// A device's word of itself below `devices/`: all of it stands in the name of an empty object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The device.
    pub device: DeviceId,
    /// Formats and features that it reads.
    pub reads: Reads,
    /// Old data that it wants to be kept. Absent if its program does not say so yet.
    pub keeps: Option<Keeps>,
}

impl Announcement {
    /// Name of the object: `<device>-<format>-<features, joined by +>`, among them
    /// `keep-<generations>-<seconds>`.
    #[must_use]
    pub fn name(&self) -> String {
        let keeps = self.keeps.map(Keeps::word);
        let features: BTreeSet<&str> = self.reads.features.iter().chain(&keeps).map(String::as_str).collect();
        let features: Vec<&str> = features.into_iter().collect();
        format!("{}-{}-{}", self.device, self.reads.format, features.join("+"))
    }

    /// Parses the name that [`Announcement::name`] makes. None for any other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (device, rest) = name.split_once('-')?;
        let (format, features) = rest.split_once('-')?;
        let (keeps, features): (Vec<&str>, Vec<&str>) =
            features.split('+').filter(|word| !word.is_empty()).partition(|word| word.starts_with(KEEP));
        let keeps = keeps.into_iter().filter_map(Keeps::parse).reduce(Keeps::and);
        let features = features.into_iter().map(str::to_owned).collect();
        let reads = Reads { format: format.parse().ok()?, features };
        Some(Self { device: device.parse().ok()?, reads, keeps })
    }
}

#[cfg(test)]
mod tests;
