//! A daily prune, if the configuration wants one.
//!
//! It follows a successful cycle, after which this device knows the state of the remote. A prune
//! that fails is repeated after an hour. Like a cycle it is broken off by a pause and by a stop,
//! and a later one goes on.

use super::Daemon;
use cogzy_engine::sync::Interrupt;

impl Daemon {
    /// Prunes, if a prune is due.
    pub(super) async fn prune_daily(&mut self) {
        if !self.prune || !self.engine.prune_is_due() {
            return;
        }
        self.heart.works();
        let (watcher, interrupt) = (self.watcher(), Interrupt::new(self.interrupt.subscribe()));
        let pruned = tokio::select! {
            pruned = self.engine.prune(false, &watcher) => pruned,
            () = interrupt.wanted() => return,
        };
        self.board.update(|status| status.progress = None);
        // Noted before it is logged: a program that reads the log may end this process.
        self.engine.note_prune(pruned.is_ok());
        match &pruned {
            Ok(pruned) => tracing::info!(
                kept_from = pruned.kept_from,
                marked = pruned.marked.objects,
                freed = pruned.freed.objects,
                freed_bytes = pruned.freed.bytes,
                "pruned"
            ),
            Err(error) => tracing::warn!(%error, next = error.next(), "the prune was not finished"),
        }
    }
}
