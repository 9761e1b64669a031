//! Writing several files as one, for programs in any language.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::{Family, Handles, Refusal, Route, bad_request, problem};
use cogzy_client::documents::{Problem, SCHEMA};
use cogzy_engine::model::{Digest, VaultPath};
use cogzy_engine::sync::{TransactError, Transaction};

/// Ten thousand paths fit.
const MAX_BODY: usize = 16 << 20;

#[derive(OpenApi)]
#[openapi(paths(transact, file))]
struct Document;

pub(super) fn family() -> Family {
    let transactions = Route { max_body: MAX_BODY, ..Route::new("/v1/transactions", post(transact)) };
    Family { routes: vec![transactions, Route::new("/v1/files", get(file))], document: Document::openapi() }
}

/// `POST /v1/transactions`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TransactionRequest {
    /// Names the transaction; the client chooses. The same name again is answered as the first time and changes nothing.
    transaction_id: String,
    /// Who asks, for the log.
    #[serde(default)]
    source_id: String,
    /// What must stand at these paths: BLAKE3 as 64 hex digits, or null where nothing may.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    expected: BTreeMap<VaultPath, Option<Digest>>,
    /// What is written.
    #[serde(default)]
    writes: Vec<WriteRequest>,
    /// What is deleted.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    deletes: BTreeSet<VaultPath>,
}

/// One file of a transaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WriteRequest {
    /// Where it will stand.
    #[schema(value_type = String)]
    path: VaultPath,
    /// The file with its bytes: a name below `sync/incoming/` in the vault, where the client has put it. It is taken away.
    staged: String,
}

/// What a transaction did.
#[derive(Debug, Serialize, ToSchema)]
struct TransactionDocument {
    schema: u32,
    transaction_id: String,
    /// Each changed path, with what stands there since.
    #[schema(value_type = BTreeMap<String, Option<String>>)]
    files: BTreeMap<VaultPath, Option<Digest>>,
}

/// Writes several files as one, or none of them.
#[utoipa::path(
    post, path = "/v1/transactions", request_body = TransactionRequest,
    responses(
        (status = 200, body = TransactionDocument, description = "All of it is written, now or when it was first asked for"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "`code` CONFLICT: `path` no longer holds what was expected but `current`"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn transact(
    State(handles): State<Handles>,
    request: Result<Json<TransactionRequest>, JsonRejection>,
) -> Result<Json<TransactionDocument>, Response> {
    let Json(request) = request.map_err(|error| {
        let expected = r#"expected {"transaction_id","source_id","expected":{},"writes":[{"path","staged"}],"deletes":[]}"#;
        problem(error.status(), "bad-request", &format!("{}; {expected}", error.body_text())).into_response()
    })?;
    let engine = Arc::clone(&handles.engine);
    let incoming = engine.layout().incoming();
    let mut writes = BTreeMap::new();
    for WriteRequest { path, staged } in request.writes {
        let below = std::path::Path::new(&staged).strip_prefix(&incoming).ok().and_then(|path| path.to_str());
        let name = VaultPath::new(below.unwrap_or(&staged)).map_err(|error| {
            let text = format!(
                "staged {staged:?}: {error}; expected the name of a file below {}",
                incoming.display()
            );
            problem(StatusCode::UNPROCESSABLE_ENTITY, "bad-request", &text).into_response()
        })?;
        if writes.insert(path.clone(), name).is_some() {
            let text = format!("{path} is written twice");
            return Err(problem(StatusCode::UNPROCESSABLE_ENTITY, "bad-request", &text).into_response());
        }
    }
    let request = Transaction {
        id: request.transaction_id,
        source: request.source_id,
        expected: request.expected,
        writes,
        deletes: request.deletes,
    };
    let done = tokio::task::spawn_blocking(move || engine.transact(&request)).await;
    let answer = done
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refusal(&error))?;
    Ok(Json(TransactionDocument {
        schema: SCHEMA,
        transaction_id: answer.transaction_id,
        files: answer.files,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
struct FileQuery {
    /// Which path.
    path: String,
}

/// What stands at a path now: its BLAKE3, to be expected by a transaction.
#[utoipa::path(
    get, path = "/v1/files", params(FileQuery),
    responses(
        (status = 200, body = serde_json::Value, description = "`path`, and `digest` or null where nothing stands"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn file(
    State(handles): State<Handles>,
    Query(FileQuery { path }): Query<FileQuery>,
) -> Result<Json<serde_json::Value>, Response> {
    let path = VaultPath::new(&path).map_err(|error| bad_request(error).into_response())?;
    let (engine, asked) = (Arc::clone(&handles.engine), path.clone());
    let found = tokio::task::spawn_blocking(move || engine.digest_at(&asked)).await;
    let digest = found
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refusal(&error))?;
    Ok(Json(json!({ "schema": SCHEMA, "path": path, "digest": digest })))
}

fn internal(detail: &str) -> Refusal {
    problem(StatusCode::INTERNAL_SERVER_ERROR, "failed", detail)
}

fn refusal(error: &TransactError) -> Response {
    let detail = error.to_string();
    match error {
        TransactError::Conflict { path, current } => {
            let body = json!({
                "type": "about:cogzy-vault/conflict", "title": "Conflict", "status": 409, "detail": detail, "advice": null,
                "next": "read the file again and repeat the transaction under another id",
                "code": "CONFLICT", "path": path, "current": current,
            });
            (StatusCode::CONFLICT, [(header::CONTENT_TYPE, "application/problem+json")], Json(body))
                .into_response()
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
