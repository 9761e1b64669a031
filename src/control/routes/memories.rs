//! Single memories: read by id, and the part of a transaction that changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, conflict, problem};
use super::transactions::{internal, refusal};
use cogzy_client::documents::{
    ExpectRequest, FieldConflictProblem, MemoriesDocument, MemoryId, Problem, PutRequest, SchemaVersion,
    VectorRequest,
};
use cogzy_engine::sync::{Edit, Expectation, Id, MemoriesError, Put, Unedited, Vector};

/// What is expected of memories and changed in them, by group.
pub(super) type Changes = BTreeMap<String, (Vec<Expectation>, Vec<Edit>)>;

#[derive(OpenApi)]
#[openapi(paths(memories))]
struct MemoriesApi;

pub(super) fn family() -> Family {
    Family { routes: vec![Route::new("/v1/memories", get(memories))], document: MemoriesApi::openapi() }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct MemoriesQuery {
    /// The group, such as `nodes`.
    group: String,
    /// The ids, parted by commas.
    #[serde(default)]
    ids: String,
    /// One id, which may have commas.
    id: Option<String>,
    /// Their vectors, too.
    #[serde(default)]
    vectors: bool,
}

/// Memories by id, each with the digests that a transaction may expect.
#[utoipa::path(
    get, path = "/v1/memories", params(MemoriesQuery),
    responses(
        (status = 200, body = MemoriesDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn memories(
    State(handles): State<Handles>,
    Query(MemoriesQuery { group, ids, id, vectors }): Query<MemoriesQuery>,
) -> Result<Json<MemoriesDocument>, Response> {
    // A number in a query may be an id of either kind.
    let both = |text: &str| [Some(Id::text(text)), Id::read(text).filter(|id| id.number().is_some())];
    let asked = ids.split(',').filter(|id| !id.is_empty()).chain(id.as_deref());
    let ids: BTreeSet<Id> = asked.flat_map(both).flatten().collect();
    if ids.is_empty() {
        return Err(bad_request("expected ids=ID,ID or id=ID").into_response());
    }
    let (engine, name) = (Arc::clone(&handles.engine), group.clone());
    let found = tokio::task::spawn_blocking(move || engine.memories(&name, &ids, vectors)).await;
    let found = found
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refused(&error))?;
    let memories = found.into_iter().map(Into::into).collect();
    Ok(Json(MemoriesDocument { schema: SchemaVersion, group, memories }))
}

/// The changes of memories that a request asks for. `deletes` are the groups and ids to delete.
pub(super) fn changes(
    puts: Vec<PutRequest>,
    deletes: Vec<(String, MemoryId)>,
    expect: Vec<ExpectRequest>,
) -> Result<Changes, ProblemResponse> {
    let mut changes = Changes::new();
    for PutRequest { group, entry, vector } in puts {
        #[derive(Deserialize)]
        struct Named {
            id: MemoryId,
        }
        let entry = entry.0.get().to_owned();
        let Named { id } = serde_json::from_str(&entry)
            .map_err(|error| unusable(&format!("a memory to put in {group:?}: {error}")))?;
        let vector = vector.map(|vector| match vector {
            VectorRequest::Numbers(numbers) => Ok(Vector::Numbers(numbers)),
            VectorRequest::Bytes { base64 } => BASE64_STANDARD.decode(base64).map(Vector::Bytes),
        });
        let vector = vector
            .transpose()
            .map_err(|error| unusable(&format!("the vector of {:?} is no base64: {error}", id.0.told())))?;
        changes.entry(group).or_default().1.push(Edit { id: id.0, put: Some(Put { entry, vector }) });
    }
    for (group, MemoryId(id)) in deletes {
        changes.entry(group).or_default().1.push(Edit { id, put: None });
    }
    for ExpectRequest { group, id, field, value_digest } in expect {
        let expected = Expectation { id: id.0, field, digest: value_digest };
        changes.entry(group).or_default().0.push(expected);
    }
    Ok(changes)
}

fn unusable(why: &str) -> ProblemResponse {
    problem(StatusCode::UNPROCESSABLE_ENTITY, "bad-request", why)
}

/// The answer to a request for memories that was not carried out.
pub(super) fn refused(error: &MemoriesError) -> Response {
    let detail = error.to_string();
    match error {
        MemoriesError::Transaction(error) => refusal(error),
        MemoriesError::Shared(error) => refused(error),
        MemoriesError::Unedited { cause: Unedited::Changed { id, field, current }, .. } => {
            let next = "read the memory again and repeat the transaction under another id";
            conflict(&detail, next, |problem| {
                let current = current.as_deref().and_then(|text| serde_json::from_str(text).ok());
                let (code, id, field) = ("FIELD_CONFLICT".to_owned(), id.clone(), field.clone());
                FieldConflictProblem { problem, code, id, field, current }
            })
        }
        MemoriesError::Unedited { .. } | MemoriesError::NoCollection(_) => {
            problem(StatusCode::UNPROCESSABLE_ENTITY, "refused", &detail).into_response()
        }
    }
}
