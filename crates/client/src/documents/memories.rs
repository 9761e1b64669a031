//! Single memories over the socket: found by id, and changed in transactions.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{NamedGeneration, Problem, SchemaVersion};
use cogzy_engine::model::{Digest, VaultPath};
use cogzy_engine::sync::{Found, Id};

/// The id of a memory: a text or a whole number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryId(pub Id);

impl<'de> Deserialize<'de> for MemoryId {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(json)?;
        let id = if value.is_f64() { None } else { Id::read(&value.to_string()) };
        id.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("{value} is no id: expected a text or a whole number"))
        })
    }
}

impl Serialize for MemoryId {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        match self.0.number() {
            Some(number) => {
                RawValue::from_string(number.to_owned()).map_err(serde::ser::Error::custom)?.serialize(json)
            }
            None => json.serialize_str(self.0.told()),
        }
    }
}

/// A JSON value, kept as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Written(pub Box<RawValue>);

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

impl Eq for Written {}

/// A memory to write, in a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRequest {
    /// The group, such as `nodes`.
    pub group: String,
    /// The memory, whose member `id` tells which one it replaces; a new one comes at the end.
    #[schema(value_type = Object)]
    pub entry: Written,
    /// Its vector. Without one a memory that is there keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorRequest>,
}

/// The vector of a memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = r#"expected a vector: a list of numbers, {"base64": TEXT}, or {"staged": FILE, "row": NUMBER}"#
)]
pub enum VectorRequest {
    /// Its elements.
    Numbers(Vec<f64>),
    /// The bytes of its row in the array.
    Bytes {
        /// The bytes, as base64 with padding.
        base64: String,
    },
    /// A row of an array of the same type and dimension.
    Row(RowRequest),
}

/// A row of an array in a `.npy` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RowRequest {
    /// The file with the array: a name below `sync/incoming/` in the vault, where the client has
    /// put it. It is taken away with the transaction.
    pub staged: String,
    /// The number of the row, counted from 0.
    pub row: u64,
}

/// Something to delete, in a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum DeleteRequest {
    /// A file, by its path.
    File(VaultPath),
    /// A memory.
    Memory {
        /// The group.
        group: String,
        /// Its id.
        id: MemoryId,
    },
}

/// State in which a memory must be, or nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectRequest {
    /// The group.
    pub group: String,
    /// The memory's id.
    #[schema(value_type = Value)]
    pub id: MemoryId,
    /// One of its members; the whole memory without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The digest of its value, as `GET /v1/memories` tells it; null if it must not exist.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(value_type = Option<String>, required)]
    pub value_digest: Option<Digest>,
}

/// Memories of a group: `GET /v1/memories`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoriesDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The group.
    pub group: String,
    /// The memories that were found, in the order of the corpus.
    pub memories: Vec<MemoryDocument>,
}

/// Memories of a group that differ between two generations: `GET /v1/memories?since=GENERATION`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryChangesDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The group.
    pub group: String,
    /// The known generation.
    pub since: NamedGeneration,
    /// The generation up to which they are told.
    pub generation: u64,
    /// The same generation by its commit: ask for what comes after it with `since=` this.
    pub until: NamedGeneration,
    /// The memories that are new, or of which the entry or the vector is another one, as they are in
    /// that generation, in the order of the corpus.
    pub memories: Vec<MemoryDocument>,
    /// The ids of those that are no longer there.
    #[schema(value_type = Vec<Value>)]
    pub deleted: Vec<MemoryId>,
    /// The next page, between the same two generations; null on the last one.
    pub next: Option<String>,
}

/// The answer where this device cannot tell what a generation had: a [`Problem`]. Read all memories
/// anew, with `since=0`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GenerationGoneProblem {
    /// The error.
    #[serde(flatten)]
    pub problem: Problem,
    /// Always `GENERATION_GONE`.
    pub code: String,
    /// The generation.
    pub generation: NamedGeneration,
}

/// A memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryDocument {
    /// Its id.
    #[schema(value_type = Value)]
    pub id: MemoryId,
    /// The memory.
    #[schema(value_type = Object)]
    pub entry: Written,
    /// The digest of what it says but its id, to be expected by a transaction.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The digest of each of its members, in the same way.
    #[schema(value_type = BTreeMap<String, String>)]
    pub fields: BTreeMap<String, Digest>,
    /// Its vector, if that was asked for and is of floats of 32 or 64 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f64>>,
}

impl From<Found> for MemoryDocument {
    fn from(found: Found) -> Self {
        let Found { id, entry, digest, fields, vector } = found;
        // The reader of the corpus has read it as JSON.
        let entry = Written(RawValue::from_string(entry).unwrap_or_else(|_| RawValue::NULL.to_owned()));
        Self { id: MemoryId(id), entry, digest, fields, vector }
    }
}

/// A transaction that was refused because a memory was changed: a [`Problem`] that names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldConflictProblem {
    /// The error.
    #[serde(flatten)]
    pub problem: Problem,
    /// Always `FIELD_CONFLICT`.
    pub code: String,
    /// The memory's id.
    pub id: String,
    /// Its member; null if the whole memory was expected to be another one.
    pub field: Option<String>,
    /// The present value; null if there is nothing.
    pub current: Option<Value>,
}
