//! Pausing and resuming.

use axum::body::Bytes;
use axum::extract::{Json, State};
use axum::routing::post;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::{ProblemResponse, bad_request, stopping};
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
async fn pause(State(handles): State<Handles>, body: Bytes) -> Result<Json<StatusDocument>, ProblemResponse> {
    let request =
        if body.is_empty() { Ok(PauseRequest { seconds: None }) } else { serde_json::from_slice(&body) };
    let PauseRequest { seconds } =
        request.map_err(|error| bad_request(format!(r#"{error}; expected {{"seconds":number or null}}"#)))?;
    // A running cycle is broken off, and goes on later from where it was. Once it is, the pause has
    // to follow, though its client may leave meanwhile.
    handles.interrupt.send_replace(true);
    let begun = tokio::spawn(handles.ask(|reply| Command::Pause { seconds, reply }));
    begun.await.map_err(|_| stopping())??;
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
