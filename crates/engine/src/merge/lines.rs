//! Merges two versions of a single file line by line.
//!
//! No line is lost that neither side removed, and nothing is guessed: where both sides changed the
//! same lines, or lines beside each other, the file is not merged.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;

use imara_diff::sources::byte_lines;
use imara_diff::{Algorithm, Diff, InternedInput};

use super::{File, Unmerged, Version};
use crate::vault::validate::Block;

/// Longest text that is woven, and longest new part of a log, in bytes: up to three of them are
/// held in memory.
const MAX_TEXT: u64 = 4 << 20;
/// Most lines of it: each takes some tens of bytes beside its own.
const MAX_LINES: usize = 100_000;

/// Writes a log that both sides have added to: the one there, then what is new here. A line that
/// both have added is there once, as often as the side has it that has it more often: so nothing
/// comes twice where a version has been merged before. No `base`: both began it.
///
/// # Errors
/// [`Unmerged::NotAppended`] if a version does not begin with the base, to the end of a line;
/// [`Unmerged::LongText`] if too much is new.
pub fn append(
    base: Option<&File<'_>>,
    here: &File<'_>,
    there: &File<'_>,
    out: &mut dyn Write,
) -> Result<(), Unmerged> {
    let common = base.map_or(0, |base| base.len);
    for (version, side) in [(Version::Here, here), (Version::There, there)] {
        let grows = match base {
            None => true,
            Some(base) => begins_with(side, base)? && ends_a_line(side, common)?,
        };
        if !grows {
            return Err(Unmerged::NotAppended { version });
        }
    }
    let new_there = text(there, common, Version::There)?;
    let new_here = text(here, common, Version::Here)?;
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    byte_lines(&new_there).for_each(|line| *known.entry(said(line)).or_default() += 1);
    let mut stream = Block::new(there.file, there.len).stream(0, there.len);
    loop {
        match stream.next_block()? {
            [] => break,
            block => out.write_all(block)?,
        }
    }
    let mut ended = there.len == 0 || byte(there, there.len - 1)? == b'\n';
    for line in byte_lines(&new_here) {
        match known.get_mut(said(line)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                if !ended {
                    out.write_all(b"\n")?;
                }
                out.write_all(line)?;
                ended = line.ends_with(b"\n");
            }
        }
    }
    Ok(())
}

/// A line without its end.
fn said(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// True if the file begins with all of the other one.
fn begins_with(file: &File<'_>, base: &File<'_>) -> Result<bool, Unmerged> {
    let [mut ours, mut theirs] =
        [file, base].map(|one| Block::new(one.file, one.len).stream(0, base.len.min(one.len)));
    loop {
        let (our, their) = (ours.next_block()?, theirs.next_block()?);
        if our != their || their.is_empty() {
            return Ok(their.is_empty());
        }
    }
}

/// True if a line ends at this place, or nothing stands before or after it. Some programs write the
/// end of a line before the next one.
fn ends_a_line(file: &File<'_>, at: u64) -> Result<bool, Unmerged> {
    Ok(at == 0 || at == file.len || byte(file, at - 1)? == b'\n' || byte(file, at)? == b'\n')
}

fn byte(file: &File<'_>, at: u64) -> Result<u8, Unmerged> {
    Ok(read(file, at..at + 1)?.first().copied().unwrap_or_default())
}

fn read(file: &File<'_>, range: Range<u64>) -> Result<Vec<u8>, Unmerged> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(usize::MAX)];
    Block::new(file.file, file.len).fill(&mut bytes, range.start)?;
    Ok(bytes)
}

/// Writes the base with the changes of both sides.
///
/// # Errors
/// [`Unmerged::SameLines`] if both changed the same lines, or such that touch.
pub fn weave(
    base: Option<&File<'_>>,
    here: &File<'_>,
    there: &File<'_>,
    out: &mut dyn Write,
) -> Result<(), Unmerged> {
    let base = base.map(|base| text(base, 0, Version::Base)).transpose()?.unwrap_or_default();
    let (here, there) = (text(here, 0, Version::Here)?, text(there, 0, Version::There)?);
    for (bytes, version) in [(&base, Version::Base), (&here, Version::Here), (&there, Version::There)] {
        if bytes.contains(&0) {
            return Err(Unmerged::NoText { version });
        }
    }
    Ok(out.write_all(&woven(&base, &here, &there)?)?)
}

/// The file from a place on.
pub(super) fn text(file: &File<'_>, from: u64, version: Version) -> Result<Vec<u8>, Unmerged> {
    let long = || Unmerged::LongText { version, mib: MAX_TEXT >> 20, lines: MAX_LINES };
    if file.len - from > MAX_TEXT {
        return Err(long());
    }
    let bytes = read(file, from..file.len)?;
    if byte_lines(&bytes).count() > MAX_LINES {
        return Err(long());
    }
    Ok(bytes)
}

/// Lines of the base, and what one side has in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Changed<'a> {
    lines: Range<usize>,
    by: &'a [&'a [u8]],
}

fn woven(base: &[u8], here: &[u8], there: &[u8]) -> Result<Vec<u8>, Unmerged> {
    let [base, here, there] = [base, here, there].map(|bytes| byte_lines(bytes).collect::<Vec<&[u8]>>());
    let (ours, theirs) = (changes(&base, &here), changes(&base, &there));
    let mut merged = Vec::new();
    let mut put = |lines: &[&[u8]]| lines.iter().for_each(|line| merged.extend_from_slice(line));
    let (mut ours, mut theirs) = (ours.into_iter().peekable(), theirs.into_iter().peekable());
    let mut at = 0;
    loop {
        let next = match (ours.peek(), theirs.peek()) {
            (None, None) => break,
            (Some(one), Some(other)) if one == other => {
                ours.next();
                theirs.next()
            }
            (Some(one), Some(other)) if touch(&one.lines, &other.lines) => {
                return Err(Unmerged::SameLines { line: one.lines.start.max(other.lines.start) + 1 });
            }
            (Some(one), Some(other)) if other.lines.start < one.lines.start => theirs.next(),
            (None, Some(_)) => theirs.next(),
            _ => ours.next(),
        };
        let Some(Changed { lines, by }) = next else { break };
        put(base.get(at..lines.start).unwrap_or_default());
        put(by);
        at = lines.end;
    }
    put(base.get(at..).unwrap_or_default());
    Ok(merged)
}

/// True if two changes have a line or a border in common: then their order, or their sense
/// together, would be a guess.
const fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

fn changes<'a>(base: &[&[u8]], side: &'a [&'a [u8]]) -> Vec<Changed<'a>> {
    let mut input = InternedInput::default();
    input.update_before(base.iter().copied());
    input.update_after(side.iter().copied());
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let wide = |range: Range<u32>| range.start as usize..range.end as usize;
    let hunks = diff
        .hunks()
        .map(|hunk| Changed { lines: wide(hunk.before), by: side.get(wide(hunk.after)).unwrap_or_default() });
    hunks.collect()
}

#[cfg(test)]
mod tests;
