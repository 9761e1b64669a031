//! Deliberate mistakes that the simulation must find: docs/TESTING.md has the table. Without the
//! feature `planted-bugs` they are not part of the program.

/// Mistake that a programmer could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Bug {
    /// A file is replaced without a check that it is still as the plan saw it.
    SkipRecheck = 1,
    /// A commit is made although a pack is missing.
    CommitBeforePacks,
    /// An unreadable folder counts as empty.
    EmptyListing,
    /// The scan is skipped, and only changes reported by the watcher count.
    TrustTheWatcher,
    /// Renames begin without a journal.
    NoJournal,
    /// The newer file wins a conflict.
    WallClock,
    /// The losing version is not kept.
    DropTheLoser,
    /// A file that was just fetched is sent again.
    Echo,
    /// A commit of unknown outcome is made anew.
    NewCommitOnRetry,
    /// Polls list only the commits above the head.
    OnlyAboveTheHead,
    /// Ages of things to delete follow the machine's clock.
    LocalClock,
    /// A loss is judged by its own commit alone.
    OwnBatchAlone,
    /// A link in a parent is followed: neither does the engine look, nor does the disk refuse.
    FollowLinks,
    /// Whatever folder the root's path leads to is taken for the one that was opened.
    TrustTheRoot,
    /// A folder whose disk is not mounted is taken for an empty one.
    ForgetMounts,
    /// A file that replaces another has the mode that it has on the remote.
    ReplaceTheMode,
    /// A pack of any age is marked.
    MarkYoungPacks,
    /// Marked packs are swept by the next prune.
    SweepAtOnce,
    /// Unneeded packs are deleted at once, without a commit that sweeps them.
    DeleteUnswept,
    /// The state at the start of the oldest kept generation does not count as needed.
    ForgetTheOldest,
    /// New commits rely on marked packs.
    ReuseMarked,
    /// A device whose commit is void continues from there.
    KeepVoid,
    /// A prune keeps no generation before the one that the newest commit names.
    TakeForeignHorizon,
    /// A chunk is read from the first of its places, and from no other.
    FirstPlaceOnly,
    /// A checkpoint is taken although no commit says that this is its state.
    BelieveCheckpoints,
    /// A packed object may unpack to any length.
    NoCapOnUnpacking,
    /// A look at the places that a watcher has named leaves out the rest of a group.
    HalfAGroup,
    /// A vector of a new memory is looked for at the beginning, and not beside it.
    FirstRow,
    /// Nothing counts as deleted in a merge of memories.
    ForgetDeletions,
    /// Two versions came from the one that the losing one replaced last.
    LastReplaced,
    /// A memory that loses a clash is not kept.
    DropTheClashes,
    /// Many files count as durable before their disk was asked.
    NoFlush,
    /// A push is cut into commits wherever one is full, through what belongs together.
    CutThrough,
    /// A checkpoint is taken although one of its lines stands in it more than once.
    TakeRepeatedLines,
    /// A file that a listing has left out is not looked at again, and a link hides nothing where
    /// its own name is not synced.
    TrustTheListing,
    /// The last recipe that somebody claims for a content counts for a prune, and no other.
    LastClaim,
}

impl Bug {
    /// Mistakes that any run may find.
    pub const SYNC: [Self; 20] = [
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
        Self::LocalClock,
        Self::OwnBatchAlone,
        Self::FollowLinks,
        Self::TrustTheRoot,
        Self::ForgetMounts,
        Self::ReplaceTheMode,
        Self::HalfAGroup,
        Self::NoFlush,
        Self::CutThrough,
        Self::TrustTheListing,
    ];

    /// Mistakes that only show where memories are merged.
    pub const MERGE: [Self; 4] =
        [Self::FirstRow, Self::ForgetDeletions, Self::LastReplaced, Self::DropTheClashes];

    /// Mistakes that only show where somebody writes to the bucket who is no device.
    pub const BUCKET: [Self; 6] = [
        Self::TakeForeignHorizon,
        Self::FirstPlaceOnly,
        Self::BelieveCheckpoints,
        Self::TakeRepeatedLines,
        Self::LastClaim,
        Self::NoCapOnUnpacking,
    ];

    /// Mistakes that only show with old data.
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

    /// Plants a mistake for the whole process. `None` removes it.
    pub fn plant(bug: Option<super::Bug>) {
        PLANTED.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
    }

    /// True if the mistake is planted.
    pub fn planted(bug: super::Bug) -> bool {
        PLANTED.load(Ordering::Relaxed) == bug as u8
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{plant, planted};

/// True if the mistake is planted: never, without the feature.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn planted(_: Bug) -> bool {
    false
}
