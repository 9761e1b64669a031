//! The status, and the daemon's health.

use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::routing::get;
use utoipa::OpenApi;

use super::family::{Family, Route};
use super::handles::Handles;
use crate::control::pulse::Silence;
use cogzy_client::documents::{HealthDocument, StatusDocument};

#[derive(OpenApi)]
#[openapi(paths(status, health))]
struct StatusApi;

pub(super) fn family() -> Family {
    let routes = vec![Route::new("/v1/status", get(status)), Route::new("/v1/health", get(health))];
    Family { routes, document: StatusApi::openapi() }
}

/// The status. Answered at once, whatever the daemon is doing.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = StatusDocument)))]
async fn status(State(handles): State<Handles>) -> Json<StatusDocument> {
    Json(handles.board.read())
}

/// The daemon's health.
#[utoipa::path(
    get, path = "/v1/health",
    responses(
        (status = 200, body = HealthDocument),
        (status = 503, body = HealthDocument, description = "Its loop hangs"),
    )
)]
async fn health(State(handles): State<Handles>) -> (StatusCode, Json<HealthDocument>) {
    let StatusDocument { state, last_sync, .. } = handles.board.read();
    let Silence { length, is_too_long } = handles.pulse.silence();
    let code = if is_too_long { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, Json(HealthDocument { ok: !is_too_long, silent_s: length.as_secs(), state, last_sync }))
}
