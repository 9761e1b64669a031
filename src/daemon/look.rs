//! A look at the vault while nothing can be sent, so that the status and the outbox name the files
//! that were saved offline or in a pause. It decides nothing and asks the remote for nothing.

use super::{Course, Daemon};
use crate::memory;

impl Daemon {
    /// Looks, and shows the files that wait.
    pub(super) async fn look(&mut self, course: &mut Course) {
        self.heart.works();
        let looked = self.engine.look_around(&self.watcher()).await;
        memory::give_back();
        let now = self.clock.monotonic();
        self.board.update(|status| status.progress = None);
        match &looked {
            Ok(report) => {
                course.scheduler.looked(now, report.again());
                self.board.update(|status| {
                    status.pending.up = self.engine.unsent_amount();
                    if let Some(standing) = report.standing {
                        (status.files, status.bytes) = (standing.here.files, standing.here.bytes);
                        status.conflicts = standing.conflicts;
                    }
                });
                // The cycle announces the troubles, not the look.
                let _passing = self.note_waiting(course, &looked, now);
            }
            Err(error) => {
                // The cycle fails for the same reason, and reports it.
                tracing::debug!(%error, "the vault could not be looked at");
                course.scheduler.looked(now, true);
            }
        }
    }
}
