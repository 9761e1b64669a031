//! Objects in the bucket that are not as the vault's devices make them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moment;
use cogzy_engine::sync::Aside;

/// Number of objects that are told one by one.
const FIRST: usize = 10;

/// Objects in the bucket that were set aside, or are not believed. Syncing goes on without what
/// they say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsideDocument {
    /// The number of objects.
    pub count: usize,
    /// The first of them.
    pub objects: Vec<AsideObject>,
    /// The command to run, or the thing to do, next.
    pub next: String,
}

/// An object that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AsideObject {
    /// Its key.
    pub key: String,
    /// The reason, as half a sentence.
    pub why: String,
    /// The time when this device first saw it, RFC 3339.
    pub since: String,
}

impl AsideDocument {
    /// The document of these objects, if there are any.
    #[must_use]
    pub fn of(aside: &[Aside]) -> Option<Self> {
        let object = |aside: &Aside| AsideObject {
            key: aside.key.clone(),
            why: aside.why.clone(),
            since: moment(aside.since_ms),
        };
        let next = "see who else has a key to the bucket; `cogzy-vault verify --repair`, a day after they came, tells of them no more";
        (!aside.is_empty()).then(|| Self {
            count: aside.len(),
            objects: aside.iter().take(FIRST).map(object).collect(),
            next: next.to_owned(),
        })
    }
}
