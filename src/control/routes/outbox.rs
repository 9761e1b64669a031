//! Paths that are still to be sent.

use axum::extract::{Json, State};
use axum::routing::get;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use super::problem::ProblemResponse;
use cogzy_client::documents::{OutboxDocument, Problem, SchemaVersion, WaitingDocument, moment};

/// The largest number of paths that are listed; the others are only counted.
const MAX_LISTED: usize = 1000;

#[derive(OpenApi)]
#[openapi(paths(outbox))]
struct OutboxApi;

pub(super) fn family() -> Family {
    Family { routes: vec![Route::new("/v1/outbox", get(outbox))], document: OutboxApi::openapi() }
}

/// The paths that are still to be sent, each with the time since when and the last error; the first
/// thousand of them.
#[utoipa::path(
    get, path = "/v1/outbox",
    responses(
        (status = 200, body = OutboxDocument),
        (status = "default", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn outbox(State(handles): State<Handles>) -> Result<Json<OutboxDocument>, ProblemResponse> {
    let (total, listed) = handles.read(async |engine| Ok(engine.outbox(MAX_LISTED)?)).await?;
    let waiting = listed.into_iter().map(|(path, waiting)| WaitingDocument {
        path,
        first_seen: moment(waiting.first_seen_ms),
        attempts: waiting.attempts,
        error: waiting.error,
        next_retry: waiting.next_retry_ms.map(moment),
    });
    Ok(Json(OutboxDocument { schema: SchemaVersion, total, waiting: waiting.collect() }))
}
