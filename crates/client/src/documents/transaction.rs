//! Writing several files and memories as one, over the socket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeleteRequest, ExpectRequest, Problem, PutRequest, SchemaVersion};
use cogzy_engine::model::{Digest, VaultPath};

/// `POST /v1/transactions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransactionRequest {
    /// The transaction's name; the client chooses it. The same name again gets the same answer and
    /// changes nothing.
    pub transaction_id: String,
    /// The client's name, for the log.
    #[serde(default)]
    pub source_id: String,
    /// The content that must stand at these paths: BLAKE3 as 64 hex digits, or null where nothing
    /// may.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub expected: BTreeMap<VaultPath, Option<Digest>>,
    /// The files to write.
    #[serde(default)]
    pub writes: Vec<WriteRequest>,
    /// The files to delete, each by its path, and the memories, each as `{"group", "id"}`.
    #[serde(default)]
    #[schema(value_type = Vec<serde_json::Value>)]
    pub deletes: Vec<DeleteRequest>,
    /// The memories to write, each with its vector.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub puts: Vec<PutRequest>,
    /// States in which memories must be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<ExpectRequest>,
}

/// One file of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteRequest {
    /// The path in the vault.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// The file with its bytes: a name below `sync/incoming/` in the vault, where the client has
    /// put it. It is taken away.
    pub staged: String,
}

/// The result of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransactionDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The transaction's name.
    pub transaction_id: String,
    /// Each changed path, with the digest of its content since; null where it was deleted.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    pub files: BTreeMap<VaultPath, Option<Digest>>,
}

/// The content of a path: `GET /v1/files`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The path.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// BLAKE3 of the content, to be expected by a transaction; null where nothing stands.
    #[schema(value_type = Option<String>)]
    pub digest: Option<Digest>,
}

/// A transaction that was refused because another program had written: a [`Problem`] with the path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConflictProblem {
    /// The error.
    #[serde(flatten)]
    pub problem: Problem,
    /// Always `CONFLICT`.
    pub code: String,
    /// The first path whose content is not the expected one.
    #[schema(value_type = String)]
    pub path: VaultPath,
    /// The digest of its content now; null where nothing stands.
    #[schema(value_type = Option<String>)]
    pub current: Option<Digest>,
}
