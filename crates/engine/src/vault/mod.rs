//! The local folder: its files, and the ways to change them without losing anything.
//!
//! [`scan()`] reads the folder, [`Stage`] takes new files, [`apply()`] puts them in place by
//! renames, [`recover`] finishes an apply that a crash cut short, [`trash`] keeps displaced files,
//! [`transact()`] writes for other programs, and [`Watch`] hints that a scan is due.
//!
//! Invariants:
//! - Every effect on the disk goes through [`crate::fs::Fs`]; locks and the watcher, which no
//!   simulation needs, do not.
//! - Nothing is written outside the root, and no symbolic link is followed below it.
//! - A name that cannot be read is a [`Problem`], never absence; a missing root or marker is an
//!   error, never an empty scan.
//! - A visible file is replaced only by a rename, after another look at it, and its old bytes are
//!   kept. A database is replaced in one transaction of its own library, and its old state is kept.
//!
//! Synchronous: the caller runs it on a blocking thread. Other modules decide what happens, and
//! know the remote and the agreed state; plain data comes in and goes out. Each file tells what a
//! crash leaves behind.

mod apply;
mod apply_id;
mod database;
mod filter;
mod journal;
mod layout;
mod lock;
mod marker;
mod mounts;
mod names;
mod never;
mod own;
mod pins;
mod probe;
mod read;
mod record;
mod scan;
mod spelling;
mod stage;
mod together;
mod transact;
pub mod trash;
pub mod validate;
mod watch;

#[cfg(test)]
pub(crate) use apply::tests::disk as apply_disk;
pub use apply::{
    Applied, ApplyError, ApplyItem, ApplyPlan, ApplyStep, Displaced, Recovered, Seen, apply, apply_unless,
    conclude, conclude_pull, recover,
};
pub use apply_id::{ApplyId, ApplyIdError};
pub use database::Snapshots;
pub(crate) use database::is_database;
pub use filter::{Filter, FilterError, Verdict};
pub use journal::{JournalError, Keeping, Purpose, Staged};
pub use layout::{APP_FOLDERS, Layout};
pub use lock::{ApplyTurn, FileLock};
pub use marker::{MARKER_FORMAT, Marker, MarkerError};
pub use mounts::{Mounts, Presence};
pub use names::Names;
pub use probe::{Abilities, abilities, names_held};
pub(crate) use read::hash_file;
pub use read::{FileChanged, StableReader, hash_stable, open_stable};
pub use record::{Answer, Written, forget_answer};
pub use scan::{
    Found, Problem, ProblemKind, Scan, ScanError, ScanOptions, ScanProgress, look_again, members, scan,
    scan_places,
};
pub use spelling::Spellings;
pub use stage::{Stage, StageError, StageWriter};
pub use together::{Together, forget_together, together};
pub use transact::{
    Making, OpenFile, Share, TransactError, Transaction, answered, check_id, current, open_as, open_current,
    settle_transaction, take_lock, transact, transact_made,
};
pub use watch::{Watch, WatchError, WatchEvent};
