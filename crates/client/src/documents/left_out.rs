//! Groups without some of their derived members, and the program that computes them again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::moment;
use cogzy_engine::model::VaultPath;
use cogzy_engine::sync::LeftOut;

/// A group of which the newest generation lacks derived members, since they did not belong to its
/// memories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeftOutDocument {
    /// The group's name.
    pub group: String,
    /// The members. In an event, empty once all of them are there again.
    pub left_out: Vec<String>,
    /// The time since which they are missing here, RFC 3339.
    pub since: String,
    /// The last run of the program that computes them again (`hooks.rebuild`), if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildDocument>,
}

/// A run of the program that computes derived members again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebuildDocument {
    /// The state of the run.
    pub state: RebuildState,
    /// The time when it came into that state, RFC 3339.
    pub at: String,
    /// The last line that the program has written, once it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_line: Option<String>,
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildState {
    /// The program runs.
    Running,
    /// It has ended well. What it has written is sent once it has settled.
    Done,
    /// It could not be started, took too long, or ended with an error.
    Failed,
}

impl From<&LeftOut> for LeftOutDocument {
    fn from(left_out: &LeftOut) -> Self {
        Self {
            group: left_out.group.clone(),
            left_out: left_out.paths.iter().map(VaultPath::to_string).collect(),
            since: moment(left_out.since_ms),
            rebuild: None,
        }
    }
}
