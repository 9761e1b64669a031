//! When two states are one: told without the names and times that only say when something happened.
//!
//! A crash in the middle of a recovery mostly leaves what another crash has left before it, with a later time in it. Such states
//! count once, so that all crashes of all recoveries can be tried. Left out of the comparison are times, which numbers drawn at
//! random stand for what (they are counted in the order in which they come up), what packs hold beyond what commits say of them, and
//! what is in the database besides the states of files: all else there is a copy of the bucket or for people to read.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use cogzy_vault::model::{Cached, Digest, VaultPath};

use crate::disk::Site;
use crate::ledger::Versions;
use crate::oracle::parse;
use crate::store::Bucket;

/// A number of so many digits is a time.
const TIME: usize = 12;
/// And below this value it is a generation, written with leading zeros.
const GENERATIONS: u64 = 1_000_000_000;
/// So many hexadecimal digits are a name drawn at random, or a digest of something with times in it.
const DRAWN: usize = 8;

/// A part of a text.
enum Piece {
    As(String),
    /// A name that stands for something.
    Name(String),
}

/// Texts that came up, taken apart.
#[derive(Default)]
pub struct Book {
    versions: Versions,
    texts: Mutex<HashMap<Digest, Arc<[Piece]>>>,
}

/// A state that is being told.
pub struct Key<'a> {
    book: &'a Book,
    names: HashMap<String, usize>,
    text: String,
}

impl Book {
    pub fn new(versions: Versions) -> Self {
        Self { versions, texts: Mutex::default() }
    }

    /// The state of a device and its bucket; `stats` is what its database said of files so many transactions ago.
    pub fn key(
        &self,
        site: &Site,
        bucket: &Bucket,
        stats: &HashMap<VaultPath, Cached>,
        transactions: u64,
    ) -> Digest {
        let mut key = Key { book: self, names: HashMap::new(), text: format!("{transactions}") };
        site.state.describe(&mut key);
        key.say(&site.ledger.describe());
        let mut paths: Vec<_> = stats.iter().collect();
        paths.sort_unstable_by_key(|(path, _)| *path);
        for (path, cached) in paths {
            let fresh = site.stat(path.as_str()) == Some(cached.stat);
            key.say(&format!("{path} {} {fresh}", cached.digest));
        }
        bucket.describe(&mut key);
        Digest::of(key.text.as_bytes())
    }

    fn pieces(&self, bytes: &[u8], read: impl FnOnce(&[u8]) -> String) -> Arc<[Piece]> {
        let digest = Digest::of(bytes);
        let mut texts = self.texts.lock().unwrap();
        let pieces = texts.entry(digest).or_insert_with(|| {
            if self.versions.knows(&digest) {
                [Piece::As(digest.to_string())].into()
            } else {
                self.split(&read(bytes)).into()
            }
        });
        Arc::clone(pieces)
    }

    fn split(&self, text: &str) -> Vec<Piece> {
        let mut pieces = vec![Piece::As(String::new())];
        let mut rest = text;
        while !rest.is_empty() {
            let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            let plain = rest.find(is_digit).unwrap_or(rest.len());
            let (before, from) = rest.split_at(plain);
            let run = from.find(|c| !is_digit(c)).unwrap_or(from.len());
            let (number, after) = from.split_at(run);
            rest = after;
            let piece = self.piece(number);
            match (pieces.last_mut(), piece) {
                (Some(Piece::As(last)), Piece::As(text)) => last.extend([before, &text]),
                (_, piece) => pieces.extend([Piece::As(before.to_owned()), piece]),
            }
        }
        pieces
    }

    fn piece(&self, number: &str) -> Piece {
        let decimal = number.bytes().all(|byte| byte.is_ascii_digit());
        let known = || number.parse().is_ok_and(|digest| self.versions.knows(&digest));
        match number.len() {
            len if decimal && len >= TIME => match number.parse::<u64>() {
                Ok(generation) if generation < GENERATIONS => Piece::As(number.to_owned()),
                _ => Piece::As("time".into()),
            },
            len if !decimal && len >= DRAWN && !known() => Piece::Name(number.to_owned()),
            _ => Piece::As(number.to_owned()),
        }
    }
}

impl Key<'_> {
    pub fn say(&mut self, text: &str) {
        let pieces = self.book.split(text);
        self.add(&pieces);
    }

    /// What a file holds.
    pub fn content(&mut self, bytes: &[u8]) {
        let pieces = self.book.pieces(bytes, |bytes| String::from_utf8_lossy(bytes).into_owned());
        self.add(&pieces);
    }

    /// What an object of the bucket holds.
    pub fn object(&mut self, body: &[u8]) {
        let read = |body: &[u8]| match parse(body) {
            Ok(commit) => format!("{commit:?}"),
            Err(_) => String::from_utf8_lossy(body).into_owned(),
        };
        let pieces = self.book.pieces(body, read);
        self.add(&pieces);
    }

    fn add(&mut self, pieces: &[Piece]) {
        for piece in pieces {
            match piece {
                Piece::As(text) => self.text.push_str(text),
                Piece::Name(name) => {
                    let next = self.names.len();
                    let number = *self.names.entry(name.clone()).or_insert(next);
                    write!(self.text, "#{number}").unwrap();
                }
            }
        }
        self.text.push('\n');
    }
}
