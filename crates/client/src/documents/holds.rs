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
    /// The effect of that command, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub approving: String,
    /// The command that decides the other way. None if it is decided in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reject: Option<String>,
    /// The effect of that command, or the way to do it instead, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rejecting: String,
}

impl From<&Hold> for HoldDocument {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id,
            reason: hold.to_string(),
            items: hold.items.iter().map(ToString::to_string).collect(),
            next: format!("cogzy-vault approve {}", hold.id),
            approving: hold.if_approved().to_owned(),
            reject: hold.can_be_rejected().then(|| format!("cogzy-vault approve --reject {}", hold.id)),
            rejecting: hold.if_rejected().to_owned(),
        }
    }
}

/// `POST /v1/holds/approve` and `POST /v1/holds/reject`: several at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideRequest {
    /// The holds' ids.
    #[schema(value_type = Vec<String>)]
    pub holds: Vec<HoldId>,
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
