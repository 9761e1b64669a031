//! Single memories, by id.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{LocalVault, LocalVaultError, Reading};
use cogzy_engine::memories::{
    self, Collection, Edit, Expectation, Found, MemoriesError, Put, Unedited, Vector,
};
use cogzy_engine::model::Digest;

/// The id of a memory: a text or a whole number.
pub use cogzy_engine::memories::Id as MemoryId;

/// A memory as it stands in the vault.
#[derive(Debug, Clone, PartialEq)]
pub struct Memory(Found);

impl Memory {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> &MemoryId {
        &self.0.id
    }

    /// The memory as the caller's type, which may leave out fields.
    ///
    /// # Errors
    /// If it is not of that type.
    pub fn entry<T: DeserializeOwned>(&self) -> Result<T, LocalVaultError> {
        Ok(serde_json::from_str(&self.0.entry)?)
    }

    /// Its JSON, as it was written.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.0.entry
    }

    /// Its vector, if the array is of floats of 32 or 64 bits.
    #[must_use]
    pub fn vector(&self) -> Option<&[f64]> {
        self.0.vector.as_deref()
    }

    /// The digest of what it says but its id, for
    /// [`LocalTransaction::expect`](super::LocalTransaction::expect).
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The digest of one of its fields.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<Digest> {
        self.0.fields.get(name).copied()
    }
}

impl Reading<'_> {
    /// The memories of a group, such as `nodes`, with these ids, in the order of the corpus.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn memories(&self, group: &str, ids: &BTreeSet<MemoryId>) -> Result<Vec<Memory>, LocalVaultError> {
        let layout = &self.vault.layout;
        let collection =
            Collection::named(&self.disk, layout, self.vault.vault, group).map_err(MemoriesError::from)?;
        let found = memories::read(&self.disk, layout, &collection, ids, true)?;
        Ok(found.into_iter().map(Memory).collect())
    }
}

impl Reading<'_> {
    /// All memories of a group, such as `nodes`, to be read one after the other; see [`Memories`].
    /// They can be read after this reading ends.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn all_memories(&self, group: &str) -> Result<Memories, LocalVaultError> {
        let layout = &self.vault.layout;
        let collection =
            Collection::named(&self.disk, layout, self.vault.vault, group).map_err(MemoriesError::from)?;
        Ok(Memories(memories::Shelf::open(&self.disk, layout, collection, true)?))
    }
}

/// The memories of a group as they stood when they were asked for. Only what says where each of
/// them stands is in memory, so they may be larger than that; and nobody is locked out while they
/// are read.
pub struct Memories(memories::Shelf);

impl Memories {
    /// The memories with their vectors, in the order of the corpus.
    ///
    /// # Errors
    /// See [`LocalVaultError`]; the same for each memory.
    pub fn iter(
        &self,
    ) -> Result<impl Iterator<Item = Result<Memory, LocalVaultError>> + '_, LocalVaultError> {
        let walk = self.0.walk()?;
        Ok(walk.into_iter().flatten().map(|found| match found {
            Ok(found) => Ok(Memory(found)),
            Err(cause) => Err(self.0.unread(cause).into()),
        }))
    }
}

impl std::fmt::Debug for Memories {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memories")
    }
}

impl LocalVault {
    /// All memories of a group, such as `nodes`, to be read one after the other; see [`Memories`].
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn memories(&self, group: &str) -> Result<Memories, LocalVaultError> {
        self.reading()?.all_memories(group)
    }

    /// The memory of a group, such as `nodes`, with this id; none if there is none.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn get(&self, group: &str, id: impl Into<MemoryId>) -> Result<Option<Memory>, LocalVaultError> {
        // The files are open by then, and nobody is locked out while they are searched.
        let all = self.memories(group)?;
        Ok(all.0.find(&[id.into()].into())?.pop().map(Memory))
    }

    /// Writes a memory: the one with its `id`, or a new one at the end. Without a vector, one that
    /// is there keeps its own. Nothing else in the files is touched, and an index whose rows are
    /// those of the array follows.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn upsert<T: Serialize>(
        &self,
        group: &str,
        entry: &T,
        vector: Option<&[f32]>,
    ) -> Result<(), LocalVaultError> {
        let mut transaction = self.transaction();
        transaction.upsert(group, entry, vector)?;
        transaction.commit()
    }

    /// Deletes the memory with this id, with its vector. One that is not there is no error.
    ///
    /// # Errors
    /// See [`LocalVaultError`].
    pub fn delete(&self, group: &str, id: impl Into<MemoryId>) -> Result<(), LocalVaultError> {
        let mut transaction = self.transaction();
        transaction.delete_memory(group, id);
        transaction.commit()
    }
}

/// A change of memories before it is committed.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    pub expected: Vec<Expectation>,
    pub edits: Vec<Edit>,
}

impl Changed {
    pub fn put<T: Serialize>(&mut self, entry: &T, vector: Option<&[f32]>) -> Result<(), LocalVaultError> {
        #[derive(serde::Deserialize)]
        struct Named {
            id: Box<serde_json::value::RawValue>,
        }
        let entry = serde_json::to_string(entry)?;
        let Named { id } = serde_json::from_str(&entry)?;
        let id = MemoryId::read(id.get()).ok_or_else(|| {
            let why = "the `id` of a memory must be a text or a whole number";
            LocalVaultError::Json(serde::de::Error::custom(why))
        })?;
        let vector = vector.map(|vector| Vector::Numbers(vector.iter().copied().map(f64::from).collect()));
        self.edits.push(Edit { id, put: Some(Put { entry, vector }) });
        Ok(())
    }
}

impl From<MemoriesError> for LocalVaultError {
    fn from(error: MemoriesError) -> Self {
        match error {
            MemoriesError::Transaction(error) => error.into(),
            MemoriesError::Unedited { corpus, cause: Unedited::Changed { id, field, current } } => {
                Self::Changed { corpus, id, field, current }
            }
            other => Self::Memories(other),
        }
    }
}
