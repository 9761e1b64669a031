//! Transactions: several files and memories, written as one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use ndarray::Array2;
use serde::Serialize;

use super::memories::Changed;
use super::{Corpus, LocalVault, LocalVaultError, MemoryId, corpus_path, matrix, vectors_path};
use cogzy_engine::clock::{Clock, SystemClock, SystemEntropy, random};
use cogzy_engine::fs::{self, Fs, IoAt};
use cogzy_engine::memories::{self, Changes, Collection, Edit, Expectation, MemoriesError, Request};
use cogzy_engine::model::{Digest, VaultPath};
use cogzy_engine::vault::{
    ApplyId, Filter, Layout, TransactError, Transaction, forget_answer, transact, trash,
};

/// Time for which what an earlier transaction has replaced must have stood still before it goes,
/// where no daemon looks at it sooner: longer than the settle windows that people choose.
const STILL: Duration = Duration::from_mins(5);

/// Changes that are written together or not at all. Nothing happens before
/// [`LocalTransaction::commit`].
#[derive(Debug)]
pub struct LocalTransaction<'a> {
    vault: &'a LocalVault,
    expected: BTreeMap<VaultPath, Option<Digest>>,
    writes: BTreeMap<VaultPath, Vec<u8>>,
    deletes: BTreeSet<VaultPath>,
    memories: BTreeMap<String, Changed>,
}

impl<'a> LocalTransaction<'a> {
    pub(super) fn new(vault: &'a LocalVault) -> Self {
        let (expected, writes, memories) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { vault, expected, writes, deletes: BTreeSet::new(), memories }
    }

