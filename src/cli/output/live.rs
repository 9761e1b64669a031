//! Lines that change in place for a user who watches. Without a terminal they follow each other.
//!
//! Each drawing goes back to the first line of the one before, and clears what stood there. Lines
//! are broken here where the terminal is narrower than they are: one that it breaks by itself would
//! be two, and the first would stay.

use super::progress::ProgressStep;
use super::{Output, StyledLine};

/// The width of a terminal that does not tell it.
const USUAL_WIDTH: usize = 80;
/// The number of cells of a bar.
const CELLS: u64 = 12;

/// Lines that change. The last ones stay when this is dropped: they are the answer.
#[derive(Debug)]
pub struct Live(Option<Drawn>);

#[derive(Debug, Default)]
struct Drawn {
    /// The number of lines of the last drawing.
    lines: usize,
}

impl Live {
    pub(super) const fn plain() -> Self {
        Self(None)
    }

    pub(super) fn drawn() -> Self {
        Self(Some(Drawn::default()))
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
        let width = width();
        let bar = step.map(|step| StyledLine::plain(bar(step)));
        let painted = |line: &StyledLine| {
            let parts = broken(&line.text, width).into_iter();
            parts.map(|part| output.painted(line.tone, &part)).collect::<Vec<_>>()
        };
        let lines: Vec<String> = lines.iter().chain(&bar).flat_map(painted).collect();
        output.redraw(drawn.lines, &lines);
        drawn.lines = lines.len();
    }
}

/// The width of the terminal that standard output is.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(USUAL_WIDTH)
}

/// A line in parts that a terminal of `width` columns holds, broken between words where there are
/// any. One column is left for the cursor.
fn broken(text: &str, width: usize) -> Vec<String> {
    let most = width.saturating_sub(1).max(1);
    let (mut rest, mut parts): (Vec<char>, _) = (text.chars().collect(), Vec::new());
    while rest.len() > most {
        let space = rest.iter().take(most + 1).rposition(|c| *c == ' ').filter(|at| *at > 0);
        let tail = rest.split_off(space.unwrap_or(most));
        parts.push(rest.into_iter().collect());
        rest = tail.into_iter().skip_while(|c| *c == ' ').collect();
    }
    parts.push(rest.into_iter().collect());
    parts
}

fn bar(step: ProgressStep) -> String {
    let (done, all) = step.bar();
    let full = done.min(all).saturating_mul(CELLS).checked_div(all).unwrap_or_default();
    (0..CELLS).map(|cell| if cell < full { '█' } else { '░' }).collect()
}

#[cfg(test)]
mod tests;
