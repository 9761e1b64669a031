//! A state in this device's own cache, in a form that is read ten times as fast as a checkpoint's
//! lines.
//!
//! It is a sequence of records. Files and packs, which are most of a large state, have fields of
//! fixed length; everything else is a line as in a checkpoint. All numbers are little-endian. Only
//! this device writes and reads it, and its digest stands in the proof beside it. A version that
//! does not know the form finds no state and replays the commits.

use std::io::{self, BufRead, ErrorKind, Read};

use super::line::{Line, Past};
use super::parts::PartWriter;
use super::{LogError, Snapshot};
use crate::content::{codec_byte, codec_of};
use crate::model::{ChunkSlot, Digest, Entry, PackId, PackInfo, VaultPath};

/// Kinds of records.
const LINE: u8 = 0;
const FILE: u8 = 1;
const PACK: u8 = 2;
/// Slots of a pack for which there is room before they come.
const SLOTS: u32 = 1 << 16;

/// Writes a state and its past.
pub(super) fn write(snapshot: &Snapshot, past: &Past, to: &mut PartWriter<'_>) -> Result<(), LogError> {
    let mut record = Vec::new();
    for line in snapshot.lines(past) {
        record.clear();
        match line {
            Line::File(path, entry) => file(&path, &entry, &mut record),
            Line::Pack(pack) => packed(&pack, &mut record),
            line => {
                let bytes = line.bytes()?;
                record.push(LINE);
                record.extend((bytes.len() as u64).to_le_bytes());
                record.extend(bytes);
            }
        }
        to.take(&record);
    }
    Ok(())
}

fn file(path: &VaultPath, entry: &Entry, record: &mut Vec<u8>) {
    let Entry { digest, size, mtime_ms, mode, rows } = entry;
    record.push(FILE);
    // A path has 1,024 bytes at most.
    record.extend(u16::try_from(path.as_str().len()).unwrap_or(u16::MAX).to_le_bytes());
    record.extend(path.as_str().as_bytes());
    record.extend(digest.as_bytes());
    record.extend(size.to_le_bytes());
    record.extend(mtime_ms.to_le_bytes());
    record.extend(mode.to_le_bytes());
    record.push(u8::from(rows.is_some()));
    record.extend(rows.unwrap_or_default().to_le_bytes());
}

fn packed(pack: &PackInfo, record: &mut Vec<u8>) {
    let PackInfo { id, digest, size, chunks } = pack;
    record.push(PACK);
    record.extend(id.as_bytes());
    record.extend(digest.as_bytes());
    record.extend(size.to_le_bytes());
    record.extend((chunks.len() as u64).to_le_bytes());
    for ChunkSlot { id, offset, stored, len, codec } in chunks {
        record.extend(id.as_bytes());
        for number in [offset, stored, len] {
            record.extend(number.to_le_bytes());
        }
        record.push(codec_byte(*codec));
    }
}

/// Reads a state into `snapshot`, and its past into `past`.
pub(super) fn read(from: &mut impl BufRead, snapshot: &mut Snapshot, past: &mut Past) -> Result<(), String> {
    let mut text = Vec::new();
    while !from.fill_buf().map_err(told)?.is_empty() {
        let [kind] = take(from).map_err(told)?;
        let line = match kind {
            LINE => {
                long(from, &mut text).map_err(told)?;
                serde_json::from_slice(&text).map_err(|error| error.to_string())?
            }
            FILE => {
                text.resize(usize::from(u16::from_le_bytes(take(from).map_err(told)?)), 0);
                from.read_exact(&mut text).map_err(told)?;
                let path = str::from_utf8(&text).map_err(|error| error.to_string())?;
                let path = VaultPath::new(path).map_err(|error| error.to_string())?;
                Line::File(path, entry(from).map_err(told)?)
            }
            PACK => Line::Pack(Box::new(pack(from).map_err(told)?)),
            kind => return Err(format!("it has a record of kind {kind}, which this version does not know")),
        };
        snapshot.take_in(line, past)?;
    }
    Ok(())
}

fn entry(from: &mut impl Read) -> io::Result<Entry> {
    let digest = Digest::from_bytes(take(from)?);
    let (size, mtime_ms) = (u64::from_le_bytes(take(from)?), i64::from_le_bytes(take(from)?));
    let mode = u32::from_le_bytes(take(from)?);
    let ([known], rows) = (take(from)?, u64::from_le_bytes(take(from)?));
    Ok(Entry { digest, size, mtime_ms, mode, rows: (known == 1).then_some(rows) })
}

fn pack(from: &mut impl Read) -> io::Result<PackInfo> {
    let (id, digest) = (PackId::from_bytes(take(from)?), Digest::from_bytes(take(from)?));
    let (size, count) = (u64::from_le_bytes(take(from)?), u64::from_le_bytes(take(from)?));
    let mut chunks = Vec::with_capacity(usize::try_from(count.min(u64::from(SLOTS))).unwrap_or(0));
    for _ in 0..count {
        let id = Digest::from_bytes(take(from)?);
        let [offset, stored, len] = [take(from)?, take(from)?, take(from)?].map(u32::from_le_bytes);
        let [codec] = take(from)?;
        let codec = codec_of(codec).ok_or(ErrorKind::InvalidData)?;
        chunks.push(ChunkSlot { id, offset, stored, len, codec });
    }
    Ok(PackInfo { id, digest, size, chunks })
}

/// Reads a length and as many bytes.
fn long(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let len = u64::from_le_bytes(take(from)?);
    bytes.clear();
    // No room is made for bytes that do not come.
    match from.by_ref().take(len).read_to_end(bytes)? as u64 == len {
        true => Ok(()),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn told(error: io::Error) -> String {
    error.to_string()
}
