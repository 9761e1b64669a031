//! The local folder: what stands in it, and how it is changed without losing anything.
//!
//! [`scan()`] tells what is there, [`Stage`] takes what is to come, [`apply()`] puts it in place by renames, [`recover`]
//! finishes what a crash cut short, [`trash`] keeps what was displaced, [`transact()`] writes for other programs, [`Watch`] hints that it is worth scanning again.
//!
//! Invariants:
//! - Every effect on the disk goes through [`crate::fs::Fs`]; locks and the watcher, which no simulation needs, do not.
//! - Nothing is written outside the root, no symbolic link is followed below it.
//! - What cannot be read is a [`Problem`], never absence; a missing root or marker is an error, never an empty scan.
//! - A visible file is replaced only by a rename, after another look at it, and what it held is kept.
//!
//! Synchronous: the caller runs it on a blocking thread. What is decided to happen, the remote, and what was agreed are
//! other modules' business; plain data comes in and goes out. What a crash leaves behind is told by each file.

mod apply;
mod apply_id;
mod filter;
mod journal;
mod layout;
mod lock;
mod marker;
mod mounts;
mod names;
mod never;
mod probe;
mod read;
mod record;
mod scan;
mod stage;
mod together;
mod transact;
pub mod trash;
pub mod validate;
mod watch;

pub use apply::{
    Applied, ApplyError, ApplyItem, ApplyPlan, ApplyStep, Displaced, Recovered, Seen, apply, apply_unless,
    conclude, recover,
};
pub use apply_id::{ApplyId, ApplyIdError};
pub use filter::{Filter, FilterError, Verdict};
pub use journal::{JournalError, Keeping, Purpose, Staged};
pub use layout::{APP_FOLDERS, Layout};
pub use lock::{FileLock, wait_for};
pub use marker::{MARKER_FORMAT, Marker, MarkerError};
pub use mounts::{Mounts, Presence};
pub use names::Names;
pub use probe::{Abilities, abilities};
pub use read::{FileChanged, StableReader, hash_stable, open_stable};
pub use record::{Answer, Written};
pub use scan::{Found, Problem, ProblemKind, Scan, ScanError, ScanOptions, ScanProgress, members, scan};
pub use stage::{Stage, StageError, StageWriter};
pub use together::{Together, forget_together, together};
pub use transact::{TransactError, Transaction, current, settle_transaction, transact};
pub use watch::{Watch, WatchError, WatchEvent};
