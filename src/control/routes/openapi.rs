//! The OpenAPI document: put together from the families', so that it cannot forget one.

use axum::extract::Json;
use axum::routing::get;
use utoipa::OpenApi;

use super::{Family, Route, families};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cogzy-vault",
        description = "The control socket of the daemon: HTTP/1.1 and JSON over a Unix socket, for its owner only."
    ),
    paths(openapi)
)]
struct RootApi;

pub(super) fn family() -> Family {
    Family { routes: vec![Route::new("/v1/openapi.json", get(openapi))], document: RootApi::openapi() }
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(whole())
}

/// The documents of all families as one.
pub(super) fn whole() -> utoipa::openapi::OpenApi {
    let mut whole = RootApi::openapi();
    for family in families() {
        whole.merge(family.document);
    }
    whole
}
