//! Faults that are put in on purpose, to see whether the simulation finds them: docs/TESTING.md has the table. Without the feature
//! `planted-bugs` none of this is in the program.

/// A mistake that somebody could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A file is replaced without looking whether it is still what the plan saw.
    SkipRecheck = 1,
    /// A commit is made although a pack is not there.
    CommitBeforePacks,
    /// A folder that cannot be listed counts as empty.
    EmptyListing,
    /// No scan: what the watcher has not told has not happened.
    TrustTheWatcher,
    /// Renames begin without a journal.
    NoJournal,
    /// In a conflict the newer file wins.
    WallClock,
    /// The losing version is not kept.
    DropTheLoser,
    /// What was just fetched is sent again.
    Echo,
    /// A commit whose outcome is unknown is made anew.
    NewCommitOnRetry,
    /// Polls look only above the head.
    OnlyAboveTheHead,
    /// A link in a parent is followed: neither does the engine look, nor does the disk refuse.
    FollowLinks,
    /// Whatever folder the root's path leads to is taken for the one that was opened.
    TrustTheRoot,
    /// A pack is marked however young it is.
    MarkYoungPacks,
    /// What is marked is swept by the next prune.
    SweepAtOnce,
    /// Packs are deleted as soon as nothing needs them, without a commit that sweeps them.
    DeleteUnswept,
    /// What stood when the oldest kept generation began does not count as needed.
    ForgetTheOldest,
    /// New commits rely on marked packs.
    ReuseMarked,
    /// A device whose commit is void goes on from there.
    KeepVoid,
}

impl Bug {
    /// Those that any run may find.
    pub const SYNC: [Self; 12] = [
        Self::SkipRecheck,
        Self::CommitBeforePacks,
        Self::EmptyListing,
        Self::TrustTheWatcher,
        Self::NoJournal,
        Self::WallClock,
        Self::DropTheLoser,
        Self::Echo,
        Self::NewCommitOnRetry,
        Self::OnlyAboveTheHead,
        Self::FollowLinks,
        Self::TrustTheRoot,
    ];

    /// Those that need old data.
    pub const PRUNE: [Self; 6] = [
        Self::MarkYoungPacks,
        Self::SweepAtOnce,
        Self::DeleteUnswept,
        Self::ForgetTheOldest,
        Self::ReuseMarked,
        Self::KeepVoid,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::sync::atomic::{AtomicU8, Ordering};

    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Puts one in, for the whole process; none takes it out.
    pub fn plant(bug: Option<super::Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
    }

    /// Whether it is in.
    pub fn planted(bug: super::Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{plant, planted};

/// Whether it is in: never.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn planted(_: Bug) -> bool {
    false
}
