//! Skips JSON values and counts their parts, with the grammar of RFC 8259 as `serde_json` enforces
//! it.
//!
//! Nothing is kept but the nesting, one byte per level. Strings are skipped in chunks: a stream
//! parser goes byte by byte and takes several times as long. The content of strings does not matter
//! here, so an escape for half a character is accepted.

use std::io;

use super::text::Text;

/// Maximum nesting.
pub(super) const DEPTH: usize = 1 << 20;
/// Maximum length of one character of a name in the text, written as `\u006e`.
const ESCAPED: usize = 6;

#[derive(Debug)]
pub(crate) enum JsonError {
    Io(io::Error),
    /// The file ends inside the document.
    Ended,
    /// Error at this byte.
    At(u64, String),
}

impl From<io::Error> for JsonError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

pub(crate) struct Json<'a> {
    text: Text<'a>,
    /// Closing character of each array and object around the current position.
    open: Vec<u8>,
}

impl<'a> Json<'a> {
    pub(crate) const fn new(text: Text<'a>) -> Self {
        Self { text, open: Vec::new() }
    }

    pub(crate) const fn text(&self) -> &Text<'a> {
        &self.text
    }

    /// Keeps the bytes from the next one on: see [`Text::marked`].
    pub(crate) const fn mark(&mut self) {
        self.text.mark();
    }

    /// Walks through the array that starts here, and returns its number of elements. `element` must
    /// skip each.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<u64, JsonError> {
        self.text.pass(1);
        let mut count = 0;
        if self.take(b']')? {
            return Ok(count);
        }
        loop {
            element(self)?;
            count += 1;
            if self.take(b']')? {
                return Ok(count);
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    /// Walks through the object that starts here, and returns its number of members. `value` must
    /// skip each value; its flag is true if the name is `key`.
    pub(super) fn object(
        &mut self,
        key: &str,
        mut value: impl FnMut(&mut Self, bool) -> Result<(), JsonError>,
    ) -> Result<u64, JsonError> {
        self.members(key.len() * ESCAPED, |json, name| value(json, name.is(key)))
    }

    /// Walks through the object that starts here, and returns its number of members. `value` must
    /// skip each value. Of a name longer than `most` bytes it gets the beginning, which is longer
    /// than that.
    pub(crate) fn members(
        &mut self,
        most: usize,
        mut value: impl FnMut(&mut Self, Name<'_>) -> Result<(), JsonError>,
    ) -> Result<u64, JsonError> {
        self.text.pass(1);
        let (mut count, mut name) = (0, Vec::new());
        if self.take(b'}')? {
            return Ok(count);
        }
        loop {
            name.clear();
            self.token()?;
            let at = self.text.position();
            self.name(|part| {
                if name.len() <= most {
                    name.extend_from_slice(part);
                }
            })?;
            value(self, Name { at, text: &name })?;
            count += 1;
            if self.take(b'}')? {
                return Ok(count);
            }
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    /// Skips a value of any kind.
    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
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

    fn enter(&mut self, end: u8) -> Result<(), JsonError> {
        if self.open.len() == DEPTH {
            return self.wrong(format!("nested more than {DEPTH} times"));
        }
        self.open.push(end);
        Ok(())
    }

    /// Skips a name and the colon after it.
    fn name(&mut self, part: impl FnMut(&[u8])) -> Result<(), JsonError> {
        if self.token()? != b'"' {
            return self.wrong("expected a name in quotation marks");
        }
        self.string(part)?;
        self.expect(b':', "expected `:`")
    }

    /// Skips the string that starts here. `part` receives its content.
    fn string(&mut self, mut part: impl FnMut(&[u8])) -> Result<(), JsonError> {
        self.text.pass(1);
        loop {
            let rest = self.text.rest()?;
            if rest.is_empty() {
                return Err(JsonError::Ended);
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

    fn escape(&mut self, part: &mut impl FnMut(&[u8])) -> Result<(), JsonError> {
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

    fn number(&mut self) -> Result<(), JsonError> {
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

    /// Skips digits, at least one.
    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.byte()?.is_ascii_digit() {
            return self.wrong("expected a digit");
        }
        self.pass_while(u8::is_ascii_digit)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        for byte in word {
            if self.byte()? != *byte {
                return self.wrong("expected a value");
            }
            self.text.pass(1);
        }
        Ok(())
    }

    /// Next byte after white space.
    pub(crate) fn token(&mut self) -> Result<u8, JsonError> {
        let space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match self.byte()? {
            byte if !space(&byte) => Ok(byte),
            _ => {
                self.pass_while(space)?;
                self.byte()
            }
        }
    }

    /// Skips `byte` if it comes next after white space.
    fn take(&mut self, byte: u8) -> Result<bool, JsonError> {
        let is_next = self.token()? == byte;
        self.text.pass(usize::from(is_next));
        Ok(is_next)
    }

    fn expect(&mut self, byte: u8, expected: &str) -> Result<(), JsonError> {
        if self.take(byte)? { Ok(()) } else { self.wrong(expected) }
    }

    fn pass_while(&mut self, wanted: impl Fn(&u8) -> bool) -> Result<(), JsonError> {
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

    fn byte(&mut self) -> Result<u8, JsonError> {
        self.peek()?.ok_or(JsonError::Ended)
    }

    fn peek(&mut self) -> Result<Option<u8>, JsonError> {
        Ok(self.text.rest()?.first().copied())
    }

    /// Creates an error at the next byte.
    pub(crate) fn wrong<T>(&self, why: impl Into<String>) -> Result<T, JsonError> {
        Err(JsonError::At(self.text.position(), why.into()))
    }
}

/// Number of bytes of a string to skip: ordinary ones, and complete escapes of one character.
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

/// Position of the first quotation mark, backslash or control character; the length of the text if
/// there is none.
fn special(text: &[u8]) -> usize {
    const EACH: u64 = u64::MAX / 255;
    const HIGH: u64 = EACH << 7;
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // Test eight bytes at once: set the highest bit of each byte below the limit. Bytes after
        // the first hit may be wrong.
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

/// Name of a member, as written in the text.
#[derive(Clone, Copy)]
pub(crate) struct Name<'n> {
    /// Position of its quotation mark.
    pub(crate) at: u64,
    /// Text between its quotation marks.
    pub(crate) text: &'n [u8],
}

impl Name<'_> {
    /// True if the name is `key`.
    pub(crate) fn is(&self, key: &str) -> bool {
        if !self.text.contains(&b'\\') {
            return self.text == key.as_bytes();
        }
        self.plain().is_ok_and(|name| name == key)
    }

    /// The name without escapes, or why it is none.
    pub(crate) fn plain(&self) -> Result<String, String> {
        if !self.text.contains(&b'\\') {
            return String::from_utf8(self.text.to_vec()).map_err(|error| error.to_string());
        }
        let quoted = [b"\"", self.text, b"\""].concat();
        serde_json::from_slice(&quoted).map_err(|error| error.to_string())
    }
}
