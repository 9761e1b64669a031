//! Bodies of requests. An unknown field is refused: a slip must not be taken for the default.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use cogzy_engine::model::{Resolution, VaultPath};
use cogzy_engine::sync::{Generation, Lost};

/// `POST /v1/sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRequest {
    /// Answer when the cycle has ended, with its result; otherwise at once.
    #[serde(default = "yes")]
    pub wait: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Also send derived members that would stay here.
    #[serde(default)]
    pub derived: bool,
}

const fn yes() -> bool {
    true
}

/// `POST /v1/pause`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Length of the pause; without one it lasts until `resume`.
    #[serde(default)]
    pub seconds: Option<u64>,
}

/// `POST /v1/restore`: to either a generation or a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The generation to go back to.
    pub generation: Option<NamedGeneration>,
    /// The time to go back to, RFC 3339.
    pub at: Option<String>,
    /// Files or folders; everything where there are none.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub paths: Vec<VaultPath>,
    /// Go on although it looks like an accident.
    #[serde(default)]
    pub yes: bool,
}

/// `POST /v1/undo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoRequest {
    /// The generation to take back; the newest where none is named.
    pub generation: Option<NamedGeneration>,
    /// Go on although later changes touch the same files.
    #[serde(default)]
    pub force: bool,
    /// Go on although it looks like an accident.
    #[serde(default)]
    pub yes: bool,
}

/// The version of a conflict that is kept, as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeptVersion {
    /// That of this device.
    This,
    /// That of the other device.
    Other,
    /// Both, side by side.
    Both,
    /// Both, merged memory by memory.
    Merged,
    /// The one that lost.
    Lost,
    /// The one that stands.
    Stands,
    /// That of the device of this name.
    Of(String),
}

impl TryFrom<String> for KeptVersion {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Ok(match text.as_str() {
            "this" => Self::This,
            "other" => Self::Other,
            "both" => Self::Both,
            "merged" => Self::Merged,
            "mine" | "aside" => Self::Lost,
            "remote" | "stands" => Self::Stands,
            "" => return Err("expected this, other, both, merged, aside, stands or the name of a device"),
            _ => Self::Of(text),
        })
    }
}

impl From<KeptVersion> for String {
    fn from(version: KeptVersion) -> Self {
        match version {
            KeptVersion::This => "this".to_owned(),
            KeptVersion::Other => "other".to_owned(),
            KeptVersion::Both => "both".to_owned(),
            KeptVersion::Merged => "merged".to_owned(),
            KeptVersion::Lost => "aside".to_owned(),
            KeptVersion::Stands => "stands".to_owned(),
            KeptVersion::Of(device) => device,
        }
    }
}

/// `POST /v1/conflicts/{id}/resolve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// `this`, the version that the daemon's device made; `other`, that of the other device;
    /// `both`, side by side; `merged`, a group's versions memory by memory; `mine` or `aside`, the
    /// version that lost; `remote` or `stands`, the one that stands; or the name of the device that
    /// made it.
    #[schema(value_type = String)]
    pub keep: KeptVersion,
    /// Go on although it looks like an accident.
    #[serde(default)]
    pub yes: bool,
}

/// `POST /v1/conflicts/resolve`: several at once, in one generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveSeveralRequest {
    /// The conflicts, each with the version that is kept: `mine`, the one that lost; `remote`, the
    /// one that stands; `both`, side by side.
    #[schema(value_type = Vec<Object>)]
    pub decisions: Vec<Resolution>,
    /// Go on although it looks like an accident.
    #[serde(default)]
    pub yes: bool,
}

/// `POST /v1/reset` and `POST /v1/prune`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunRequest {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Read every pack.
    #[serde(default)]
    pub deep: bool,
    /// Put right what can be; reads every pack.
    #[serde(default)]
    pub repair: bool,
    /// With `repair`: give up what stays lost, unless more is lost than these versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub give_up: Option<Vec<Lost>>,
}

/// A generation as a request names it: a number, or a text such as `7-3fa2`.
#[derive(Debug, Clone, PartialEq, Eq, ToSchema)]
#[schema(value_type = String)]
pub struct NamedGeneration(pub Generation);

impl Serialize for NamedGeneration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NamedGeneration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;

        impl Visitor<'_> for NumberOrText {
            type Value = NamedGeneration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a generation's number, or a text such as \"7-3fa2\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<NamedGeneration, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<NamedGeneration, E> {
                text.parse().map(NamedGeneration).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberOrText)
    }
}
