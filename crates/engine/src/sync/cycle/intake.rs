//! Files on their way into packs: each is read as the scan saw it, or left out.
//!
//! Decided here: which file on this disk a content is read from. Nothing is written; a crash leaves
//! what [`super::upload`] says.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use super::{Run, Survey};
use crate::fs::readable_files_below;
use crate::model::{Conflict, Content, Digest, Entry, FileStat, Recipe, VaultPath};
use crate::sync::session::Context;
use crate::sync::{SyncError, blocking};
use crate::vault::{hash_stable, open_stable};

/// A file that must be read for the commit.
pub(super) struct Source {
    /// Path relative to the root, as the disk spells it.
    pub relative: String,
    pub stat: FileStat,
    pub content: Content,
}

/// Outcome of reading a file for the commit.
pub(super) enum Taken {
    /// The vault holds its content already.
    Known,
    /// It was read. A content of one chunk has no recipe.
    Read {
        recipe: Option<Recipe>,
        /// True for a database.
        database: bool,
    },
    /// It is not in a state that can be committed.
    LeftOut(String),
}

impl Context {
    /// Reads one file into the run. Tells `read` how many bytes of it were read.
    pub(super) async fn take_in(
        &self,
        run: &mut Run<'_>,
        source: &Source,
        read: &(dyn Fn(u64) + Sync),
    ) -> Result<Taken, SyncError> {
        if source.content.size == 0 || run.believes(source.content) && run.relies_on(source.content) {
            return Ok(Taken::Known);
        }
        let taken = blocking(|| {
            let left_out = |error: std::io::Error| Ok(Taken::LeftOut(error.to_string()));
            let open = || open_stable(self.fs(), self.layout.root(), &source.relative, &source.stat);
            if let Some(recipe) = run.was_sent(source.content) {
                // Its beginning tells of a database; that is cut again, for its head is set anew.
                let is_database = open().and_then(|mut reader| {
                    let _read = reader.read(&mut [0])?;
                    Ok(reader.is_database())
                });
                match is_database {
                    Ok(false) => return Ok(Taken::Read { recipe, database: false }),
                    Ok(true) => {}
                    Err(error) => return left_out(error),
                }
            }
            let mut reader = match open() {
                Ok(reader) => reader,
                Err(error) => return left_out(error),
            };
            let ingested = match run.add(&mut Counted::new(&mut reader, read))? {
                Ok(ingested) => ingested,
                Err(error) => return left_out(error),
            };
            let database = reader.is_database();
            if let Err(error) = reader.finish() {
                return left_out(error);
            }
            // The bytes hashed are the bytes uploaded: a file that gave other bytes than at the
            // scan is not committed.
            if ingested.content != source.content {
                return Ok(Taken::LeftOut("it changed since it was scanned".to_owned()));
            }
            run.remember(&ingested);
            Ok::<_, SyncError>(Taken::Read { recipe: ingested.recipe, database })
        })?;
        run.send().await?;
        Ok(taken)
    }

    /// Reads a losing version into the run. The inner error names the missing part.
    pub(super) async fn read_loser(
        &self,
        run: &mut Run<'_>,
        loser: &Conflict,
    ) -> Result<Result<BTreeMap<Digest, Recipe>, String>, SyncError> {
        let mut sources = Vec::new();
        for (path, entry) in loser.files.iter().filter_map(|file| Some((&file.path, file.entry?))) {
            // A member that was the same on both sides was not displaced: the bucket has it, so it
            // need not be here.
            let absolute = self.layout.conflict_file(loser.id, path);
            let there = self.source_at(&absolute, entry.content());
            if (there.is_none() || run.believes(entry.content())) && run.relies_on(entry.content()) {
                continue;
            }
            // After a long time, the bucket may have it no longer.
            match there.or_else(|| blocking(|| self.anywhere(entry.content()))) {
                Some(source) => sources.push(source),
                None => return Ok(Err(format!("its losing version is missing: {}", absolute.display()))),
            }
        }
        let mut recipes = BTreeMap::new();
        for source in sources {
            match self.take_in(run, &source, &|_| {}).await? {
                Taken::Known => {}
                Taken::Read { recipe, .. } => {
                    recipes.extend(recipe.map(|recipe| (source.content.digest, recipe)));
                }
                Taken::LeftOut(why) => {
                    return Ok(Err(format!("its losing version {}: {why}", source.relative)));
                }
            }
        }
        Ok(Ok(recipes))
    }

    fn source_at(&self, absolute: &Path, content: Content) -> Option<Source> {
        let relative = absolute.strip_prefix(self.layout.root()).ok()?.to_str()?.to_owned();
        Some(Source { relative, stat: self.fs().lstat(absolute).ok()?, content })
    }

    /// Finds a file of this disk that holds a content: in the vault, in the trash or in a conflict
    /// copy.
    fn anywhere(&self, content: Content) -> Option<Source> {
        let files = readable_files_below(self.fs(), self.layout.root());
        let sources = files.iter().filter_map(|file| self.source_at(file, content));
        let mut alike = sources.filter(|source| source.stat.size == content.size);
        alike.find(|Source { relative, stat, .. }| {
            hash_stable(self.fs(), self.layout.root(), relative, stat)
                .is_ok_and(|found| found == Some(content))
        })
    }

    /// Place of the file that the scan found at `path`: for a database in parts, its snapshot.
    pub(super) fn source(&self, survey: &Survey, path: &VaultPath, entry: Entry) -> Option<Source> {
        let local = &survey.local;
        if local.in_parts.contains(path) {
            let snapshots = local.snapshots.as_ref()?;
            if snapshots.of(path).is_none() {
                let place = local.names.locate(self.layout.root(), path);
                // The cache knew its content. If that is another by now, it is left out.
                blocking(|| snapshots.take(path, &place)).ok()?;
            }
            return self.source_at(&snapshots.of(path)?, entry.content());
        }
        let stat = *local.stats.get(path)?;
        let relative = local.names.on_disk(path).unwrap_or_else(|| path.to_string());
        Some(Source { relative, stat, content: entry.content() })
    }
}

/// Bytes read between two reports.
const TELL_AFTER: u64 = 1 << 20;

/// A reader that reports how much it has read.
pub(crate) struct Counted<'a, R> {
    from: R,
    read: u64,
    told: u64,
    tell: &'a dyn Fn(u64),
}

impl<'a, R: Read> Counted<'a, R> {
    pub(crate) fn new(from: R, tell: &'a dyn Fn(u64)) -> Self {
        Self { from, read: 0, told: 0, tell }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.read += count as u64;
        if self.read - self.told >= TELL_AFTER {
            self.told = self.read;
            (self.tell)(self.read);
        }
        Ok(count)
    }
}
