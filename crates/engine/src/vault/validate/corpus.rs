//! Counts the entries of a corpus without loading it: an array, an object with a member of the
//! corpus's name, or a map by id.
//!
//! The whole file is read and must be one JSON document in UTF-8. Nothing is kept, so a file of a
//! gigabyte needs only a buffer.

use std::io;

use super::ExamineError;
use super::block::Block;
use super::json::{Json, JsonError};
use super::text::Text;

/// Counts the entries of a corpus. `key` is the member that holds them, if the object has it.
pub(super) fn count(block: Block<'_>, key: &str) -> Result<u64, ExamineError> {
    let mut json = Json::new(Text::new(block));
    let counted = corpus(&mut json, key);
    if let Some(at) = json.text().wrong() {
        return Err(not_utf8(at));
    }
    counted.map_err(|wrong| match wrong {
        JsonError::Io(error) => ExamineError::Io(error),
        JsonError::Ended => ended(block),
        JsonError::At(at, why) => match line_and_column(block, at) {
            Ok((line, column)) => {
                ExamineError::broken(format!("{why} at byte {at} (line {line} column {column})"))
            }
            Err(error) => ExamineError::Io(error),
        },
    })
}

pub(super) fn not_utf8(at: u64) -> ExamineError {
    ExamineError::broken(format!("it is not UTF-8 at byte {at}"))
}

pub(super) fn ended(block: Block<'_>) -> ExamineError {
    ExamineError::broken(format!("it ends at byte {}, inside of what it says", block.len()))
}

/// Line and column of a byte, counted from 1. Reads the file up to it again.
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

fn corpus(json: &mut Json<'_>, key: &str) -> Result<u64, JsonError> {
    let count = match json.token()? {
        b'[' => json.array(Json::skip)?,
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
        Err(JsonError::Ended) => Ok(count),
        Ok(_) => json.wrong("trailing characters"),
        Err(other) => Err(other),
    }
}

fn entries(json: &mut Json<'_>, key: &str) -> Result<u64, JsonError> {
    match json.token()? {
        b'[' => json.array(Json::skip),
        b'{' => json.object("", |json, _| json.skip()),
        _ => json.wrong(format!("expected an array or an object in `{key}`")),
    }
}

#[cfg(test)]
mod tests;
