//! Looks at the past and ways back to it: history, conflicts, restore, undo, reset. And the end of
//! the past: prune.

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Json, Path, Query, State};
use axum::routing::{get, post};
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request};
use crate::control::jobs::{Job, JobDocument, RewriteJob};
use cogzy_client::documents::{
    ConflictsDocument, DryRunRequest, HistoryDocument, NamedGeneration, Problem, PruneDocument,
    ResetDocument, ResolveRequest, ResolveSeveralRequest, RestoreRequest, RewriteDocument, UndoRequest,
};
use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::Point;

#[derive(OpenApi)]
#[openapi(paths(history, conflicts, resolve, resolve_several, restore, undo, reset, prune))]
struct RecoveryApi;

pub(super) fn family() -> Family {
    let routes = vec![
        Route::new("/v1/history", get(history)),
        Route::new("/v1/conflicts", get(conflicts)),
        Route::new("/v1/conflicts/{id}/resolve", post(resolve)),
        Route { max_body: MAX_DECISIONS, ..Route::new("/v1/conflicts/resolve", post(resolve_several)) },
        Route { max_body: MAX_PATHS, ..Route::new("/v1/restore", post(restore)) },
        Route::new("/v1/undo", post(undo)),
        Route::new("/v1/reset", post(reset)),
        Route::new("/v1/prune", post(prune)),
    ];
    Family { routes, document: RecoveryApi::openapi() }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// A file or a folder, whose versions are listed instead of all generations.
    #[param(value_type = Option<String>)]
    path: Option<VaultPath>,
}

/// The longest list of decisions, in bytes: some ten thousand of them.
const MAX_DECISIONS: usize = 2 << 20;

/// The longest list of paths, in bytes: as much as a shell passes to a command, and more.
const MAX_PATHS: usize = 8 << 20;

type JobResult = Result<Json<JobDocument>, ProblemResponse>;

/// All generations, or the versions of a path, newest first.
#[utoipa::path(
    get, path = "/v1/history", params(HistoryQuery),
    responses(
        (status = 200, body = HistoryDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn history(
    State(handles): State<Handles>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> JobResult {
    let Query(query) = query.map_err(|error| bad_request(error.body_text()))?;
    Ok(Json(handles.run(Job::History(query.path)).await?))
}

/// The open conflicts.
#[utoipa::path(
    get, path = "/v1/conflicts",
    responses(
        (status = 200, body = ConflictsDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn conflicts(State(handles): State<Handles>) -> JobResult {
    Ok(Json(handles.run(Job::Conflicts).await?))
}

/// Decides a conflict, for all devices.
#[utoipa::path(
    post, path = "/v1/conflicts/{id}/resolve", params(("id" = String, Path, description = "The conflict's id")),
    request_body = ResolveRequest,
    responses(
        (status = 200, body = RewriteDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn resolve(
    State(handles): State<Handles>,
    Path(id): Path<String>,
    request: Result<Json<ResolveRequest>, JsonRejection>,
) -> JobResult {
    let Json(ResolveRequest { keep, yes }) = request.map_err(|error| bad_request(error.body_text()))?;
    let id = id.parse().map_err(bad_request)?;
    Ok(Json(handles.run(Job::Decide { id, keep, yes }).await?))
}

/// Decides several conflicts, for all devices and in one generation.
#[utoipa::path(
    post, path = "/v1/conflicts/resolve", request_body = ResolveSeveralRequest,
    responses(
        (status = 200, body = RewriteDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn resolve_several(
    State(handles): State<Handles>,
    request: Result<Json<ResolveSeveralRequest>, JsonRejection>,
) -> JobResult {
    let Json(ResolveSeveralRequest { decisions, yes }) =
        request.map_err(|error| bad_request(error.body_text()))?;
    Ok(Json(handles.run(Job::Rewrite(RewriteJob::Resolve { decisions, yes })).await?))
}

/// Puts paths, or everything, back to what they were, as a new generation.
#[utoipa::path(
    post, path = "/v1/restore", request_body = RestoreRequest,
    responses(
        (status = 200, body = RewriteDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn restore(
    State(handles): State<Handles>,
    request: Result<Json<RestoreRequest>, JsonRejection>,
) -> JobResult {
    let Json(RestoreRequest { generation, at, paths, yes }) =
        request.map_err(|error| bad_request(error.body_text()))?;
    let point = match (generation, at) {
        (Some(NamedGeneration(generation)), None) => Point::Generation(generation),
        (None, Some(at)) => {
            let time: jiff::Timestamp = at.parse().map_err(bad_request)?;
            Point::Time(time.as_millisecond().max(0).unsigned_abs())
        }
        _ => return Err(bad_request("expected either a generation or a time (at)")),
    };
    Ok(Json(handles.run(Job::Rewrite(RewriteJob::Restore { point, paths, yes })).await?))
}

/// Takes back the changes of one generation, as a new generation.
#[utoipa::path(
    post, path = "/v1/undo", request_body = UndoRequest,
    responses(
        (status = 200, body = RewriteDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn undo(
    State(handles): State<Handles>,
    request: Result<Json<UndoRequest>, JsonRejection>,
) -> JobResult {
    let Json(UndoRequest { generation, force, yes }) =
        request.map_err(|error| bad_request(error.body_text()))?;
    let point = generation.map_or(Point::Newest, |NamedGeneration(named)| Point::Generation(named));
    Ok(Json(handles.run(Job::Rewrite(RewriteJob::Undo { point, force, yes })).await?))
}

/// Replaces the vault by the backup's newest generation. A request without a body means to do it.
#[utoipa::path(
    post, path = "/v1/reset", request_body = Option<DryRunRequest>,
    responses(
        (status = 200, body = ResetDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn reset(State(handles): State<Handles>, body: Bytes) -> JobResult {
    Ok(Json(handles.run(Job::Reset { dry_run: dry_run(&body)? }).await?))
}

/// Removes data that retention no longer needs from the bucket. A request without a body means to
/// do it.
#[utoipa::path(
    post, path = "/v1/prune", request_body = Option<DryRunRequest>,
    responses(
        (status = 200, body = PruneDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn prune(State(handles): State<Handles>, body: Bytes) -> JobResult {
    Ok(Json(handles.run(Job::Prune { dry_run: dry_run(&body)? }).await?))
}

fn dry_run(body: &Bytes) -> Result<bool, ProblemResponse> {
    let request = if body.is_empty() { Ok(DryRunRequest::default()) } else { serde_json::from_slice(body) };
    Ok(request.map_err(bad_request)?.dry_run)
}
