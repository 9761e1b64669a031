//! The resources of the socket: one file per family, each with its routes and their part of the
//! OpenAPI document.
//!
//! A new family is a file with a `family()` and one line in `families`. All requests have this in
//! common: those of browsers are refused, bodies are bounded in size and in time, and errors are
//! RFC 9457 documents.

mod events;
mod family;
mod guard;
mod handles;
mod holds;
mod memories;
mod metrics;
mod openapi;
mod outbox;
mod pause;
mod problem;
mod recovery;
mod since;
mod status;
mod sync;
mod transactions;
mod verify;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;

use family::Family;
pub use handles::Handles;
use problem::problem;

fn families() -> Vec<Family> {
    let mut families = vec![
        status::family(),
        sync::family(),
        holds::family(),
        events::family(),
        recovery::family(),
        pause::family(),
        outbox::family(),
        transactions::family(),
        memories::family(),
        verify::family(),
        metrics::family(),
    ];
    families.push(openapi::family(&families));
    families
}

/// All resources.
pub(super) fn router(handles: Handles) -> Router {
    let (mut router, places) = (Router::new(), guard::Bounds::places());
    for route in families().into_iter().flat_map(|family| family.routes) {
        let bounded =
            middleware::from_fn_with_state(guard::Bounds::new(route.max_body, &places), guard::bound_body);
        router = router.route(route.path, route.methods.layer(bounded));
    }
    router
        .fallback(async || problem(StatusCode::NOT_FOUND, "not-found", "there is no such resource"))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "this resource takes another method",
            )
        })
        .layer(middleware::from_fn(guard::refuse_browsers))
        // The guard has bounded the body already.
        .layer(DefaultBodyLimit::disable())
        .with_state(handles)
}
