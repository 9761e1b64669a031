//! States told without the names and times that only say when something happened: alike, they are
//! one.
//!
//! A crash in the middle of a recovery mostly leaves the same state as another crash before it,
//! with a later time in it. Such states count once, so that all crashes of all recoveries can be
//! tried. Left out of the comparison are times, the values of random numbers (these are counted in
//! the order in which they come up), the bytes of packs beyond their entries in commits, and
//! everything in the database except the states of files: the rest is a copy of the bucket or for
//! people to read.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use cogzy_engine::model::{Cached, Digest, VaultPath};

use crate::disk::{Content, Site};
use crate::ledger::Versions;
use crate::replayed::parse;
use crate::store::Bucket;
use crate::world::World;

/// A number of so many digits is a time.
const TIME: usize = 12;
/// And below this value it is a generation, written with leading zeros.
const GENERATIONS: u64 = 1_000_000_000;
/// Hexadecimal digits of a name drawn at random, or of a digest of something with times in it.
const DRAWN: usize = 8;

/// A part of a text.
enum Piece {
    As(String),
    /// A name that stands for something, by its place among all that came up.
    Name(usize),
}

type Pieces = Arc<[Piece]>;
/// The files as a database knows them.
type Stats = HashMap<VaultPath, Cached>;

/// Texts that came up, taken apart.
pub struct Book {
    versions: Versions,
    known: Mutex<Known>,
}

/// Nearly all of a state was described with the state before it: a text that came up once is not
/// taken apart again.
#[derive(Default)]
struct Known {
    contents: HashMap<Digest, Pieces>,
    texts: HashMap<String, Pieces>,
    names: HashMap<String, usize>,
}

/// The order in which things come up.
#[derive(Default)]
pub struct Order {
    numbers: Vec<usize>,
    last: usize,
}

impl Order {
    /// The number of the thing with this index, from 1 on; and whether it comes up for the first
    /// time.
    pub fn of(&mut self, index: usize) -> (usize, bool) {
        if self.numbers.len() <= index {
            self.numbers.resize(index + 1, 0);
        }
        let number = &mut self.numbers[index];
        let first = *number == 0;
        if first {
            self.last += 1;
            *number = self.last;
        }
        (*number, first)
    }
}

/// A state that is being told.
pub struct Key<'a> {
    versions: &'a Versions,
    known: MutexGuard<'a, Known>,
    names: Order,
    text: Vec<u8>,
}

impl Book {
    pub fn new(versions: Versions) -> Self {
        Self { versions, known: Mutex::default() }
    }

    /// The state of a device and its bucket; `stats` is what its database said of files so many
    /// transactions ago.
    pub fn key(&self, site: &Site, bucket: &Bucket, stats: &Stats, transactions: u64) -> Digest {
        let mut key = self.begin();
        key.number(usize::try_from(transactions).unwrap());
        key.device(site, stats);
        bucket.describe(&mut key);
        Digest::of(&key.text)
    }

    /// The state of all devices and their bucket, while no process runs.
    pub fn world(&self, world: &World) -> Digest {
        let mut key = self.begin();
        for device in &world.devices {
            key.plain(format_args!("{} {}", device.joined, device.gone));
            key.device(&device.disk.site(), &device.database.stats().unwrap());
        }
        world.store.lock().describe(&mut key);
        Digest::of(&key.text)
    }

    fn begin(&self) -> Key<'_> {
        let known = self.known.lock().unwrap();
        Key { versions: &self.versions, known, names: Order::default(), text: Vec::new() }
    }
}

impl Known {
    fn split(&mut self, text: &str, versions: &Versions) -> Pieces {
        let mut pieces = vec![Piece::As(String::new())];
        let mut rest = text;
        while !rest.is_empty() {
            let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            let plain = rest.find(is_digit).unwrap_or(rest.len());
            let (before, from) = rest.split_at(plain);
            let run = from.find(|c| !is_digit(c)).unwrap_or(from.len());
            let (number, after) = from.split_at(run);
            rest = after;
            let piece = self.piece(number, versions);
            match (pieces.last_mut(), piece) {
                (Some(Piece::As(last)), Piece::As(text)) => last.extend([before, &text]),
                (_, piece) => pieces.extend([Piece::As(before.to_owned()), piece]),
            }
        }
        pieces.into()
    }

    fn piece(&mut self, number: &str, versions: &Versions) -> Piece {
        let decimal = number.bytes().all(|byte| byte.is_ascii_digit());
        let known = || number.parse().is_ok_and(|digest| versions.knows(&digest));
        match number.len() {
            len if decimal && len >= TIME => match number.parse::<u64>() {
                Ok(generation) if generation < GENERATIONS => Piece::As(number.to_owned()),
                _ => Piece::As("time".into()),
            },
            len if !decimal && len >= DRAWN && !known() => {
                let next = self.names.len();
                Piece::Name(*self.names.entry(number.to_owned()).or_insert(next))
            }
            _ => Piece::As(number.to_owned()),
        }
    }
}

impl Key<'_> {
    fn device(&mut self, site: &Site, stats: &Stats) {
        site.state.describe(self);
        site.ledger.describe(self);
        let mut paths: Vec<_> = stats.iter().collect();
        paths.sort_unstable_by_key(|(path, _)| *path);
        for (path, cached) in paths {
            let fresh = site.stat(path.as_str()) == Some(cached.stat);
            self.version(path.as_str(), cached.digest);
            self.number(usize::from(fresh));
        }
    }

    /// A text with names or times in it.
    pub fn say(&mut self, text: &str) {
        let pieces = match self.known.texts.get(text) {
            Some(pieces) => Arc::clone(pieces),
            None => {
                let pieces = self.known.split(text, self.versions);
                self.known.texts.insert(text.to_owned(), Arc::clone(&pieces));
                pieces
            }
        };
        self.add(&pieces);
    }

    /// Names that stand for nothing else.
    pub fn plain(&mut self, value: impl fmt::Display) {
        writeln!(self.text, "{value}").unwrap();
    }

    pub fn number(&mut self, number: usize) {
        self.text.extend_from_slice(&number.to_le_bytes());
    }

    /// A version, by its content.
    pub fn version(&mut self, path: &str, digest: Digest) {
        self.say(path);
        if self.versions.knows(&digest) {
            self.text.extend_from_slice(digest.as_bytes());
        } else {
            self.say(&digest.to_string());
        }
    }

    /// The content of a file.
    pub fn content(&mut self, content: &Content) {
        self.whole(content.digest(), || String::from_utf8_lossy(content).into_owned());
    }

    /// The content of an object of the bucket.
    pub fn object(&mut self, body: &[u8]) {
        self.whole(Digest::of(body), || match parse(body) {
            Ok(commit) => format!("{commit:?}"),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        });
    }

    fn whole(&mut self, digest: Digest, read: impl FnOnce() -> String) {
        let pieces = match self.known.contents.get(&digest) {
            Some(pieces) => Arc::clone(pieces),
            None => {
                let pieces = if self.versions.knows(&digest) {
                    [Piece::As(digest.to_string())].into()
                } else {
                    self.known.split(&read(), self.versions)
                };
                self.known.contents.insert(digest, Arc::clone(&pieces));
                pieces
            }
        };
        self.add(&pieces);
    }

    fn add(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::As(text) => self.text.extend_from_slice(text.as_bytes()),
                Piece::Name(name) => {
                    let (number, _) = self.names.of(*name);
                    self.text.push(b'#');
                    self.text.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        self.text.push(b'\n');
    }
}
