//! Reads numpy's `.npy` files: checks the header and the length, and that every element is a finite
//! number.
//!
//! Versions 1.0, 2.0 and 3.0. Source:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is a Python
//! literal. Only the dictionary that numpy itself writes is accepted, and arrays of objects
//! (pickles) never are.

use super::block::Block;
use super::{ExamineError, Search};
use crate::model::{Facts, Unreal};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Maximum length of a header in bytes, as for numpy's own reader.
const MAX_HEADER: u64 = 10_000;
/// Maximum number of dimensions in numpy.
const MAX_DIMENSIONS: usize = 64;
/// Number of blocks in a sample.
const SAMPLES: u64 = 64;
/// Length of such a block in bytes: whole elements of any type.
const SAMPLE: u64 = 16 << 10;

/// Header of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) dtype: String,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<u64>,
    /// Position of the first element.
    pub(crate) data: u64,
}

/// Reads the facts of an array.
pub(super) fn matrix(block: Block<'_>, search: Search) -> Result<Facts, ExamineError> {
    let header = header(block)?;
    let dtype = Dtype::of(&header.dtype)?;
    let elements = header.shape.iter().try_fold(1_u64, |all, &side| all.checked_mul(side));
    let bytes = elements.and_then(|count| count.checked_mul(dtype.size));
    let there = block.len() - header.data;
    if bytes != Some(there) {
        let should = bytes.map_or_else(|| "more than there can be".to_owned(), |bytes| bytes.to_string());
        let shape = shape_text(&header.shape);
        let which = if bytes.is_some_and(|bytes| bytes < there) { "longer" } else { "shorter" };
        return Err(ExamineError::broken(format!(
            "it is {which} than its header says: shape {shape} of {} takes {should} bytes from byte {}, but {there} are there",
            header.dtype, header.data
        )));
    }
    let unreal = match dtype.float {
        Some(float) if search != Search::None => first_unreal(block, &header, float, search)?,
        _ => None,
    };
    Ok(Facts::Matrix { shape: header.shape, dtype: header.dtype, unreal })
}

pub(crate) fn shape_text(shape: &[u64]) -> String {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("({})", sides.join(", "))
}

/// Reads the header of an array.
pub(crate) fn header(block: Block<'_>) -> Result<Header, ExamineError> {
    let truncated = |need: u64| {
        ExamineError::broken(format!("it ends at byte {}, inside its header of {need} bytes", block.len()))
    };
    let mut start = [0; 12];
    if block.len() < 10 {
        return Err(truncated(10));
    }
    block.fill(start.get_mut(..10).unwrap_or_default(), 0)?;
    let [m0, m1, m2, m3, m4, m5, major, minor, l0, l1, ..] = start;
    if [m0, m1, m2, m3, m4, m5] != *MAGIC {
        return Err(ExamineError::broken("it is no .npy file: it does not begin with \\x93NUMPY at byte 0"));
    }
    let (from, len) = match (major, minor) {
        (1, 0) => (10, u64::from(u16::from_le_bytes([l0, l1]))),
        (2 | 3, 0) => {
            let mut wide = [0; 4];
            if block.len() < 12 {
                return Err(truncated(12));
            }
            block.fill(&mut wide, 8)?;
            (12, u64::from(u32::from_le_bytes(wide)))
        }
        _ => {
            return Err(ExamineError::broken(format!(
                "its format is {major}.{minor} (byte 6): this program reads 1.0, 2.0 and 3.0"
            )));
        }
    };
    if len > MAX_HEADER {
        return Err(ExamineError::broken(format!(
            "its header claims {len} bytes (byte 8): at most {MAX_HEADER}"
        )));
    }
    if from + len > block.len() {
        return Err(truncated(from + len));
    }
    let mut text = vec![0; usize::try_from(len).unwrap_or_default()];
    block.fill(&mut text, from)?;
    let text = match std::str::from_utf8(&text) {
        Ok(text) => text,
        Err(error) => {
            let at = from + error.valid_up_to() as u64;
            return Err(ExamineError::broken(format!("its header is no text at byte {at}")));
        }
    };
    // Python 2 marked long numbers. The third version is younger.
    let mut literal = Literal { rest: text, all: text.len(), longs: major < 3 };
    literal
        .dictionary()
        .map_err(|(at, why)| {
            ExamineError::broken(format!(
                "its header is not what numpy writes, at byte {}: {why}",
                from + at as u64
            ))
        })
        .map(|(dtype, fortran, shape)| Header { dtype, fortran, shape, data: from + len })
}

