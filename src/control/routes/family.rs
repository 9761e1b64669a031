//! A family of resources: its routes, and their part of the OpenAPI document.

use axum::routing::MethodRouter;

use super::handles::Handles;

/// Resources that belong together.
pub(super) struct Family {
    pub(super) routes: Vec<Route>,
    pub(super) document: utoipa::openapi::OpenApi,
}

/// One resource.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) methods: MethodRouter<Handles>,
    /// The longest body of a request, in bytes.
    pub(super) max_body: usize,
}

impl Route {
    /// A resource whose requests are small.
    pub(super) const fn new(path: &'static str, methods: MethodRouter<Handles>) -> Self {
        Self { path, methods, max_body: 64 << 10 }
    }
}
