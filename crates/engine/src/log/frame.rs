//! The frame of commits and checkpoints: `magic (6) · format (2) · codec (1) · payload`.
//!
//! The magic names the kind. The codec is 0 for plain JSON and 1 for one zstd frame of JSON. An
//! object is named by the digest of its *plaintext*, so a reader always knows if it has the right
//! bytes, whatever compressed them.
//!
//! An attacker may have made the object, so a reader never holds the plaintext of a large one
//! whole. It is unpacked, hashed and parsed as it comes, and that ends at once if it is too long,
//! too much or too well packed. Parsed values have limits of their own ([`crate::model::limits`]).

use std::cell::Cell;
use std::io::{self, BufReader, Read};

use serde::de::DeserializeOwned;
use zstd::zstd_safe::{DCtx, ResetDirective, get_error_name};

use super::LogError;
use crate::model::limits::{FREELY_UNPACKED, TEXT, UNPACKED_PER_BYTE, WINDOW_LOG};
use crate::model::{CommitId, CommitKey, Digest, FIRST_FORMAT, FORMAT, Need, at_most, limits};
use crate::planted::{Bug, planted};

/// Plaintext that is held whole, in bytes. Parsing it is faster then.
const AT_ONCE: u64 = 24 << 20;
/// Bytes of a plaintext that are handled at once.
pub(super) const AT_HAND: usize = 64 << 10;

/// Kind of a framed object.
#[derive(Debug, Clone, Copy)]
pub(super) enum ObjectKind {
    Commit,
    Checkpoint,
}

impl ObjectKind {
    pub(super) const fn magic(self) -> &'static [u8; 6] {
        match self {
            Self::Commit => b"CGZcmt",
            Self::Checkpoint => b"CGZchk",
        }
    }

    /// Bytes that an object of this kind may have.
    pub(super) const fn stored(self) -> u64 {
        match self {
            Self::Commit => limits::COMMIT_STORED,
            Self::Checkpoint => limits::CHECKPOINT_STORED,
        }
    }

    pub(super) const fn unpacked(self) -> u64 {
        match self {
            Self::Commit => limits::COMMIT_UNPACKED,
            Self::Checkpoint => limits::CHECKPOINT_STORED,
        }
    }
}

/// Bytes that a zstd frame of `stored` bytes may unpack to.
pub(super) const fn may_unpack_to(stored: usize) -> u64 {
    FREELY_UNPACKED.saturating_add((stored as u64).saturating_mul(UNPACKED_PER_BYTE))
}

/// A framed object that was read.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    pub value: T,
    /// Digest of its plaintext.
    pub digest: Digest,
    /// Format that its head says.
    pub format: u32,
}

/// Decodes an object that [`encode`] made.
pub(super) fn decode<T: DeserializeOwned>(
    kind: ObjectKind,
    key: &str,
    bytes: &[u8],
) -> Result<Decoded<T>, LogError> {
    let corrupt = |why| LogError::corrupt(key, why);
    let framed = Framed::of(kind, bytes).map_err(corrupt)?;
    let mut context = Context::take().map_err(corrupt)?;
    let unpacked = framed.unpack(&mut context.0);
    check_known(key, u64::from(framed.format), || unpacked.as_ref().ok()?.says(framed))?;
    let (value, digest) = unpacked.and_then(Unpacked::parse).map_err(corrupt)?;
    context.keep();
    Ok(Decoded { value, digest, format: u32::from(framed.format) })
}

/// Refuses an object that this program does not read, and names the version that does: of a newer
/// format, or with a feature that is not known here. `says` reads what the object needs.
pub(super) fn check_known(
    key: &str,
    format: u64,
    says: impl FnOnce() -> Option<Says>,
) -> Result<(), LogError> {
    if format == 0 {
        return Err(LogError::corrupt(key, "its format is 0"));
    }
    if format == u64::from(FIRST_FORMAT) {
        return Ok(());
    }
    let mut needs = says().unwrap_or_default().needs;
    needs.retain(|need| !need.is_known());
    if needs.is_empty() && format <= u64::from(FORMAT) {
        return Ok(());
    }
    Err(LogError::Newer { key: key.to_owned(), format, needs })
}

