//! Changes that wait for a decision, and their decision.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, problem};
use crate::control::board::Command;
use cogzy_client::documents::{DecideRequest, HoldsDocument, Problem, SchemaVersion, SyncDocument};
use cogzy_engine::model::HoldId;

#[derive(OpenApi)]
#[openapi(paths(holds, approve, reject, approve_several, reject_several))]
struct HoldsApi;

pub(super) fn family() -> Family {
    let routes = vec![
        Route::new("/v1/holds", get(holds)),
        Route::new("/v1/holds/{id}/approve", post(approve)),
        Route::new("/v1/holds/{id}/reject", post(reject)),
        Route::new("/v1/holds/approve", post(approve_several)),
        Route::new("/v1/holds/reject", post(reject_several)),
    ];
    Family { routes, document: HoldsApi::openapi() }
}

/// The open holds.
#[utoipa::path(get, path = "/v1/holds", responses((status = 200, body = HoldsDocument)))]
async fn holds(State(handles): State<Handles>) -> Json<HoldsDocument> {
    Json(HoldsDocument { schema: SchemaVersion, holds: handles.board.read().holds })
}

/// Lets a held change pass, and runs the cycle that carries it out.
#[utoipa::path(
    post, path = "/v1/holds/{id}/approve", params(("id" = String, Path, description = "The hold's id")),
    responses(
        (status = 200, body = SyncDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn approve(
    handles: State<Handles>,
    Path(id): Path<String>,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, vec![id.parse().map_err(bad_request)?], true).await
}

/// Decides a held change the other way, and runs the cycle that carries it out.
#[utoipa::path(
    post, path = "/v1/holds/{id}/reject", params(("id" = String, Path, description = "The hold's id")),
    responses(
        (status = 200, body = SyncDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn reject(
    handles: State<Handles>,
    Path(id): Path<String>,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, vec![id.parse().map_err(bad_request)?], false).await
}

/// Lets several held changes pass, and runs the cycle that carries it out.
#[utoipa::path(
    post, path = "/v1/holds/approve", request_body = DecideRequest,
    responses(
        (status = 200, body = SyncDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn approve_several(
    handles: State<Handles>,
    request: Result<Json<DecideRequest>, JsonRejection>,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, several(request)?, true).await
}

/// Decides several held changes the other way, and runs the cycle that carries it out.
#[utoipa::path(
    post, path = "/v1/holds/reject", request_body = DecideRequest,
    responses(
        (status = 200, body = SyncDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn reject_several(
    handles: State<Handles>,
    request: Result<Json<DecideRequest>, JsonRejection>,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, several(request)?, false).await
}

fn several(request: Result<Json<DecideRequest>, JsonRejection>) -> Result<Vec<HoldId>, ProblemResponse> {
    let Json(DecideRequest { holds }) =
        request.map_err(|error| problem(error.status(), "bad-request", &error.body_text()))?;
    Ok(holds)
}

async fn decide(
    State(handles): State<Handles>,
    holds: Vec<HoldId>,
    approve: bool,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    let open = handles.board.read().holds;
    if let Some(unknown) = holds.iter().find(|hold| open.iter().all(|open| open.id != **hold)) {
        return Err(problem(StatusCode::NOT_FOUND, "no-such-hold", &format!("no hold {unknown} is open")));
    }
    Ok(Json(handles.ask(|reply| Command::Decide { holds, approve, reply }).await?))
}
