//! The files of a group's memories in one state of the history.
//!
//! They are read where they stand in the vault, if they have the contents of that state there. Else
//! they are put together beside the copies for transactions: from chunks that this disk holds, and
//! from packs. So nobody waits for what is read, and no cycle clears it away.
//!
//! A crash leaves that folder below `sync/incoming/`, which `cycle::tidy` removes.

use crate::fs::{At, ReadFile};
use crate::log::Snapshot;
use crate::memories::Collection;
use crate::merge::{File, Unmerged};
use crate::model::{Digest, Entry, FileStat, VaultPath};
use crate::sync::cycle::{Order, Wanted};
use crate::sync::session::{Context, Session};
use crate::sync::{Progress, SyncError, blocking};
use crate::vault::{Stage, TransactError, open_as};

/// Corpus and array of a group in one state. None for a file that it does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub corpus: Option<Entry>,
    pub array: Option<Entry>,
}

/// Cause why a version cannot be read.
pub(super) enum Unread {
    /// The bucket no longer has this file.
    Lost(VaultPath),
    /// It cannot be read as memories.
    Other(Unmerged),
}

/// An open file of the vault, in the state in which it was looked at.
struct Here {
    file: Box<dyn ReadFile>,
    stat: FileStat,
}

/// A folder that goes with whoever reads from it.
struct Scratch(Option<Stage>);

impl Version {
    /// That of a state, as far as it is synced here.
    pub fn of(state: &Snapshot, collection: &Collection, context: &Context) -> Self {
        let entry = |path: &VaultPath| state.tree.get(path).copied().filter(|_| context.visible(path));
        let array = collection.array.as_ref().and_then(entry);
        Self { corpus: entry(&collection.corpus), array }
    }

    /// Digest of its contents.
    pub fn contents(&self, collection: &Collection) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(collection.key.as_bytes());
        for entry in [self.corpus, self.array] {
            let digest = entry.map_or_else(|| Digest::of(b""), |entry| entry.digest);
            hasher.update(&[u8::from(entry.is_some())]).update(digest.as_bytes());
        }
        Digest::from(hasher.finalize())
    }
}

impl Session<'_> {
    /// Reads a version of a collection that has a corpus: with its array if `vectors` are wanted.
    /// `state` names the packs.
    pub(super) async fn read_version<T>(
        &self,
        collection: &Collection,
        (version, vectors): (&Version, bool),
        state: &Snapshot,
        read: impl Fn(File<'_>, Option<File<'_>>) -> Result<T, Unmerged>,
    ) -> Result<Result<T, Unread>, SyncError> {
        let array = collection.array.as_ref().zip(version.array).filter(|_| vectors);
        let corpus = version.corpus.map(|entry| (&collection.corpus, entry));
        let files: Vec<(&VaultPath, Entry)> = corpus.into_iter().chain(array).collect();
        let open = || -> Result<Vec<Option<Here>>, SyncError> {
            files.iter().map(|(path, entry)| self.context.open_here(path, entry)).collect()
        };
        let mut here = blocking(open)?;
        loop {
            let away = files.iter().zip(&here).zip(0_u32..).filter(|((_, here), _)| here.is_none());
            let away = away.map(|(((path, entry), _), slot)| {
                (*path, Wanted { name: path.to_string(), slot, entry: *entry })
            });
            let scratch = match self.put_together(away.collect(), state).await? {
                Ok(scratch) => scratch,
                Err(lost) => return Ok(Err(Unread::Lost(lost))),
            };
            let done = blocking(|| self.context.read_files(&files, &here, &scratch, &read))?;
            // A program may have written into a file while it was read.
            let before = here.iter().flatten().count();
            here.iter_mut().for_each(|file| drop(file.take_if(|file| !file.stands())));
            if here.iter().flatten().count() == before {
                return Ok(done.map_err(Unread::Other));
            }
        }
    }

    /// Puts files together in a folder of their own. A path that the bucket no longer has is the
    /// inner error.
    async fn put_together(
        &self,
        files: Vec<(&VaultPath, Wanted)>,
        state: &Snapshot,
    ) -> Result<Result<Scratch, VaultPath>, SyncError> {
        if files.is_empty() {
            return Ok(Ok(Scratch(None)));
        }
        let (context, layout) = (self.context, &self.context.layout);
        let (paths, wanted): (Vec<&VaultPath>, Vec<Wanted>) = files.into_iter().unzip();
        context.check_room(&wanted, layout.root())?;
        let folder = layout.incoming().join(format!(".{}", self.apply_id()));
        let scratch = Scratch(Some(Stage::outside(context.ports.fs.clone(), folder)?));
        let Some(stage) = &scratch.0 else { return Ok(Ok(scratch)) };
        let old = paths.iter().map(|path| path.below(layout.root()).into()).collect();
        let order = Order { log: self.log, remote: state, wanted: &wanted, old };
        let lost = context.fetch(order, stage, Progress::default(), self.watcher).await?;
        let missing = paths.iter().zip(&wanted).find(|(_, file)| lost.contains_key(&file.slot));
        Ok(match missing {
            Some((path, _)) => Err((*path).clone()),
            None => Ok(scratch),
        })
    }
}

impl Context {
    /// Opens a file of the vault if it has the content of this entry.
    fn open_here(&self, path: &VaultPath, entry: &Entry) -> Result<Option<Here>, SyncError> {
        match open_as(self.fs(), &self.layout, path, entry.content()) {
            Ok(file) => Ok(file.map(|(file, stat)| Here { file, stat })),
            Err(TransactError::NoVault(error)) => Err(error.into()),
            Err(TransactError::Io(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// Reads files where they stand: here, or in a folder of their own, in which each has the number
    /// of its place among them.
    fn read_files<T>(
        &self,
        files: &[(&VaultPath, Entry)],
        here: &[Option<Here>],
        scratch: &Scratch,
        read: impl Fn(File<'_>, Option<File<'_>>) -> Result<T, Unmerged>,
    ) -> Result<Result<T, Unmerged>, SyncError> {
        let mut staged = Vec::new();
        for (slot, _) in (0_u32..).zip(here).filter(|(_, here)| here.is_none()) {
            let Some(stage) = &scratch.0 else { continue };
            let place = stage.path(slot);
            staged.push(self.fs().open(&place).at("open", &place)?);
        }
        let mut staged = staged.iter();
        let mut opened = files.iter().zip(here).filter_map(|((_, entry), here)| {
            let file = here.as_ref().map(|here| &here.file).or_else(|| staged.next())?;
            Some(File { file: file.as_ref(), len: entry.size })
        });
        let Some(corpus) = opened.next() else { return Ok(Err(std::io::Error::other("no corpus").into())) };
        Ok(read(corpus, opened.next()))
    }
}

impl Here {
    /// True if nothing was written into it since.
    fn stands(&self) -> bool {
        self.file.stat().is_ok_and(|stat| stat == self.stat)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(Stage::discard) {
            tracing::debug!(%error, "files that were read are left behind for a week");
        }
    }
}
