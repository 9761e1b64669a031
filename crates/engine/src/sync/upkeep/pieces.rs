//! A prune in pieces: what one of them does, and what comes of all.

use std::collections::BTreeSet;
use std::time::Duration;

use super::prune::{Objects, Pruned};
use super::repack::{MOST_BYTES, Worn};
use crate::model::PackId;
use crate::sync::{Advice, SyncError};

/// Bytes of chunks that one piece moves, unless a single pack has more.
const PIECE_BYTES: u64 = 32 << 20;

/// A prune, which may be done in pieces.
#[derive(Debug, Default)]
pub struct PruneRun {
    /// Time for which a piece deletes; none where all is done at once.
    pub(super) piece: Option<Duration>,
    /// Bytes of chunks that were moved.
    moved: u64,
    /// Packs that were to be deleted. Each is tried once: one that is locked would keep a piece
    /// from coming to the others.
    pub(super) tried: BTreeSet<PackId>,
    /// First refusal of the remote that something else need not wait for.
    refused: Option<SyncError>,
    /// Result of the pieces so far.
    pruned: Option<Pruned>,
}

impl PruneRun {
    /// A prune in pieces, each of which deletes for some `time`.
    #[must_use]
    pub fn in_pieces(time: Duration) -> Self {
        Self { piece: Some(time), ..Self::default() }
    }

    /// The result, once there is no more to do.
    #[must_use]
    pub fn result(self) -> Pruned {
        self.pruned.unwrap_or_default()
    }

    /// Goes on after a deletion that the remote has refused: what else goes need not wait for it.
    /// The run ends with the first refusal.
    ///
    /// # Errors
    /// If the remote is out of reach, where everything else would fail too.
    pub(super) fn go_on_after<T, E>(&mut self, done: Result<T, E>) -> Result<(), SyncError>
    where
        SyncError: From<E>,
    {
        match done.map_err(SyncError::from) {
            Ok(_) => {}
            Err(error) if error.advice() == Advice::Offline => return Err(error),
            Err(error) => {
                tracing::info!(%error, "the prune goes on without this deletion");
                self.refused.get_or_insert(error);
            }
        }
        Ok(())
    }

    /// The end of the last piece: there is no more to do.
    ///
    /// # Errors
    /// The first refusal.
    pub(super) fn end(&mut self) -> Result<bool, SyncError> {
        self.refused.take().map_or(Ok(false), Err)
    }

    /// Worn packs to move now, and true if others are left for the next piece.
    pub(super) fn share(&mut self, worn: Vec<Worn>) -> (Vec<Worn>, bool) {
        if self.piece.is_none() {
            return (worn, false);
        }
        let (all, mut share, before) = (worn.len(), Vec::new(), self.moved);
        for worn in worn {
            let bytes: u64 = worn.live.iter().map(|slot| u64::from(slot.stored)).sum();
            let is_first = self.moved == before;
            if self.moved >= MOST_BYTES || !is_first && self.moved + bytes > before + PIECE_BYTES {
                break;
            }
            self.moved += bytes;
            share.push(worn);
        }
        let more = share.len() < all && self.moved < MOST_BYTES;
        (share, more)
    }

    /// Adds the result of a piece.
    pub(super) fn add(&mut self, piece: Pruned) {
        let Some(before) = self.pruned.take() else {
            self.pruned = Some(piece);
            return;
        };
        let sum = |one: Objects, more: Objects| Objects {
            objects: one.objects + more.objects,
            bytes: one.bytes + more.bytes,
        };
        self.pruned = Some(Pruned {
            marked: sum(before.marked, piece.marked),
            repacked: sum(before.repacked, piece.repacked),
            freed: sum(before.freed, piece.freed),
            dry_run: before.dry_run,
            all: before.all,
            needed: before.needed,
            ..piece
        });
    }
}
