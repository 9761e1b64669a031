//! Pausing and resuming.

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::routing::post;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, problem};
use crate::control::board::Command;
use cogzy_client::documents::{PauseRequest, Problem, StatusDocument};

#[derive(OpenApi)]
#[openapi(paths(pause, resume))]
struct PauseApi;

pub(super) fn family() -> Family {
    let routes = vec![Route::new("/v1/pause", post(pause)), Route::new("/v1/resume", post(resume))];
    Family { routes, document: PauseApi::openapi() }
}

/// Stops syncing, at once, for some seconds or until `resume`. It outlives a restart. Whatever is
/// asked for by hand still runs.
#[utoipa::path(
    post, path = "/v1/pause", request_body = PauseRequest,
    responses(
        (status = 200, body = StatusDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn pause(
    State(handles): State<Handles>,
    request: Result<Json<PauseRequest>, JsonRejection>,
) -> Result<Json<StatusDocument>, ProblemResponse> {
    let Json(PauseRequest { seconds }) = request.map_err(|error| {
        let detail = format!(r#"{}; expected {{"seconds":number or null}}"#, error.body_text());
        problem(error.status(), "bad-request", &detail)
    })?;
    // A running cycle is broken off, and goes on later from where it was.
    handles.interrupt.send_replace(true);
    handles.ask(|reply| Command::Pause { seconds, reply }).await?;
    Ok(Json(handles.board.read()))
}

/// Goes on at once.
#[utoipa::path(
    post, path = "/v1/resume",
    responses(
        (status = 200, body = StatusDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn resume(State(handles): State<Handles>) -> Result<Json<StatusDocument>, ProblemResponse> {
    handles.ask(|reply| Command::Resume { reply }).await?;
    Ok(Json(handles.board.read()))
}
