//! Transactions: several files and memories written as one, for programs in any language.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::family::{Family, Route};
use super::handles::Handles;
use super::memories::{changes, refused};
use super::problem::{ProblemResponse, bad_request, conflict, problem};
use cogzy_client::documents::{
    ConflictProblem, DeleteRequest, FieldConflictProblem, FileDocument, Problem, SchemaVersion,
    TransactionDocument, TransactionRequest, WriteRequest,
};
use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::{MemoriesError, TransactError, Transaction};

/// The longest body, in bytes: ten thousand paths fit.
const MAX_BODY: usize = 16 << 20;

/// The answers of status 409.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
enum Conflicts {
    File(ConflictProblem),
    Memory(FieldConflictProblem),
}

#[derive(OpenApi)]
#[openapi(paths(transact, file))]
struct TransactionsApi;

pub(super) fn family() -> Family {
    let transactions = Route { max_body: MAX_BODY, ..Route::new("/v1/transactions", post(transact)) };
    Family {
        routes: vec![transactions, Route::new("/v1/files", get(file))],
        document: TransactionsApi::openapi(),
    }
}

/// Writes several files and memories as one, or none of them.
#[utoipa::path(
    post, path = "/v1/transactions", request_body = TransactionRequest,
    responses(
        (status = 200, body = TransactionDocument, description = "All of it is written, now or when it was first asked for"),
        (status = 409, body = Conflicts, content_type = "application/problem+json", description = "`code` CONFLICT: `path` no longer holds what was expected but `current`; FIELD_CONFLICT: the memory `id`, or its `field`, is no longer what was expected but `current`"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn transact(
    State(handles): State<Handles>,
    request: Result<Json<TransactionRequest>, JsonRejection>,
) -> Result<Json<TransactionDocument>, Response> {
    let Json(request) = request.map_err(|error| {
        let expected = r#"expected {"transaction_id","source_id","expected":{},"writes":[{"path","staged"}],"deletes":[],"puts":[{"group","entry","vector"}],"expect":[]}"#;
        problem(error.status(), "bad-request", &format!("{}; {expected}", error.body_text())).into_response()
    })?;
    let engine = Arc::clone(&handles.engine);
    let incoming = engine.layout().incoming();
    let mut writes = BTreeMap::new();
    for WriteRequest { path, staged } in request.writes {
        let name = staged_name(&incoming, &staged).map_err(IntoResponse::into_response)?;
        if writes.insert(path.clone(), name).is_some() {
            let text = format!("{path} is written twice");
            return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "bad-request", &text).into_response());
        }
    }
    let (mut deletes, mut forgotten) = (BTreeSet::new(), Vec::new());
    for delete in request.deletes {
        match delete {
            DeleteRequest::File(path) => drop(deletes.insert(path)),
            DeleteRequest::Memory { group, id } => forgotten.push((group, id)),
        }
    }
    let (changes, vectors) =
        changes(request.puts, forgotten, request.expect, &incoming).map_err(IntoResponse::into_response)?;
    let request = Transaction {
        id: request.transaction_id,
        source: request.source_id,
        expected: request.expected,
        writes,
        deletes,
    };
    let done = tokio::task::spawn_blocking(move || {
        if changes.is_empty() {
            return engine.transact(&request).map_err(MemoriesError::from);
        }
        engine.write_memories(request, changes, &vectors)
    });
    let answer = done
        .await
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refused(&error))?;
    Ok(Json(TransactionDocument {
        schema: SchemaVersion,
        transaction_id: answer.transaction_id,
        files: answer.files,
    }))
}

/// The name below `incoming` of a file that a client has put there: that name, or the whole path.
pub(super) fn staged_name(incoming: &Path, staged: &str) -> Result<VaultPath, ProblemResponse> {
    let below = Path::new(staged).strip_prefix(incoming).ok().and_then(Path::to_str);
    VaultPath::new(below.unwrap_or(staged)).map_err(|error| {
        let text =
            format!("staged {staged:?}: {error}; expected the name of a file below {}", incoming.display());
        problem(StatusCode::UNPROCESSABLE_ENTITY, "bad-request", &text)
    })
}

#[derive(Debug, Deserialize, IntoParams)]
struct FileQuery {
    /// The path.
    path: String,
}

/// The content of a path: its BLAKE3, to be expected by a transaction.
#[utoipa::path(
    get, path = "/v1/files", params(FileQuery),
    responses(
        (status = 200, body = FileDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn file(
    State(handles): State<Handles>,
    query: Result<Query<FileQuery>, QueryRejection>,
) -> Result<Json<FileDocument>, Response> {
    let Query(FileQuery { path }) = query.map_err(|error| bad_request(error.body_text()).into_response())?;
    let path = VaultPath::new(&path).map_err(|error| bad_request(error).into_response())?;
    let (engine, asked) = (Arc::clone(&handles.engine), path.clone());
    let found = tokio::task::spawn_blocking(move || engine.digest_at(&asked)).await;
    let digest = found
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refusal(&error))?;
    Ok(Json(FileDocument { schema: SchemaVersion, path, digest }))
}

pub(super) fn internal(detail: &str) -> ProblemResponse {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail)
}

pub(super) fn refusal(error: &TransactError) -> Response {
    let detail = error.to_string();
    match error {
        TransactError::Conflict { path, current } => {
            let next = "read the file again and repeat the transaction under another id";
            conflict(&detail, next, |problem| {
                let (code, path, current) = ("CONFLICT".to_owned(), path.clone(), *current);
                ConflictProblem { problem, code, path, current }
            })
        }
        TransactError::Refused { .. } => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "refused", &detail).into_response()
        }
        TransactError::NoVault(_) => {
            let mut refusal = problem(StatusCode::SERVICE_UNAVAILABLE, "no-vault", &detail);
            refusal.0.next = "mount the disk or put the folder back, then ask again".to_owned();
            refusal.into_response()
        }
        TransactError::Busy(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "busy", &detail).into_response(),
        TransactError::Io(_) | TransactError::Stage(_) | TransactError::Apply(_) => {
            internal(&detail).into_response()
        }
    }
}
