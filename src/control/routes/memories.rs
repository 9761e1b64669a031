//! Single memories: read by id, and the part of a transaction that changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, conflict, problem};
use super::since::{SinceQuery, since as answer_since};
use super::transactions::{internal, refusal, staged_name};
use cogzy_client::documents::{
    ExpectRequest, FieldConflictProblem, GenerationGoneProblem, MemoriesDocument, MemoryChangesDocument,
    MemoryId, Problem, PutRequest, RowRequest, SchemaVersion, VectorRequest,
};
use cogzy_engine::sync::{
    Edit, Expectation, Id, MemoriesError, Put, StagedRow, StagedRows, Unedited, Vector,
};

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
#[into_params(parameter_in = Query)]
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
    /// Instead of ids: those that differ from this generation, a number or a text such as `7-3fa2`;
    /// 0 for all of them.
    since: Option<String>,
    /// With `since`: up to this generation, that of the page before; without it up to the newest.
    until: Option<String>,
    /// With `since`: only memories after the one with this id, in JSON; `next` names it.
    after: Option<String>,
    /// With `since`: the largest number of memories on a page.
    limit: Option<usize>,
}

/// The answers: by id, and since a generation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
enum MemoriesAnswer {
    Found(MemoriesDocument),
    Changed(MemoryChangesDocument),
}

/// Memories by id, as they stand here, each with the digests that a transaction may expect. With
/// `since`, the memories that differ between that generation and the newest one that this device has
/// agreed on, page by page: whoever asks again since `until` misses nothing and is told nothing twice.
#[utoipa::path(
    get, path = "/v1/memories", params(MemoriesQuery),
    responses(
        (status = 200, body = MemoriesAnswer),
        (status = 410, body = GenerationGoneProblem, content_type = "application/problem+json", description = "`code` GENERATION_GONE: this device does not know the generation, or its contents are gone; read all memories anew, with `since=0`"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn memories(
    State(handles): State<Handles>,
    query: Result<Query<MemoriesQuery>, QueryRejection>,
) -> Result<Response, Response> {
    let Query(query) = query.map_err(|error| bad_request(error.body_text()).into_response())?;
    let MemoriesQuery { group, ids, id, vectors, since, until, after, limit } = query;
    if let Some(since) = since {
        if !ids.is_empty() || id.is_some() {
            return Err(bad_request("expected either since=GENERATION or ids, not both").into_response());
        }
        return answer_since(&handles, SinceQuery { group, since, until, after, limit, vectors }).await;
    }
    if until.is_some() || after.is_some() || limit.is_some() {
        return Err(bad_request("until, after and limit go with since=GENERATION").into_response());
    }
    // A number in a query may be an id of either kind.
    let both = |text: &str| [Some(Id::text(text)), Id::read(text).filter(|id| id.number().is_some())];
    let asked = ids.split(',').filter(|id| !id.is_empty()).chain(id.as_deref());
    let ids: BTreeSet<Id> = asked.flat_map(both).flatten().collect();
    if ids.is_empty() {
        return Err(bad_request("expected ids=ID,ID, id=ID or since=GENERATION").into_response());
    }
    let (engine, name) = (Arc::clone(&handles.engine), group.clone());
    let found = tokio::task::spawn_blocking(move || engine.memories(&name, &ids, vectors)).await;
    let found = found
        .map_err(|error| internal(&error.to_string()).into_response())?
        .map_err(|error| refused(&error))?;
    let memories = found.into_iter().map(Into::into).collect();
    Ok(Json(MemoriesDocument { schema: SchemaVersion, group, memories }).into_response())
}

/// The changes of memories that a request asks for, and their vectors that stand in files below
/// `incoming`. `deletes` are the groups and ids to delete.
pub(super) fn changes(
    puts: Vec<PutRequest>,
    deletes: Vec<(String, MemoryId)>,
    expect: Vec<ExpectRequest>,
    incoming: &Path,
) -> Result<(Changes, StagedRows), ProblemResponse> {
    let (mut changes, mut rows) = (Changes::new(), StagedRows::new());
    for PutRequest { group, entry, vector } in puts {
        #[derive(Deserialize)]
        struct Named {
            id: MemoryId,
        }
        let entry = entry.0.get().to_owned();
        let Named { id } = serde_json::from_str(&entry)
            .map_err(|error| unusable(&format!("a memory to put in {group:?}: {error}")))?;
        let vector = match vector {
            None => None,
            Some(VectorRequest::Numbers(numbers)) => Some(Vector::Numbers(numbers)),
            Some(VectorRequest::Bytes { base64 }) => {
                let bytes = BASE64_STANDARD.decode(base64);
                let wrong = |error| format!("the vector of {:?} is no base64: {error}", id.0.told());
                Some(Vector::Bytes(bytes.map_err(|error| unusable(&wrong(error)))?))
            }
            Some(VectorRequest::Row(RowRequest { staged, row })) => {
                let file = staged_name(incoming, &staged)?;
                rows.insert((group.clone(), id.0.clone()), StagedRow { file, row });
                None
            }
        };
        changes.entry(group).or_default().1.push(Edit { id: id.0, put: Some(Put { entry, vector }) });
    }
    for (group, MemoryId(id)) in deletes {
        changes.entry(group).or_default().1.push(Edit { id, put: None });
    }
    for ExpectRequest { group, id, field, value_digest } in expect {
        let expected = Expectation { id: id.0, field, digest: value_digest };
        changes.entry(group).or_default().0.push(expected);
    }
    Ok((changes, rows))
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