/// Python literal of a header.
struct Literal<'a> {
    rest: &'a str,
    all: usize,
    /// True if a number may end in `L`.
    longs: bool,
}

type LiteralError = (usize, &'static str);

impl<'a> Literal<'a> {
    fn wrong<T>(&self, why: &'static str) -> Result<T, LiteralError> {
        Err((self.all - self.rest.len(), why))
    }

    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start_matches([' ', '\n']);
        let taken = self.rest.strip_prefix(token);
        self.rest = taken.unwrap_or(self.rest);
        taken.is_some()
    }

    fn dictionary(&mut self) -> Result<(String, bool, Vec<u64>), LiteralError> {
        let (mut dtype, mut fortran, mut shape) = (None, None, None);
        // White space before it would be an indentation to Python.
        if !self.rest.starts_with('{') || !self.take("{") {
            return self.wrong("expected `{`");
        }
        while !self.take("}") {
            let key = self.text()?;
            if !self.take(":") {
                return self.wrong("expected `:`");
            }
            match key {
                "descr" => dtype = Some(self.text()?.to_owned()),
                "fortran_order" => fortran = Some(self.truth()?),
                "shape" => shape = Some(self.tuple()?),
                _ => return self.wrong("expected one of descr, fortran_order, shape"),
            }
            if !self.take(",") {
                if self.take("}") {
                    break;
                }
                return self.wrong("expected `,` or `}`");
            }
        }
        self.rest = self.rest.trim_start_matches([' ', '\n']);
        if !self.rest.is_empty() {
            return self.wrong("expected nothing more");
        }
        match (dtype, fortran, shape) {
            (Some(dtype), Some(fortran), Some(shape)) => Ok((dtype, fortran, shape)),
            _ => self.wrong("expected descr, fortran_order and shape"),
        }
    }

    fn text(&mut self) -> Result<&'a str, LiteralError> {
        let quote = if self.take("'") {
            '\''
        } else if self.take("\"") {
            '"'
        } else if self.take("[") {
            return self.wrong("it is an array of records, not of numbers");
        } else {
            return self.wrong("expected a text");
        };
        match self.rest.split_once(quote) {
            Some((text, rest)) => {
                self.rest = rest;
                Ok(text)
            }
            None => self.wrong("the text does not end"),
        }
    }

    fn truth(&mut self) -> Result<bool, LiteralError> {
        if self.take("True") {
            Ok(true)
        } else if self.take("False") {
            Ok(false)
        } else {
            self.wrong("expected True or False")
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, LiteralError> {
        let mut sides = Vec::new();
        if !self.take("(") {
            return self.wrong("expected `(`");
        }
        while !self.take(")") {
            self.take(" ");
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            if number.len() > 1 && number.starts_with('0') {
                return self.wrong("expected a side of the shape without zeros before it");
            }
            let Ok(side) = number.parse() else { return self.wrong("expected a side of the shape") };
            self.rest = rest;
            if self.longs {
                self.take("L");
            }
            sides.push(side);
            if sides.len() > MAX_DIMENSIONS {
                return self.wrong("it has more dimensions than numpy knows");
            }
            if self.take(",") {
                continue;
            }
            if !self.rest.trim_start().starts_with(')') {
                return self.wrong("expected `,` or `)`");
            }
            // Without a comma it is a number in parentheses.
            if sides.len() == 1 {
                return self.wrong("expected `,` after the only side");
            }
        }
        Ok(sides)
    }
}

/// Type of element.
pub(crate) struct Dtype {
    /// Size of an element in bytes.
    pub(crate) size: u64,
    float: Option<Float>,
}

#[derive(Debug, Clone, Copy)]
struct Float {
    size: usize,
    big: bool,
}

impl Dtype {
    pub(crate) fn of(text: &str) -> Result<Self, ExamineError> {
        let unknown = || ExamineError::broken(format!("its type of element {text:?} is not one of numbers"));
        let mut chars = text.chars();
        let order = chars.next().filter(|order| "<>|=".contains(*order)).ok_or_else(unknown)?;
        let kind = chars.next().ok_or_else(unknown)?;
        if kind == 'O' {
            return Err(ExamineError::broken(
                "it holds Python objects (a pickle), which are never read: save it with a type of number",
            ));
        }
        let size: u64 = chars.as_str().parse().map_err(|_| unknown())?;
        if size.to_string() != chars.as_str() {
            return Err(unknown());
        }
        let legal = match kind {
            'f' => matches!(size, 2 | 4 | 8 | 16),
            'i' | 'u' => matches!(size, 1 | 2 | 4 | 8),
            'b' => size == 1,
            'c' => matches!(size, 8 | 16 | 32),
            _ => false,
        };
        if !legal {
            return Err(unknown());
        }
        let read = kind == 'f' && size <= 8;
        let float = Float { size: usize::try_from(size).unwrap_or_default(), big: order == '>' };
        Ok(Self { size, float: read.then_some(float) })
    }
}

/// First element, in file order, that is not a finite number.
fn first_unreal(
    block: Block<'_>,
    header: &Header,
    float: Float,
    search: Search,
) -> Result<Option<Unreal>, ExamineError> {
    let total = block.len() - header.data;
    let whole = (0, total);
    let spans: Vec<(u64, u64)> = match search {
        Search::Sample if total > SAMPLES * SAMPLE => {
            // Blocks hold whole elements: all start at a multiple of 16, the last one near the end
            // of the file.
            let step = (total - SAMPLE) / (SAMPLES - 1) / 16 * 16;
            let last = (total - SAMPLE) / 16 * 16;
            (0..SAMPLES - 1).map(|at| (at * step, at * step + SAMPLE)).chain([(last, total)]).collect()
        }
        _ => vec![whole],
    };
    for (start, end) in spans {
        let mut stream = block.stream(header.data + start, header.data + end);
        let mut at = start;
        loop {
            let part = stream.next_block()?;
            if part.is_empty() {
                break;
            }
            if let Some(index) = float.unreal_in(part) {
                let element = (at + index as u64) / float.size as u64;
                let bytes = part.get(index..index + float.size).unwrap_or_default();
                return Ok(Some(place(header, element, float.name(bytes))));
            }
            at += part.len() as u64;
        }
    }
    Ok(None)
}

fn place(header: &Header, element: u64, value: &str) -> Unreal {
    let rows = header.shape.first().copied().unwrap_or(1).max(1);
    let columns = header.shape.iter().skip(1).product::<u64>().max(1);
    let (row, column) = if header.fortran {
        (element % rows, element / rows)
    } else {
        (element / columns, element % columns)
    };
    Unreal { row, column, value: value.to_owned() }
}

impl Float {
    /// Position in `part` of the first element that is not a finite number: its exponent is all
    /// ones.
    fn unreal_in(self, part: &[u8]) -> Option<usize> {
        let (size, big) = (self.size, self.big);
        match size {
            2 => search::<2>(part, |raw| {
                let bits = if big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) };
                bits & 0x7c00 == 0x7c00
            }),
            4 => search::<4>(part, |raw| {
                let bits = if big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) };
                bits & 0x7f80_0000 == 0x7f80_0000
            }),
            _ => search::<8>(part, |raw| {
                let bits = if big { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) };
                bits & 0x7ff0_0000_0000_0000 == 0x7ff0_0000_0000_0000
            }),
        }
    }

    fn name(self, element: &[u8]) -> &'static str {
        let mut bytes = element.to_vec();
        if !self.big {
            bytes.reverse();
        }
        // The sign and the exponent come first now. An infinity has no bit set after them.
        let (sign_and_exponent, fraction): (usize, u8) = match self.size {
            2 => (1, 0x03),
            4 => (1, 0x7f),
            _ => (1, 0x0f),
        };
        let low = |(at, byte): (usize, &u8)| {
            if at < sign_and_exponent {
                if self.size == 2 { byte & fraction } else { 0 }
            } else if at == 1 && self.size != 2 {
                byte & fraction
            } else {
                *byte
            }
        };
        let nan = bytes.iter().enumerate().map(low).any(|bits| bits != 0);
        match (nan, bytes.first().is_some_and(|byte| byte & 0x80 != 0)) {
            (true, _) => "NaN",
            (false, true) => "-inf",
            (false, false) => "inf",
        }
    }
}

fn search<const N: usize>(part: &[u8], unreal: impl Fn([u8; N]) -> bool) -> Option<usize> {
    let (elements, _) = part.as_chunks::<N>();
    // First test if there is any, without a branch per element.
    if !elements.iter().fold(false, |any, raw| any | unreal(*raw)) {
        return None;
    }
    elements.iter().position(|raw| unreal(*raw)).map(|index| index * N)
}
