//! Skipping over JSON, held to the grammar of RFC 8259 as `serde_json` holds it, and counting on the way.
//!
//! Nothing is kept but what the place is nested in, a byte for each level. Texts are passed over a chunk at a time: a parser that
//! reads from a stream goes byte by byte and takes several times as long. What a text says is of no concern here, so an escape
//! that stands for half a character is let be.

use std::io;

use super::text::Text;

/// What is nested deeper is refused.
pub(super) const DEPTH: usize = 1 << 20;
/// A character of a name takes at most so many bytes in a text, as `\u006e`.
const ESCAPED: usize = 6;

#[derive(Debug)]
pub(super) enum Wrong {
    Io(io::Error),
    /// The file is at its end and the document is not.
    Ended,
    /// At this byte.
    At(u64, String),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(super) struct Json<'a> {
    text: Text<'a>,
    /// What ends each of the arrays and objects that the skipped place is in.
    open: Vec<u8>,
}

impl<'a> Json<'a> {
    pub(super) const fn new(text: Text<'a>) -> Self {
        Self { text, open: Vec::new() }
    }

    pub(super) const fn text(&self) -> &Text<'a> {
        &self.text
    }

    /// Skips over an array, which begins here; how many elements it has.
    pub(super) fn array(&mut self) -> Result<u64, Wrong> {
        self.text.pass(1);
        let mut count = 0;
        if self.take(b']')? {
            return Ok(count);
        }
        loop {
            self.skip()?;
            count += 1;
            if self.take(b']')? {
                return Ok(count);
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    /// Goes through an object, which begins here: `value` skips over each value, and hears whether `key` is its name. How many members there are.
    pub(super) fn object(
        &mut self,
        key: &str,
        mut value: impl FnMut(&mut Self, bool) -> Result<(), Wrong>,
    ) -> Result<u64, Wrong> {
        self.text.pass(1);
        let (mut count, mut name) = (0, Vec::new());
        if self.take(b'}')? {
            return Ok(count);
        }
        loop {
            name.clear();
            self.name(|part| {
                if name.len() <= key.len() * ESCAPED {
                    name.extend_from_slice(part);
                }
            })?;
            value(self, is_key(&name, key))?;
            count += 1;
            if self.take(b'}')? {
                return Ok(count);
            }
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    /// Skips over any value.
    pub(super) fn skip(&mut self) -> Result<(), Wrong> {
        loop {
            match self.token()? {
                b'"' => self.string(|_| {})?,
                b'[' => {
                    self.text.pass(1);
                    if !self.take(b']')? {
                        self.enter(b']')?;
                        continue;
                    }
                }
                b'{' => {
                    self.text.pass(1);
                    if !self.take(b'}')? {
                        self.enter(b'}')?;
                        self.name(|_| {})?;
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return self.wrong("expected a value"),
            }
            loop {
                let Some(&end) = self.open.last() else { return Ok(()) };
                if !self.take(end)? {
                    let expected = if end == b']' { "expected `,` or `]`" } else { "expected `,` or `}`" };
                    self.expect(b',', expected)?;
                    if end == b'}' {
                        self.name(|_| {})?;
                    }
                    break;
                }
                self.open.pop();
            }
        }
    }

    fn enter(&mut self, end: u8) -> Result<(), Wrong> {
        if self.open.len() == DEPTH {
            return self.wrong(format!("nested more than {DEPTH} times"));
        }
        self.open.push(end);
        Ok(())
    }

    /// Skips over a name and the colon behind it.
    fn name(&mut self, part: impl FnMut(&[u8])) -> Result<(), Wrong> {
        if self.token()? != b'"' {
            return self.wrong("expected a name in quotation marks");
        }
        self.string(part)?;
        self.expect(b':', "expected `:`")
    }

    /// Skips over a text that begins here; `part` sees what is in it.
    fn string(&mut self, mut part: impl FnMut(&[u8])) -> Result<(), Wrong> {
        self.text.pass(1);
        loop {
            let rest = self.text.rest()?;
            if rest.is_empty() {
                return Err(Wrong::Ended);
            }
            let plain = rest.get(..plain(rest)).unwrap_or(rest);
            part(plain);
            let (count, next) = (plain.len(), rest.get(plain.len()).copied());
            self.text.pass(count);
            match next {
                None => {}
                Some(b'"') => {
                    self.text.pass(1);
                    return Ok(());
                }
                Some(b'\\') => self.escape(&mut part)?,
                Some(_) => return self.wrong("a control character in a text, which has to be escaped"),
            }
        }
    }

    fn escape(&mut self, part: &mut impl FnMut(&[u8])) -> Result<(), Wrong> {
        let mut digits = 0;
        for place in 0.. {
            let byte = self.byte()?;
            match (place, byte) {
                (0, _) => {}
                (1, b'u') => digits = 4,
                (1, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {}
                (2.., b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => digits -= 1,
                _ => return self.wrong("an escape that JSON does not know"),
            }
            part(&[byte]);
            self.text.pass(1);
            if place > 0 && digits == 0 {
                break;
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Wrong> {
        if self.byte()? == b'-' {
            self.text.pass(1);
        }
        if self.byte()? == b'0' {
            self.text.pass(1);
        } else {
            self.digits()?;
        }
        if self.peek()? == Some(b'.') {
            self.text.pass(1);
            self.digits()?;
        }
        if matches!(self.peek()?, Some(b'e' | b'E')) {
            self.text.pass(1);
            if matches!(self.byte()?, b'+' | b'-') {
                self.text.pass(1);
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Skips over digits, one at least.
    fn digits(&mut self) -> Result<(), Wrong> {
        if !self.byte()?.is_ascii_digit() {
            return self.wrong("expected a digit");
        }
        self.pass_while(u8::is_ascii_digit)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Wrong> {
        for byte in word {
            if self.byte()? != *byte {
                return self.wrong("expected a value");
            }
            self.text.pass(1);
        }
        Ok(())
    }

    /// The byte that comes next after white space.
    pub(super) fn token(&mut self) -> Result<u8, Wrong> {
        let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match self.byte()? {
            byte if !space(&byte) => Ok(byte),
            _ => {
                self.pass_while(space)?;
                self.byte()
            }
        }
    }

    /// Passes over `byte` if it comes next after white space.
    fn take(&mut self, byte: u8) -> Result<bool, Wrong> {
        let is_next = self.token()? == byte;
        self.text.pass(usize::from(is_next));
        Ok(is_next)
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), Wrong> {
        if self.take(byte)? { Ok(()) } else { self.wrong(expected) }
    }

    fn pass_while(&mut self, wanted: impl Fn(&u8) -> bool) -> Result<(), Wrong> {
        loop {
            let rest = self.text.rest()?;
            let count = rest.iter().take_while(|byte| wanted(byte)).count();
            let more = count > 0 && count == rest.len();
            self.text.pass(count);
            if !more {
                return Ok(());
            }
        }
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        self.peek()?.ok_or(Wrong::Ended)
    }

    fn peek(&mut self) -> Result<Option<u8>, Wrong> {
        Ok(self.text.rest()?.first().copied())
    }

    /// What is wrong with the byte that comes next.
    pub(super) fn wrong<T>(&self, why: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong::At(self.text.position(), why.into()))
    }
}

/// How many bytes of a text can be passed over: what stands for itself, and escapes of one character that are all here.
fn plain(text: &[u8]) -> usize {
    let mut passed = 0;
    loop {
        let rest = text.get(passed..).unwrap_or_default();
        let special = special(rest);
        passed += special;
        match rest.get(special..) {
            Some([b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..]) => passed += 2,
            _ => return passed,
        }
    }
}

/// Where the first quotation mark, backslash or control character is; the length of the text where there is none.
fn special(text: &[u8]) -> usize {
    const EACH: u64 = u64::MAX / 255;
    const HIGH: u64 = EACH << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // Eight bytes at once: the highest bit of each that is below what is subtracted. Those after the first may be wrong.
        let bytes = u64::from_le_bytes(*word);
        let below = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes;
        let is = |byte: u8| below(bytes ^ (EACH * u64::from(byte)), 1);
        let found = (below(bytes, b' ') | is(b'"') | is(b'\\')) & HIGH;
        if found != 0 {
            return at * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let tail = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')).count();
    words.len() * 8 + tail
}

/// Whether a name, as it stands in the text, is `key`.
fn is_key(name: &[u8], key: &str) -> bool {
    if !name.contains(&b'\\') {
        return name == key.as_bytes();
    }
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).is_ok_and(|name| name == key)
}
