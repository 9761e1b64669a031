//! What is here while nothing can be sent: a look at the vault, so that the status and the outbox name what was saved offline or in
//! a pause. It decides nothing and asks the remote for nothing.

use super::{Course, Daemon};

impl Daemon {
    /// Looks, and shows what waits.
    pub(super) async fn look(&mut self, course: &mut Course) {
        self.heart.works();
        let looked = self.engine.look_around(&self.watcher()).await;
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
                // Which troubles pass by themselves is for the cycle to tell.
                let _passing = self.note_waiting(course, &looked, now);
            }
            Err(error) => {
                // What keeps it from looking keeps the cycle from running, too, and that says so.
                tracing::debug!(%error, "the vault could not be looked at");
                course.scheduler.looked(now, true);
            }
        }
    }
}
