//! Output for the user: the only place that prints.
//!
//! Standard output carries the answer: text, or with `--json` one document and nothing else. Errors
//! and progress go to standard error. A reader may stop reading (`| head`): that is no error and
//! makes no noise. An answer that could not be written for another reason must not pass for a whole
//! one, so that error is kept for [`Output::finish`].
//!
//! Names come from buckets and other devices: none of their control characters reaches a terminal.

use std::fmt;
use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use super::again::Again;
use super::documents::{ErrorDetails, FailureDocument};
use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;

use cogzy_client::documents::SchemaVersion;

mod live;
mod progress;
mod units;

pub use live::Live;
pub use progress::{ProgressDisplay, ProgressStep};
pub use units::{about, count, duration, part, size, thousands};

/// The widest cell that widens its column.
const WIDEST: usize = 40;

/// The meaning of a line, shown as its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Good.
    Good,
    /// Needs attention.
    Warning,
    /// Wrong.
    Bad,
}

/// A line and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StyledLine {
    /// The meaning, if the line has one.
    pub tone: Option<Tone>,
    /// The words.
    pub text: String,
}

impl StyledLine {
    /// A line of plain words.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self { tone: None, text: text.into() }
    }

    /// A line of words with a meaning.
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
    again: Again,
    failed: Option<io::Error>,
    closed: bool,
    /// True once a document was printed.
    answered: bool,
}