    /// Replaces the corpus of nodes. One that was read from the vault is only replaced while the
    /// file still holds the bytes that were read.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub fn nodes(&mut self, nodes: &Corpus) -> Result<&mut Self, LocalVaultError> {
        self.corpus("nodes", nodes)
    }

    /// Replaces the corpus of episodes in the same way.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub fn episodes(&mut self, episodes: &Corpus) -> Result<&mut Self, LocalVaultError> {
        self.corpus("episodes", episodes)
    }

    fn corpus(&mut self, name: &str, corpus: &Corpus) -> Result<&mut Self, LocalVaultError> {
        let path = corpus_path(name)?;
        if corpus.read.is_some() {
            self.expected.insert(path.clone(), corpus.read);
        }
        self.writes.insert(path, corpus.bytes()?);
        Ok(self)
    }

    /// Replaces the vectors in `vectors/<name>.npy`.
    ///
    /// # Errors
    /// If the name makes no valid path.
    pub fn embeddings(&mut self, name: &str, vectors: &Array2<f32>) -> Result<&mut Self, LocalVaultError> {
        let path = vectors_path(name)?;
        self.writes.insert(path.clone(), matrix::bytes(&path, vectors)?);
        Ok(self)
    }

    /// Replaces any file, such as an index or a trace.
    ///
    /// # Errors
    /// If the name makes no valid path.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>) -> Result<&mut Self, LocalVaultError> {
        self.writes.insert(VaultPath::new(path)?, bytes);
        Ok(self)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// If the name makes no valid path.
    pub fn delete(&mut self, path: &str) -> Result<&mut Self, LocalVaultError> {
        self.deletes.insert(VaultPath::new(path)?);
        Ok(self)
    }

    /// Writes a memory, as [`LocalVault::upsert`] does.
    ///
    /// # Errors
    /// If it has no JSON form, or no `id`.
    pub fn upsert<T: Serialize>(
        &mut self,
        group: &str,
        entry: &T,
        vector: Option<&[f32]>,
    ) -> Result<&mut Self, LocalVaultError> {
        self.memories.entry(group.to_owned()).or_default().put(entry, vector)?;
        Ok(self)
    }

    /// Deletes a memory with its vector.
    pub fn delete_memory(&mut self, group: &str, id: impl Into<MemoryId>) -> &mut Self {
        let edit = Edit { id: id.into(), put: None };
        self.memories.entry(group.to_owned()).or_default().edits.push(edit);
        self
    }

    /// Lets nothing be written unless a memory, or one of its fields, still has this digest
    /// ([`Memory::digest`](super::Memory::digest)); none if it must not exist.
    pub fn expect(
        &mut self,
        group: &str,
        id: impl Into<MemoryId>,
        field: Option<&str>,
        digest: Option<Digest>,
    ) -> &mut Self {
        let expected = Expectation { id: id.into(), field: field.map(ToOwned::to_owned), digest };
        self.memories.entry(group.to_owned()).or_default().expected.push(expected);
        self
    }

    /// Writes everything. It is durable when this returns, and is sent when it has settled.
    ///
    /// # Errors
    /// If another program has written one of the files since it was read, or the disk fails: then
    /// nothing is changed.
    pub fn commit(self) -> Result<(), LocalVaultError> {
        let (disk, layout) = (self.vault.disk()?, &self.vault.layout);
        let (clock, entropy) = (SystemClock::new(), SystemEntropy);
        clear_replaced(&disk, layout, clock.now_ns());
        let id = ApplyId::new(clock.now_ms(), random(&entropy));
        let unique: [u8; 16] = random(&entropy);
        let name: String = unique.iter().map(|byte| format!("{byte:02x}")).collect();
        let incoming = layout.incoming();
        let at = |operation, path: &std::path::Path| {
            let path = path.to_owned();
            move |source| IoAt { operation, path, source }
        };
        disk.create_dir_all(&incoming).map_err(at("create", &incoming))?;
        let mut staged = BTreeMap::new();
        for (number, (path, bytes)) in self.writes.iter().enumerate() {
            let own = VaultPath::new(&format!("{name}-{number}"))?;
            let place = own.below(&incoming);
            fs::replace(&disk, &place, bytes, 0o600).map_err(at("write", &place))?;
            staged.insert(path.clone(), own);
        }
        let request = Transaction {
            id: name,
            source: "local".to_owned(),
            expected: self.expected,
            writes: staged,
            deletes: self.deletes,
        };
        let all = Filter::new(&[], &[]).map_err(|error| TransactError::Busy(error.to_string()))?;
        let now_ms = i64::try_from(clock.now_ms()).unwrap_or(i64::MAX);
        let result = if self.memories.is_empty() {
            transact(&disk, layout, &all, &request, &id, now_ms).map_err(MemoriesError::from)
        } else {
            let changes = self.memories.into_iter().map(|(group, Changed { expected, edits })| {
                let collection = Collection::named(&disk, layout, self.vault.vault, &group)?;
                Ok(Changes { collection, expected, edits })
            });
            let changes = changes.collect::<Result<_, MemoriesError>>()?;
            let request = Request { transaction: request.clone(), changes };
            memories::write(&disk, layout, &all, &request, &id, now_ms)
        };
        if result.is_err() {
            for own in request.writes.values() {
                // A file that cannot be removed now disturbs nothing: its name is never used again.
                let _already_failed = disk.remove_file(&own.below(&incoming));
            }
        }
        // Its id is known to nobody. What cannot be removed now is removed by a cycle.
        if let Err(error) = forget_answer(&disk, layout, &result?) {
            tracing::debug!(%error, "an answer that nobody asks for stays");
        }
        Ok(())
    }
}

/// Removes what earlier transactions have replaced. Without a daemon nobody else does, and a disk
/// that is full of it takes no further save.
pub(super) fn clear_replaced(disk: &dyn Fs, layout: &Layout, now_ns: i64) {
    if let Err(error) = trash::clear_replaced(disk, layout, now_ns, STILL, NonZeroUsize::MIN) {
        tracing::warn!(%error, "replaced files could not be looked at again; the next transaction tries it");
    }
}
