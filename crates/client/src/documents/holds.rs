//! Changes that wait for a decision.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::SchemaVersion;

use cogzy_engine::model::HoldId;
use cogzy_engine::plan::Hold;

/// A change that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldDocument {
    /// The hold's id.
    #[schema(value_type = String)]
    pub id: HoldId,
    /// The reason, for people.
    pub reason: String,
    /// The held items.
    pub items: Vec<String>,
    /// The command that lets it pass.
    pub next: String,
}

impl From<&Hold> for HoldDocument {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id,
            reason: hold.to_string(),
            items: hold.items.iter().map(ToString::to_string).collect(),
            next: format!("cogzy-vault approve {}", hold.id),
        }
    }
}

/// Holds as documents.
#[must_use]
pub fn holds(holds: &[Hold]) -> Vec<HoldDocument> {
    holds.iter().map(HoldDocument::from).collect()
}

/// `GET /v1/holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HoldsDocument {
    /// The schema's number.
    pub schema: SchemaVersion,
    /// The open holds.
    pub holds: Vec<HoldDocument>,
}
