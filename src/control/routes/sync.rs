//! Cycles on demand.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, problem};
use crate::control::board::Command;
use cogzy_client::documents::{Problem, SyncDocument, SyncRequest};
use cogzy_engine::sync::Unwatched;

#[derive(OpenApi)]
#[openapi(paths(sync, retry))]
struct SyncApi;

pub(super) fn family() -> Family {
    let routes = vec![Route::new("/v1/sync", post(sync)), Route::new("/v1/retry", post(retry))];
    Family { routes, document: SyncApi::openapi() }
}

/// Runs a whole cycle, or forecasts it.
#[utoipa::path(
    post, path = "/v1/sync", request_body = SyncRequest,
    responses(
        (status = 200, body = SyncDocument, description = "What the cycle did"),
        (status = 202, description = "With `wait` false: it will run"),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn sync(
    State(handles): State<Handles>,
    request: Result<Json<SyncRequest>, JsonRejection>,
) -> Result<Response, ProblemResponse> {
    let Json(SyncRequest { wait, dry_run, derived }) = request.map_err(|error| {
        let expected = r#"expected {"wait":bool,"dry_run":bool,"derived":bool}"#;
        problem(error.status(), "bad-request", &format!("{}; {expected}", error.body_text()))
    })?;
    if dry_run {
        let survey = handles.read(async move |engine| engine.dry_run(derived, &Unwatched).await).await?;
        return Ok(Json(SyncDocument::of_plan(&survey.plan, survey.generation())).into_response());
    }
    if wait {
        let answer = handles.ask(|reply| Command::Sync { derived, reply, ticket: None });
        return Ok(Json(answer.await?).into_response());
    }
    handles.sync_later(derived);
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Tries again at once, even what was given up.
#[utoipa::path(post, path = "/v1/retry", responses((status = 202, description = "It is tried again")))]
async fn retry(State(handles): State<Handles>) -> Result<StatusCode, ProblemResponse> {
    handles.send(Command::Retry).await?;
    Ok(StatusCode::ACCEPTED)
}
