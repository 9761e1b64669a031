//! Progress of a long action, on standard error. It is for the eye only: nothing depends on whether it could be written.

use std::fmt;
use std::io::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units::{size, thousands};

/// Where there is no terminal, a line is written after so many files.
const FILES_PER_LINE: u64 = 100;

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    /// What is being done: `scan`, `upload`, `download` or `apply`.
    pub phase: &'a str,
    /// How many files are done, and of how many.
    pub files: (u64, u64),
    /// How many bytes are done, and of how many.
    pub bytes: (u64, u64),
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((done, all), (bytes, all_bytes)) = (self.files, self.bytes);
        write!(f, "{}: {} of {} files", self.phase, thousands(done), thousands(all))?;
        if all_bytes > 0 {
            write!(f, ", {} of {}", size(bytes), size(all_bytes))?;
        }
        Ok(())
    }
}

/// Progress of a long action. What it has drawn is gone when it is dropped; drop it before anything else is printed.
pub struct Progress(Kind);

enum Kind {
    None,
    Bar(ProgressBar),
    Lines { to: Box<dyn Write + Send>, last: Option<(String, u64)> },
}

impl Progress {
    pub(super) const fn none() -> Self {
        Self(Kind::None)
    }

    pub(super) fn bar() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let style =
            ProgressStyle::with_template("{wide_bar} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self(Kind::Bar(bar))
    }

    pub(super) fn lines(to: Box<dyn Write + Send>) -> Self {
        Self(Kind::Lines { to, last: None })
    }

    /// Shows how far the action is.
    pub fn show(&mut self, step: Step<'_>) {
        match &mut self.0 {
            Kind::None => {}
            Kind::Bar(bar) => {
                // A large file moves the bar too, where bytes are known.
                let (done, all) = if step.bytes.1 > 0 { step.bytes } else { step.files };
                bar.set_length(all);
                bar.set_position(done);
                bar.set_message(step.to_string());
            }
            // Nothing to do yet is nothing to tell.
            Kind::Lines { .. } if step.files.1 == 0 => {}
            Kind::Lines { to, last } => {
                let now = (step.phase.to_owned(), step.files.0 / FILES_PER_LINE);
                if last.as_ref() != Some(&now) || step.files.0 == step.files.1 {
                    // Nobody may be reading; the action itself says how it ended.
                    let _ = writeln!(to, "{step}");
                    *last = Some(now);
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Kind::Bar(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