/// Part of an object that readers of every format read.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Says {
    #[serde(default)]
    needs: Vec<Need>,
}

/// Part of a commit that this program reads although another format wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outline {
    /// Key of the commit.
    pub key: CommitKey,
    /// Commits that it builds on.
    pub parents: Vec<CommitKey>,
}

/// Reads the outline of a commit, if there is one to be read.
pub(super) fn outline(bytes: &[u8]) -> Option<Outline> {
    #[derive(serde::Deserialize)]
    struct Said {
        seq: u64,
        #[serde(deserialize_with = "at_most::<_, _, 16>")]
        parents: Vec<CommitKey>,
    }
    let framed = Framed::of(ObjectKind::Commit, bytes).ok()?;
    let (Said { seq, parents }, digest) = framed.parse::<Said>().ok()?;
    let key = CommitKey { seq, id: CommitId::from_bytes(*digest.as_bytes()) };
    let follows = parents.iter().map(|parent| parent.seq + 1).max() == Some(seq);
    follows.then_some(Outline { key, parents })
}

/// An object without its head.
#[derive(Debug, Clone, Copy)]
struct Framed<'a> {
    kind: ObjectKind,
    format: u16,
    codec: u8,
    payload: &'a [u8],
}

impl<'a> Framed<'a> {
    fn of(kind: ObjectKind, bytes: &'a [u8]) -> Result<Self, String> {
        let short = || "it is shorter than its head".to_owned();
        if bytes.len() as u64 > kind.stored() {
            return Err(format!("it has {} bytes: expected at most {}", bytes.len(), kind.stored()));
        }
        let (magic, rest) = bytes.split_first_chunk::<6>().ok_or_else(short)?;
        let (format, rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (codec, payload) = rest.split_first().ok_or_else(short)?;
        if magic != kind.magic() {
            return Err("it does not begin as such an object does".to_owned());
        }
        Ok(Self { kind, format: u16::from_le_bytes(*format), codec: *codec, payload })
    }

    /// Unpacks the plaintext, or the start of a long one.
    fn unpack(self, context: &'a mut DCtx<'static>) -> Result<Unpacked<'a>, String> {
        let (source, limit) = match self.codec {
            0 => (Source::Raw(self.payload), self.kind.unpacked()),
            1 => {
                let mut decoder = zstd::Decoder::with_context(self.payload, context).single_frame();
                decoder.window_log_max(WINDOW_LOG).map_err(told)?;
                let uncapped = planted(Bug::NoCapOnUnpacking);
                let packed = if uncapped { u64::MAX } else { may_unpack_to(self.payload.len()) };
                let limit = self.kind.unpacked().min(packed);
                (Source::Packed(Box::new(decoder)), limit)
            }
            other => return Err(format!("its codec is {other}, expected 0 or 1")),
        };
        let mut rest = Plain::new(source, limit);
        let start = read_closely(&mut rest).map_err(told)?;
        Ok(Unpacked { start, rest })
    }

    /// Unpacks and parses the plaintext.
    fn parse<T: DeserializeOwned>(self) -> Result<(T, Digest), String> {
        let mut context = Context::take()?;
        let parsed = self.unpack(&mut context.0).and_then(Unpacked::parse)?;
        context.keep();
        Ok(parsed)
    }
}

/// The beginning of a plaintext, in a buffer that grows by an eighth and not to its double.
fn read_closely(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    loop {
        let room = (start.len() / 8).max(AT_HAND) as u64;
        let room = room.min(AT_ONCE - start.len() as u64);
        start.reserve_exact(usize::try_from(room).unwrap_or(usize::MAX));
        if (from.by_ref().take(room).read_to_end(&mut start)? as u64) < room || room == 0 {
            return Ok(start);
        }
    }
}

fn told(error: io::Error) -> String {
    format!("its plaintext: {error}")
}

