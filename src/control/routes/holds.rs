//! Changes that wait for a decision, and their decision.

use axum::extract::{Json, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, problem};
use crate::control::board::Command;
use cogzy_client::documents::{HoldsDocument, Problem, SchemaVersion, SyncDocument};
use cogzy_engine::model::HoldId;

#[derive(OpenApi)]
#[openapi(paths(holds, approve, reject))]
struct HoldsApi;

pub(super) fn family() -> Family {
    let routes = vec![
        Route::new("/v1/holds", get(holds)),
        Route::new("/v1/holds/{id}/approve", post(approve)),
        Route::new("/v1/holds/{id}/reject", post(reject)),
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
async fn approve(handles: State<Handles>, id: Path<String>) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, id, true).await
}

/// Decides a held change the other way, and runs the cycle that carries it out.
#[utoipa::path(
    post, path = "/v1/holds/{id}/reject", params(("id" = String, Path, description = "The hold's id")),
    responses(
        (status = 200, body = SyncDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn reject(handles: State<Handles>, id: Path<String>) -> Result<Json<SyncDocument>, ProblemResponse> {
    decide(handles, id, false).await
}

async fn decide(
    State(handles): State<Handles>,
    Path(id): Path<String>,
    approve: bool,
) -> Result<Json<SyncDocument>, ProblemResponse> {
    let hold: HoldId = id.parse().map_err(bad_request)?;
    if handles.board.read().holds.iter().all(|open| open.id != hold) {
        return Err(problem(StatusCode::NOT_FOUND, "no-such-hold", &format!("no hold {hold} is open")));
    }
    Ok(Json(handles.ask(|reply| Command::Decide { hold, approve, reply }).await?))
}
