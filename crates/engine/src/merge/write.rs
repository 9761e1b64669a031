//! Writes the result: the corpus text by text, and each file of rows run by run.
//!
//! Entries keep their very bytes, and the white space between them is that of the version that
//! stands, so that little of the file is new.

use std::io::{self, Write};
use std::ops::Range;

use super::document::Document;
use super::frame::Around;
use super::rows::{self, Rows, Run};
use super::table::{Pick, Source};
use super::{Unmerged, Version};

/// Writes the corpus.
pub(super) fn corpus<'a, 'd>(
    texts: impl ExactSizeIterator<Item = &'a Source>,
    [here, there]: [&'d Document<'d>; 2],
    around: &Around,
    out: &mut dyn Write,
) -> Result<(), Unmerged> {
    let is_empty = texts.len() == 0;
    let gaps = Gaps::of(here, there)?;
    let mut out = Copied::to(out);
    out.write(around.before.as_bytes())?;
    out.write(opening(there))?;
    for (count, text) in texts.enumerate() {
        match text {
            _ if count == 0 => out.write(gaps.first.as_bytes())?,
            Source::There(at) | Source::Built(at, _) if *at > 0 => out.copy(there, gap(there, *at))?,
            _ => out.write(gaps.between.as_bytes())?,
        }
        match text {
            Source::Here(at) => out.copy(here, span(here, *at))?,
            Source::There(at) => out.copy(there, span(there, *at))?,
            Source::Built(at, value) => {
                let whole = span(there, *at);
                let before = there.entries.get(*at).map_or(whole.start, |entry| entry.value.start);
                out.copy(there, whole.start..before)?;
                out.write(value.as_bytes())?;
            }
            Source::New(text) => out.write(text.as_bytes())?,
        }
    }
    if !is_empty {
        out.write(gaps.last.as_bytes())?;
    }
    out.write(closing(there))?;
    Ok(out.write(around.after.as_bytes())?)
}

/// Parts of documents, copied one after the other: those that stand beside each other as one.
struct Copied<'w, 'd> {
    out: &'w mut dyn Write,
    /// What comes next.
    next: Option<(&'d Document<'d>, Range<u64>)>,
    buffer: Vec<u8>,
}

impl<'w, 'd> Copied<'w, 'd> {
    fn to(out: &'w mut dyn Write) -> Self {
        Self { out, next: None, buffer: Vec::new() }
    }

    fn copy(&mut self, from: &'d Document<'d>, span: Range<u64>) -> io::Result<()> {
        match &mut self.next {
            Some((last, before)) if last.version == from.version && before.end == span.start => {
                before.end = span.end;
            }
            _ => {
                self.flush()?;
                self.next = Some((from, span));
            }
        }
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(text)
    }

    /// Copies what was to come next.
    fn flush(&mut self) -> io::Result<()> {
        let Some((from, span)) = self.next.take() else { return Ok(()) };
        from.block().copy(span, &mut self.buffer, self.out)
    }
}

/// Writes the entries at these places, as they are, into a document of their own, beside these
/// members.
pub(super) fn some(
    places: &[usize],
    members: &[String],
    of: &Document<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let key = of.frame.key.as_deref().filter(|_| !members.is_empty());
    if let Some(key) = key {
        out.write_all(b"{")?;
        members.iter().try_for_each(|member| write!(out, "\n  {member},"))?;
        write!(out, "\n  {}: ", serde_json::Value::from(key))?;
    }
    out.write_all(opening(of))?;
    let mut copied = Copied::to(out);
    for (count, at) in places.iter().enumerate() {
        copied.write(if count == 0 { b"\n  " } else { b",\n  " })?;
        copied.copy(of, span(of, *at))?;
    }
    copied.write(b"\n")?;
    copied.write(closing(of))?;
    copied.write(if key.is_some() { b"\n}\n" } else { b"\n" })
}

fn opening(document: &Document<'_>) -> &'static [u8] {
    match document.shape {
        super::document::Shape::List => b"[",
        super::document::Shape::Map => b"{",
    }
}

fn closing(document: &Document<'_>) -> &'static [u8] {
    match document.shape {
        super::document::Shape::List => b"]",
        super::document::Shape::Map => b"}",
    }
}

/// Text between entries where the version that stands does not say it.
struct Gaps {
    first: String,
    between: String,
    last: String,
}

impl Gaps {
    fn of(here: &Document<'_>, there: &Document<'_>) -> Result<Self, Unmerged> {
        let model = if there.entries.is_empty() { here } else { there };
        let two = if there.entries.len() > 1 { there } else { here };
        let (Some(first), Some(last)) = (model.entries.first(), model.entries.last()) else {
            // Nothing says it.
            let [first, between, last] = ["\n  ", ",\n  ", "\n"].map(ToOwned::to_owned);
            return Ok(Self { first, between, last });
        };
        let opened = model.text(&(model.inside.start..first.text.start))?;
        let between = if two.entries.len() > 1 { two.text(&gap(two, 1))? } else { format!(",{opened}") };
        Ok(Self { first: opened, between, last: model.text(&(last.text.end..model.inside.end))? })
    }
}

/// Text before an entry that is not the first.
fn gap(document: &Document<'_>, at: usize) -> Range<u64> {
    let before = at.checked_sub(1).and_then(|before| document.entries.get(before));
    let start = before.map_or(document.inside.start, |entry| entry.text.end);
    start..span(document, at).start
}

fn span(document: &Document<'_>, at: usize) -> Range<u64> {
    document.entries.get(at).map_or(0..0, |entry| entry.text.clone())
}

/// Writes a file of rows: those of `picks`, in the form of the version that stands.
pub(super) fn rows(
    picks: &[Pick],
    [here, there]: [&Rows<'_>; 2],
    ids: Option<&Vec<i64>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let runs = picks.chunk_by(next).filter_map(|run| {
        let (version, first) = run.first()?.row;
        Some(Run::Of(if version == Version::Here { here } else { there }, first, run.len()))
    });
    rows::write(there, picks.len() as u64, runs, ids, out)
}

/// True if the row of `other` follows that of `one` in the same file.
fn next(one: &Pick, other: &Pick) -> bool {
    (one.row.0, one.row.1 + 1) == other.row
}
