//! Progress as a verb shows it: that of its own cycle, or the daemon's.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use super::output::{self, Output};
use cogzy_client::documents::{ProgressDocument, StatusDocument};
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::sync::{Pace, Progress, Watcher};

/// The time between two questions for the daemon's progress.
const LOOK: Duration = Duration::from_millis(200);

/// A watcher that shows a cycle's progress on an output.
pub struct ProgressWatcher {
    on: Mutex<(output::ProgressDisplay, Pace)>,
    clock: SystemClock,
}

impl ProgressWatcher {
    /// A watcher that shows progress on `output`.
    #[must_use]
    pub fn on(output: &Output) -> Self {
        Self { on: Mutex::new((output.progress(), Pace::default())), clock: SystemClock::new() }
    }

    /// Shows the daemon's progress.
    fn document(&self, document: &ProgressDocument) {
        let mut on = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        on.0.show(output::ProgressStep::from(document));
    }
}

impl Watcher for ProgressWatcher {
    fn progress(&self, progress: Progress) {
        let mut on = self.on.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        let (left, rate) = (on.1.left(&progress, now), on.1.rate(&progress, now));
        on.0.show(output::ProgressStep { progress, left, rate });
    }
}

/// Shows the daemon's progress until the answer to `asked` is there.
///
/// # Errors
/// Errors of the answer.
pub async fn through_daemon<T>(
    socket: &Path,
    output: &Output,
    asked: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, Failure> {
    let shown = ProgressWatcher::on(output);
    let mut asked = std::pin::pin!(asked);
    loop {
        tokio::select! {
            answer = &mut asked => return Ok(answer?),
            () = tokio::time::sleep(LOOK) => {
                // Progress is only for the eye: the answer itself tells its errors.
                let status: Result<StatusDocument, _> = socket::get(socket, "/v1/status").await;
                if let Some(progress) = status.ok().and_then(|status| status.progress) {
                    shown.document(&progress);
                }
            }
        }
    }
}
