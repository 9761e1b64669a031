//! What the user sees: the only place that prints.
//!
//! Standard output carries what was asked for: text, or with `--json` one document and nothing else. Errors and progress go
//! to standard error. Whoever reads may stop reading (`| head`): that is no error and makes no noise, but an answer that
//! could not be written for any other reason must not pass for a whole one, so it is kept for [`Output::finish`].
//!
//! Names come from buckets and other devices: no control character of theirs reaches a terminal.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::global::Global;

mod live;
mod progress;
mod units;

pub use live::Live;
pub use progress::{ProgressDisplay, ProgressStep};
pub use units::{about, count, duration, part, size, thousands};

/// Cells that are longer widen no column.
const WIDEST: usize = 40;

/// How a line is meant; coloured where there is colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Wants attention.
    Warning,
    /// Is wrong.
    Bad,
}

/// A line, and how it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StyledLine {
    /// How it is meant, if it is more than words.
    pub tone: Option<Tone>,
    /// The words.
    pub text: String,
}

impl StyledLine {
    /// Words.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { tone: None, text: text.into() }
    }

    /// Words with a meaning.
    #[must_use]
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self { tone: Some(tone), text: text.into() }
    }
}

/// Standard output and standard error.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    json: bool,
    quiet: bool,
    color: bool,
    terminal: bool,
    colors_errors: bool,
    failed: Option<io::Error>,
    closed: bool,
}

impl Output {
    /// The output of this process; `no_color` as the environment says.
    #[must_use]
    pub fn of_this_process(global: &Global, no_color: bool) -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            json: global.json,
            quiet: global.quiet,
            color: global.color.on(io::stdout().is_terminal(), no_color),
            terminal: io::stderr().is_terminal(),
            colors_errors: global.color.on(io::stderr().is_terminal(), no_color),
            failed: None,
            closed: false,
        }
    }

    /// A line of what was asked for.
    pub fn line(&mut self, text: impl fmt::Display) {
        self.print(None, &text);
    }

    /// A line of what was asked for, with its meaning.
    pub fn toned(&mut self, tone: Tone, text: impl fmt::Display) {
        self.print(Some(tone), &text);
    }

    /// A line with the meaning that it brings along.
    pub fn styled(&mut self, line: &StyledLine) {
        self.print(line.tone, &line.text);
    }

    /// Whether to colour what goes to standard error.
    #[must_use]
    pub const fn colors_errors(&self) -> bool {
        self.colors_errors
    }

    /// Whether somebody still reads, as far as is known.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        !self.closed && self.failed.is_none()
    }

    /// Lines that are shown in place where standard output is a terminal, and else one after the other.
    #[must_use]
    pub fn live(&self) -> Live {
        if self.json || !io::stdout().is_terminal() { Live::plain() } else { Live::drawn() }
    }

    /// A line that one can do without: nothing with `--quiet`.
    pub fn note(&mut self, text: impl fmt::Display) {
        if !self.quiet {
            self.print(None, &text);
        }
    }

    /// Rows of what was asked for, in columns.
    pub fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        let rows: Vec<[String; N]> =
            rows.iter().map(|row| row.each_ref().map(|cell| plain(cell, false))).collect();
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            // One long cell does not push all that comes after the others out of sight.
            cells.map(|cell| cell.chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or_default()
        });
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            self.print(None, &line.trim_end());
        }
    }

    /// The JSON document that was asked for; nothing without `--json`.
    pub fn json(&mut self, document: &impl Serialize) {
        if self.json {
            let text = serde_json::to_string(document).map_err(io::Error::other);
            let written = text.and_then(|text| writeln!(self.out, "{text}"));
            self.keep(written);
        }
    }

    /// Hands on what was printed until now, for an answer without an end. Whether anybody still reads.
    pub fn flush(&mut self) -> bool {
        let flushed = self.out.flush();
        self.keep(flushed);
        self.is_read()
    }

    /// Whether one JSON document was asked for: nobody is there to answer questions.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a whole text of our own as it is; with `--json` the `document` that holds it.
    pub fn whole(&mut self, text: &str, document: &impl Serialize) {
        if self.json {
            return self.json(document);
        }
        let written = self.out.write_all(text.as_bytes());
        self.keep(written);
    }

    /// What went wrong, and the command to type next, if there is one.
    pub fn error(&mut self, message: impl fmt::Display, next: Option<&str>) {
        let mut text = format!("error: {}\n", plain(&message.to_string(), true));
        if let Some(next) = next {
            text.push_str(&format!("next:  {}\n", plain(next, false)));
        }
        let written = self.err.write_all(text.as_bytes());
        self.keep(written);
    }

    /// What the parser says of a command line that it cannot use, or that asks for help.
    ///
    /// # Errors
    /// Where it could not be written, unless nobody reads any more.
    pub fn usage(error: &clap::Error) -> io::Result<()> {
        match error.print() {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Progress of a long action: a bar on a terminal, else a line now and then; nothing with `--quiet`.
    #[must_use]
    pub fn progress(&self) -> ProgressDisplay {
        match (self.quiet, self.terminal) {
            (true, _) => ProgressDisplay::none(),
            (false, true) => ProgressDisplay::bar(),
            (false, false) => ProgressDisplay::lines(Box::new(io::stderr())),
        }
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The first error of any write, unless it was that nobody reads any more.
    pub fn finish(mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.keep(flushed);
        self.failed.map_or(Ok(()), Err)
    }

    fn print(&mut self, tone: Option<Tone>, text: &dyn fmt::Display) {
        if self.json {
            return;
        }
        let text = self.painted(tone, &text.to_string());
        let written = writeln!(self.out, "{text}");
        self.keep(written);
    }

    /// One line, clean, and in its colour where there is colour.
    fn painted(&self, tone: Option<Tone>, text: &str) -> String {
        // A line is a line: a name must not make two of it.
        let text = plain(text, false);
        match tone.filter(|_| self.color) {
            Some(tone) => format!("\u{1b}[{}m{text}\u{1b}[0m", tone.code()),
            None => text,
        }
    }

    fn keep(&mut self, written: io::Result<()>) {
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Tone {
    /// The colour, as ECMA-48 numbers it.
    const fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Warning => 33,
            Self::Bad => 31,
        }
    }
}

/// `text` without what would move the cursor or change colours: each such character as `\u{…}`.
fn plain(text: &str, may_have_lines: bool) -> String {
    // Besides control characters, those that turn the direction of writing can make a name look like another.
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if (c.is_control() || turns(c)) && !(c == '\n' && may_have_lines) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

#[cfg(test)]
mod tests;
