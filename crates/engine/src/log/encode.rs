//! Encodes objects with a head: [`super::frame`] says how they look, and reads them.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use super::LogError;
use super::frame::{AT_HAND, ObjectKind, may_unpack_to};
use crate::model::Digest;

const ZSTD_LEVEL: i32 = 3;

/// Encodes a value, and returns its plaintext's digest and the object's bytes. The digest depends
/// only on the value. The bytes do so only without `compress`, because another version of zstd may
/// compress differently. Refuses what is longer than any reader takes.
pub(super) fn encode(
    kind: ObjectKind,
    format: u32,
    value: &impl Serialize,
    compress: bool,
) -> Result<(Digest, Vec<u8>), LogError> {
    if compress {
        let packed = pack(head(kind, format, 1), value);
        let (plain, bytes) = packed.map_err(|error| LogError::corrupt("a new object", error))?;
        check_length("its plaintext", plain.length, kind.unpacked())?;
        // A reader takes nothing that is packed too well.
        if plain.length <= may_unpack_to(bytes.len() - HEAD) {
            check_length("it", bytes.len() as u64, kind.stored())?;
            return Ok((plain.hasher.finalize().into(), bytes));
        }
    }
    let mut bytes = head(kind, format, 0);
    serde_json::to_writer(&mut bytes, value).map_err(|error| LogError::corrupt("a new object", error))?;
    let plain = bytes.get(HEAD..).unwrap_or_default();
    check_length("its plaintext", plain.len() as u64, kind.unpacked())?;
    check_length("it", bytes.len() as u64, kind.stored())?;
    Ok((Digest::of(plain), bytes))
}

/// Bytes before the payload.
const HEAD: usize = 9;

fn head(kind: ObjectKind, format: u32, codec: u8) -> Vec<u8> {
    let format = u16::try_from(format).unwrap_or(u16::MAX).to_le_bytes();
    [kind.magic(), format.as_slice(), &[codec]].concat()
}

/// Packs the plaintext of a value behind `head`, without ever holding it whole.
fn pack(head: Vec<u8>, value: &impl Serialize) -> io::Result<(Passed, Vec<u8>)> {
    let to = zstd::Encoder::new(head, ZSTD_LEVEL)?;
    let passing = Passing { to, passed: Passed { hasher: blake3::Hasher::new(), length: 0 } };
    let mut writer = BufWriter::with_capacity(AT_HAND, passing);
    serde_json::to_writer(&mut writer, value)?;
    let Passing { to, passed } = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok((passed, to.finish()?))
}

/// Digest and length of a plaintext that has passed.
struct Passed {
    hasher: blake3::Hasher,
    length: u64,
}

struct Passing<W> {
    to: W,
    passed: Passed,
}

impl<W: Write> Write for Passing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.passed.hasher.update(bytes.get(..written).unwrap_or_default());
        self.passed.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn check_length(what: &str, bytes: u64, most: u64) -> Result<(), LogError> {
    if bytes <= most {
        return Ok(());
    }
    Err(LogError::TooMuch { why: format!("{what} would have {bytes} bytes, and {most} is the most") })
}