impl Output {
    /// The output of this process; `no_color` comes from the environment.
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
            again: global.again.clone(),
            failed: None,
            closed: false,
            answered: false,
        }
    }

    /// Prints a line of the answer.
    pub fn line(&mut self, text: impl fmt::Display) {
        self.print(None, &text);
    }

    /// Prints a line of the answer, with its meaning.
    pub fn toned(&mut self, tone: Tone, text: impl fmt::Display) {
        self.print(Some(tone), &text);
    }

    /// Prints a line of the answer, with the meaning that it carries.
    pub fn styled(&mut self, line: &StyledLine) {
        self.print(line.tone, &line.text);
    }

    /// True if standard error is to be coloured.
    #[must_use]
    pub const fn colors_errors(&self) -> bool {
        self.colors_errors
    }

    /// True if a person reads standard error.
    #[must_use]
    pub const fn is_watched(&self) -> bool {
        self.terminal && !self.json && !self.quiet
    }

    /// True while the output still has a reader, as far as is known.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        !self.closed && self.failed.is_none()
    }

    /// Lines that change in place if standard output is a terminal, and follow each other
    /// otherwise.
    #[must_use]
    pub fn live(&self) -> Live {
        if self.json || !io::stdout().is_terminal() { Live::plain() } else { Live::drawn() }
    }

    /// Prints a line that the user can do without: nothing with `--quiet`.
    pub fn note(&mut self, text: impl fmt::Display) {
        if !self.quiet {
            self.print(None, &text);
        }
    }

    /// Prints rows of the answer, in columns.
    pub fn table<const N: usize>(&mut self, rows: &[[String; N]]) {
        let rows: Vec<[String; N]> =
            rows.iter().map(|row| row.each_ref().map(|cell| plain(cell, false))).collect();
        let widths: [usize; N] = std::array::from_fn(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            // One long cell must not push all others out of sight.
            cells.map(|cell| cell.chars().count()).filter(|width| *width <= WIDEST).max().unwrap_or_default()
        });
        for row in &rows {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            self.print(None, &line.trim_end());
        }
    }

    /// Prints the answer as a JSON document: nothing without `--json`.
    pub fn json(&mut self, document: &impl Serialize) {
        if self.json {
            self.answered = true;
            let text = serde_json::to_string(document).map_err(io::Error::other);
            let written = text.and_then(|text| writeln!(self.out, "{text}"));
            self.keep(written);
        }
    }

    /// Flushes an answer without an end. True while it still has a reader.
    pub fn flush(&mut self) -> bool {
        let flushed = self.out.flush();
        self.keep(flushed);
        self.is_read()
    }

    /// True with `--json`: then no user is there to answer questions.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a whole text of ours as it is; with `--json` the `document` that holds it.
    pub fn whole(&mut self, text: &str, document: &impl Serialize) {
        if self.json {
            return self.json(document);
        }
        let written = self.out.write_all(text.as_bytes());
        self.keep(written);
    }

    /// Prints an error and the next command, if there is one.
    pub fn error(&mut self, message: impl fmt::Display, next: Option<&str>) {
        let clean = |text: &str, lines| plain(&self.again.addressed(text), lines);
        let mut text = format!("error: {}\n", clean(&message.to_string(), true));
        if let Some(next) = next {
            text.push_str(&format!("next:  {}\n", clean(next, false)));
        }
        let written = self.err.write_all(text.as_bytes());
        self.keep(written);
    }

    /// Prints the error that a verb ends with; with `--json` also as a document, where the verb has
    /// not printed one.
    pub fn failure(&mut self, failure: &Failure) {
        let Failure { exit, message, next, path, .. } = failure;
        if !self.answered {
            let next = next.as_deref().map(|next| self.again.addressed(next).into_owned());
            self.json(&FailureDocument {
                schema: SchemaVersion,
                error: ErrorDetails {
                    kind: exit.name(),
                    message,
                    path: path.as_deref(),
                    next: next.as_deref(),
                },
            });
        }
        self.error(message, next.as_deref());
    }

    /// Prints the parser's message on a command line that cannot be used, or that asks for help.
    /// With `json` what cannot be used is a document, too.
    ///
    /// # Errors
    /// If it could not be written, unless the reader has gone.
    pub fn usage(error: &clap::Error, json: bool) -> io::Result<()> {
        let document = if json && error.use_stderr() { usage_document(error) } else { Ok(()) };
        match document.and_then(|()| error.print()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }

    /// Progress of a long action: a bar on a terminal, else a line now and then; nothing with
    /// `--quiet`.
    #[must_use]
    pub fn progress(&self) -> ProgressDisplay {
        match (self.quiet, self.terminal) {
            (true, _) => ProgressDisplay::none(),
            (false, true) => ProgressDisplay::bar(),
            (false, false) => ProgressDisplay::lines(Box::new(io::stderr())),
        }
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// The first error of any write, except for a reader that has gone.
    pub fn finish(mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.keep(flushed);
        self.failed.map_or(Ok(()), Err)
    }

    /// Writes `lines` in the place of the last `drawn` lines on the terminal.
    fn redraw(&mut self, drawn: usize, lines: &[String]) {
        let back = if drawn > 0 { format!("\u{1b}[{drawn}A\r\u{1b}[J") } else { String::new() };
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let written = self.out.write_all((back + &text).as_bytes()).and_then(|()| self.out.flush());
        self.keep(written);
    }

    fn print(&mut self, tone: Option<Tone>, text: &dyn fmt::Display) {
        if self.json {
            return;
        }
        let text = self.painted(tone, &text.to_string());
        let written = writeln!(self.out, "{text}");
        self.keep(written);
    }

    /// One clean line, in its colour where there is colour.
    fn painted(&self, tone: Option<Tone>, text: &str) -> String {
        // A line is a line: a name must not make two of it.
        let text = plain(&self.again.addressed(text), false);
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

fn usage_document(error: &clap::Error) -> io::Result<()> {
    let text = error.to_string();
    let message = text.trim_start_matches("error: ").trim_end();
    let next = Some("cogzy-vault --help");
    let error = ErrorDetails { kind: Exit::Usage.name(), message, path: None, next };
    let document = serde_json::to_string(&FailureDocument { schema: SchemaVersion, error });
    writeln!(io::stdout(), "{}", document.map_err(io::Error::other)?)
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
    /// The colour's number in ECMA-48.
    const fn code(self) -> u8 {
        match self {
            Self::Good => 32,
            Self::Warning => 33,
            Self::Bad => 31,
        }
    }
}

/// `text` with every character that would move the cursor or change colours as `\u{…}`.
fn plain(text: &str, may_have_lines: bool) -> String {
    // Characters that turn the direction of writing can make a name look like another.
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
