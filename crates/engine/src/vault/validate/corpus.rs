//! Counting the entries of a corpus without holding it: an array, an object with a member of the corpus's name, or a map by id.
//!
//! The whole file is read and must be one JSON document in UTF-8. Nothing of it is kept, so a file of a gigabyte needs a buffer.

use std::io;

use super::Unfit;
use super::block::Block;
use super::json::{Json, Wrong};
use super::text::Text;

/// How many entries the corpus has; `key` is the member that holds them, in an object that has it.
pub(super) fn count(block: Block<'_>, key: &str) -> Result<u64, Unfit> {
    let mut json = Json::new(Text::new(block));
    let counted = corpus(&mut json, key);
    if let Some(at) = json.text().wrong() {
        return Err(not_utf8(at));
    }
    counted.map_err(|wrong| match wrong {
        Wrong::Io(error) => Unfit::Io(error),
        Wrong::Ended => ended(block),
        Wrong::At(at, why) => match line_and_column(block, at) {
            Ok((line, column)) => Unfit::broken(format!("{why} at byte {at} (line {line} column {column})")),
            Err(error) => Unfit::Io(error),
        },
    })
}

pub(super) fn not_utf8(at: u64) -> Unfit {
    Unfit::broken(format!("it is not UTF-8 at byte {at}"))
}

pub(super) fn ended(block: Block<'_>) -> Unfit {
    Unfit::broken(format!("it ends at byte {}, inside of what it says", block.len()))
}

/// Where people find a byte, counted from 1. Reads the file up to there once more.
fn line_and_column(block: Block<'_>, at: u64) -> io::Result<(u64, u64)> {
    let mut before = block.stream(0, at);
    let (mut lines, mut column) = (1, 1);
    loop {
        let part = before.next_block()?;
        if part.is_empty() {
            return Ok((lines, column));
        }
        for line in part.split_inclusive(|byte| *byte == b'\n') {
            column += line.len() as u64;
            if line.ends_with(b"\n") {
                (lines, column) = (lines + 1, 1);
            }
        }
    }
}

fn corpus(json: &mut Json<'_>, key: &str) -> Result<u64, Wrong> {
    let count = match json.token()? {
        b'[' => json.array()?,
        b'{' => {
            let mut inside = None;
            let members = json.object(key, |json, named| {
                if named {
                    inside = Some(entries(json, key)?);
                    return Ok(());
                }
                json.skip()
            })?;
            inside.unwrap_or(members)
        }
        _ => return json.wrong(format!("expected an array, an object with `{key}`, or a map by id")),
    };
    match json.token() {
        Err(Wrong::Ended) => Ok(count),
        Ok(_) => json.wrong("trailing characters"),
        Err(other) => Err(other),
    }
}

fn entries(json: &mut Json<'_>, key: &str) -> Result<u64, Wrong> {
    match json.token()? {
        b'[' => json.array(),
        b'{' => json.object("", |json, _| json.skip()),
        _ => json.wrong(format!("expected an array or an object in `{key}`")),
    }
}

#[cfg(test)]
mod tests;
