//! Lines that change in place for a user who watches. Without a terminal they follow each other.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::progress::{BAR, ProgressStep};
use super::{Output, StyledLine};

/// Lines that change. The last ones stay when this is dropped: they are the answer.
pub struct Live(Option<Drawn>);

struct Drawn {
    all: MultiProgress,
    text: ProgressBar,
    bar: Option<ProgressBar>,
}

impl Live {
    pub(super) const fn plain() -> Self {
        Self(None)
    }

    pub(super) fn drawn() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let text = all.add(ProgressBar::new(0));
        text.set_style(style("{msg}"));
        Self(Some(Drawn { all, text, bar: None }))
    }

    /// Shows `lines`, and a bar for `step`. If they cannot be drawn in place, they are written if
    /// they have `changed`.
    pub fn show(
        &mut self,
        output: &mut Output,
        changed: bool,
        lines: &[StyledLine],
        step: Option<ProgressStep>,
    ) {
        let Some(drawn) = &mut self.0 else {
            if changed {
                lines.iter().for_each(|line| output.styled(line));
            }
            return;
        };
        let text: Vec<String> = lines.iter().map(|line| output.painted(line.tone, &line.text)).collect();
        drawn.text.set_message(text.join("\n"));
        match step {
            Some(step) => {
                let (done, total) = step.bar();
                let all = &drawn.all;
                let bar = drawn.bar.get_or_insert_with(|| {
                    let bar = all.add(ProgressBar::new(0));
                    bar.set_style(style(BAR));
                    bar
                });
                bar.set_length(total);
                bar.set_position(done);
            }
            None => {
                if let Some(bar) = drawn.bar.take() {
                    bar.finish_and_clear();
                    drawn.all.remove(&bar);
                }
            }
        }
        drawn.text.tick();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(drawn) = &self.0 {
            drawn.text.abandon();
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
