//! Progress of a long action, on standard error. It is only for the eye: nothing depends on its
//! being written.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units::{about, part, size, thousands};
use cogzy_client::documents::ProgressDocument;
use cogzy_engine::sync::{self, Phase};

/// The number of files after which a line is written without a terminal.
const FILES_PER_LINE: usize = 100;
/// The template of the bar and its message.
const BAR: &str = "{bar:12} {wide_msg}";

/// The progress of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressStep {
    /// The progress.
    pub progress: sync::Progress,
    /// The time that the rest takes, if that can be told.
    pub left: Option<Duration>,
    /// Bytes a second in this phase, if that can be told.
    pub rate: Option<u64>,
}

/// `uploading 45/100 · 12.4/80 MB · 1.2 MB/s · 3 min left`
impl fmt::Display for ProgressStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sync::Progress { phase, files_done, files_total, bytes_done, bytes_total } = self.progress;
        let doing = match phase {
            Phase::Scan => "reading",
            Phase::Upload => "uploading",
            Phase::Download => "downloading",
            Phase::Apply => "applying",
            Phase::Delete => "deleting",
            Phase::Weigh => "weighing",
            Phase::Verify => "checking",
        };
        write!(f, "{doing} {}/{}", thousands(files_done as u64), thousands(files_total as u64))?;
        if bytes_total > 0 {
            write!(f, " · {}", part(bytes_done, bytes_total))?;
        }
        if let Some(rate) = self.rate {
            write!(f, " · {}/s", size(rate))?;
        }
        match self.left.filter(|left| !left.is_zero()) {
            Some(left) => write!(f, " · {} left", about(left)),
            None => Ok(()),
        }
    }
}

impl From<&ProgressDocument> for ProgressStep {
    fn from(document: &ProgressDocument) -> Self {
        Self {
            progress: document.progress,
            left: document.seconds_left.map(Duration::from_secs),
            rate: document.bytes_per_second,
        }
    }
}

impl ProgressStep {
    /// The done and the total amount of the bar: bytes if they are known, so that a large file
    /// moves it too.
    pub(super) const fn bar(&self) -> (u64, u64) {
        let progress = self.progress;
        if progress.bytes_total > 0 {
            (progress.bytes_done, progress.bytes_total)
        } else {
            (progress.files_done as u64, progress.files_total as u64)
        }
    }
}

/// Progress of a long action. The drawing vanishes when this is dropped; drop it before anything
/// else is printed.
pub struct ProgressDisplay(DisplayKind);

enum DisplayKind {
    None,
    Bar(ProgressBar),
    Lines { to: Box<dyn Write + Send>, last: Option<(Phase, usize, bool)> },
}

impl ProgressDisplay {
    pub(super) const fn none() -> Self {
        Self(DisplayKind::None)
    }

    pub(super) fn bar() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self(DisplayKind::Bar(bar))
    }

    pub(super) fn lines(to: Box<dyn Write + Send>) -> Self {
        Self(DisplayKind::Lines { to, last: None })
    }

    /// Shows the progress.
    pub fn show(&mut self, step: ProgressStep) {
        let sync::Progress { phase, files_done, files_total, .. } = step.progress;
        match &mut self.0 {
            DisplayKind::None => {}
            // There is nothing to show while there is nothing to do.
            DisplayKind::Bar(_) | DisplayKind::Lines { .. } if files_total == 0 => {}
            DisplayKind::Bar(bar) => {
                let (done, all) = step.bar();
                bar.set_length(all);
                bar.set_position(done);
                bar.set_message(step.to_string());
            }
            DisplayKind::Lines { to, last } => {
                let (done, all) = step.bar();
                let now = (phase, files_done / FILES_PER_LINE, done >= all);
                if *last != Some(now) {
                    // The reader may have gone; the action itself reports its end.
                    let _ = writeln!(to, "{step}");
                    *last = Some(now);
                }
            }
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        if let DisplayKind::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl fmt::Debug for ProgressDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressDisplay")
    }
}
