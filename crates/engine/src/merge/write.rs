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

/// Bytes copied at once.
const AT_ONCE: u64 = 1 << 20;

/// Writes the corpus.
pub(super) fn corpus<'a>(
    texts: impl ExactSizeIterator<Item = &'a Source>,
    [here, there]: [&Document<'_>; 2],
    around: &Around,
    out: &mut dyn Write,
) -> Result<(), Unmerged> {
    let is_empty = texts.len() == 0;
    let gaps = Gaps::of(here, there)?;
    out.write_all(around.before.as_bytes())?;
    out.write_all(opening(there))?;
    for (count, text) in texts.enumerate() {
        match text {
            _ if count == 0 => out.write_all(gaps.first.as_bytes())?,
            Source::There(at) | Source::Built(at, _) if *at > 0 => copy(there, &gap(there, *at), out)?,
            _ => out.write_all(gaps.between.as_bytes())?,
        }
        match text {
            Source::Here(at) => copy(here, &span(here, *at), out)?,
            Source::There(at) => copy(there, &span(there, *at), out)?,
            Source::Built(at, value) => {
                let whole = span(there, *at);
                let before = there.entries.get(*at).map_or(whole.start, |entry| entry.value.start);
                copy(there, &(whole.start..before), out)?;
                out.write_all(value.as_bytes())?;
            }
            Source::New(text) => out.write_all(text.as_bytes())?,
        }
    }
    if !is_empty {
        out.write_all(gaps.last.as_bytes())?;
    }
    out.write_all(closing(there))?;
    Ok(out.write_all(around.after.as_bytes())?)
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
    for (count, at) in places.iter().enumerate() {
        out.write_all(if count == 0 { b"\n  " } else { b",\n  " })?;
        copy(of, &span(of, *at), out)?;
    }
    out.write_all(b"\n")?;
    out.write_all(closing(of))?;
    out.write_all(if key.is_some() { b"\n}\n" } else { b"\n" })
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

fn copy(document: &Document<'_>, span: &Range<u64>, out: &mut dyn Write) -> io::Result<()> {
    let mut at = span.start;
    let longest = AT_ONCE.min(span.end.saturating_sub(span.start));
    let mut buffer = vec![0; usize::try_from(longest).map_err(io::Error::other)?];
    while at < span.end {
        let wanted = usize::try_from(AT_ONCE.min(span.end - at)).map_err(io::Error::other)?;
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        document.block().fill(part, at)?;
        out.write_all(part)?;
        at += wanted as u64;
    }
    Ok(())
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