/// A plaintext, of which a long one is unpacked only while it is parsed.
struct Unpacked<'a> {
    start: Vec<u8>,
    rest: Plain<'a>,
}

impl Unpacked<'_> {
    fn is_whole(&self) -> bool {
        (self.start.len() as u64) < AT_ONCE
    }

    /// The needs of the object, whatever else it holds.
    fn says(&self, framed: Framed<'_>) -> Option<Says> {
        if self.is_whole() {
            return serde_json::from_slice(&self.start).ok();
        }
        framed.parse().ok().map(|(says, _)| says)
    }

    fn parse<T: DeserializeOwned>(self) -> Result<(T, Digest), String> {
        let whole = self.is_whole();
        let Self { start, mut rest } = self;
        let parsed = if whole {
            serde_json::from_slice(&start)
        } else {
            serde_json::from_reader(BufReader::new(start.chain(&mut rest)))
        };
        let value = parsed.map_err(|error| error.to_string())?;
        rest.end().map(|digest| (value, digest)).map_err(told)
    }
}

/// A context of zstd, which a thread keeps: to make one takes longer than to unpack a commit.
struct Context(DCtx<'static>);

thread_local! {
    static CONTEXT: Cell<Option<DCtx<'static>>> = const { Cell::new(None) };
}

impl Context {
    fn take() -> Result<Self, String> {
        let no_memory = || "there is no memory to unpack it".to_owned();
        let mut context = CONTEXT.take().or_else(DCtx::try_create).ok_or_else(no_memory)?;
        let reset = context.reset(ResetDirective::SessionAndParameters);
        reset.map(|_| Self(context)).map_err(|code| get_error_name(code).to_owned())
    }

    fn keep(self) {
        CONTEXT.set(Some(self.0));
    }
}

/// Source of the plaintext.
enum Source<'a> {
    Raw(&'a [u8]),
    Packed(Box<zstd::Decoder<'a, &'a [u8]>>),
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(bytes) => bytes.read(buffer),
            Self::Packed(decoder) => decoder.read(buffer),
        }
    }
}

/// A plaintext that is hashed as it is read, and that ends in an error where it goes too far.
struct Plain<'a> {
    source: Source<'a>,
    hasher: blake3::Hasher,
    limit: u64,
    left: u64,
    texts: Texts,
}

impl<'a> Plain<'a> {
    fn new(source: Source<'a>, limit: u64) -> Self {
        Self { source, hasher: blake3::Hasher::new(), limit, left: limit, texts: Texts::default() }
    }

    /// Digest of the plaintext, once it was read to its end.
    fn end(mut self) -> io::Result<Digest> {
        // Bytes after the end of a frame belong to nothing.
        let whole = self.read(&mut [0])? == 0
            && match self.source {
                Source::Raw(_) => true,
                Source::Packed(decoder) => decoder.finish().is_empty(),
            };
        if whole { Ok(self.hasher.finalize().into()) } else { Err(io::Error::other("more follows its end")) }
    }
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let bytes = &buffer[..read];
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other(format!("it has more than {} bytes", self.limit)))?;
        self.texts.check(bytes)?;
        self.hasher.update(bytes);
        Ok(read)
    }
}

/// Finds texts that are too long before a parser gathers them.
#[derive(Debug, Default)]
struct Texts {
    /// Bytes of the text that is being read.
    inside: Option<usize>,
    escaped: bool,
}

impl Texts {
    fn check(&mut self, json: &[u8]) -> io::Result<()> {
        for byte in json {
            match (self.inside, byte) {
                (None, b'"') => self.inside = Some(0),
                (None, _) => {}
                (Some(_), b'"') if !self.escaped => self.inside = None,
                (Some(TEXT), _) => {
                    return Err(io::Error::other(format!("a text has more than {TEXT} bytes")));
                }
                (Some(length), byte) => {
                    self.escaped = !self.escaped && *byte == b'\\';
                    self.inside = Some(length + 1);
                }
            }
        }
        Ok(())
    }
}
