//! The OpenAPI document, merged from those of the families, so that it cannot forget one.

use std::sync::Arc;

use axum::extract::Json;
use axum::routing::get;
use utoipa::OpenApi;

use super::family::{Family, Route};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cogzy-vault",
        description = "The control socket of the daemon: HTTP/1.1 and JSON over a Unix socket, for its owner only."
    ),
    paths(openapi)
)]
struct RootApi;

/// The family of the document itself, which merges those of the `others`.
pub(super) fn family(others: &[Family]) -> Family {
    let mut document = RootApi::openapi();
    for family in others {
        document.merge(family.document.clone());
    }
    let whole = Arc::new(document.clone());
    let route = Route::new("/v1/openapi.json", get(async move || openapi(&whole)));
    Family { routes: vec![route], document }
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
fn openapi(whole: &utoipa::openapi::OpenApi) -> Json<utoipa::openapi::OpenApi> {
    Json(whole.clone())
}
