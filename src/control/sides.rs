//! The two versions of a conflict, by the devices that made them.
//!
//! The bucket's commits speak of the version that lost and the one that stands. A person speaks of
//! "this" or "mine", and means what this device made, whichever of the two that is.

use std::fmt;

use serde::Serialize;

use cogzy_client::documents::{KeptVersion, moment};
use cogzy_engine::model::{Conflict, ConflictId, DeviceId, Keep};
use cogzy_engine::sync::{Engine, Past, Refusal, SyncError};

/// The device and the time of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Made {
    /// The device's name.
    pub device: String,
    /// True if that is this device.
    pub is_this: bool,
    /// The time, RFC 3339; none where it was not committed yet.
    pub time: Option<String>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let this = if self.is_this { " (this device)" } else { "" };
        let time = self.time.as_deref().unwrap_or("not committed yet");
        write!(f, "{}{this}, {time}", self.device)
    }
}

/// Both versions of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sides {
    /// The one that lost.
    pub lost: Made,
    /// The one that stands, where the history tells.
    pub stands: Option<Made>,
}

impl Sides {
    /// The versions that can be named, each with what it is. `returns`: the one that was set aside
    /// can be put back.
    #[must_use]
    pub fn choices(&self, returns: bool) -> Vec<(&'static str, String)> {
        let lost = format!("the version that was set aside, of {}", self.lost.device);
        let of = self.stands.as_ref().map(|made| format!(", of {}", made.device)).unwrap_or_default();
        let stands = format!("the version that stands{of}");
        let both = ("both", "the one set aside is put beside the one that stands".to_owned());
        let (lost, stands) = (returns.then_some(lost), Some(stands));
        let one = match self.keep_this() {
            Some(Keep::Mine) => [("this", lost), ("other", stands)],
            Some(_) => [("this", stands), ("other", lost)],
            None => [("aside", lost), ("stands", stands)],
        };
        one.into_iter().filter_map(|(version, what)| Some((version, what?))).chain([both]).collect()
    }

    /// The decision for this device's version; none where it made neither or both.
    fn keep_this(&self) -> Option<Keep> {
        match (self.lost.is_this, self.stands.as_ref().is_some_and(|made| made.is_this)) {
            (true, false) => Some(Keep::Mine),
            (false, true) => Some(Keep::Remote),
            _ => None,
        }
    }
}

/// The decision that `version` stands for, of the conflict `id` with these versions.
///
/// # Errors
/// If it names neither of them, or cannot be told from the other.
pub fn chosen(version: &KeptVersion, sides: &Sides, id: ConflictId) -> Result<Keep, Refusal> {
    let unclear = |why: String| Err(Refusal::NoSuchVersion { id, why });
    let neither = || "this device made neither of the two versions, or both".to_owned();
    match version {
        KeptVersion::Lost => Ok(Keep::Mine),
        KeptVersion::Stands => Ok(Keep::Remote),
        KeptVersion::Both => Ok(Keep::Both),
        // A merge is no decision for a version: see `Job::Decide`.
        KeptVersion::Merged => unclear("a merge is asked for by itself, one conflict at a time".to_owned()),
        KeptVersion::This => sides.keep_this().map_or_else(|| unclear(neither()), Ok),
        KeptVersion::Other => match sides.keep_this() {
            Some(Keep::Mine) => Ok(Keep::Remote),
            Some(_) => Ok(Keep::Mine),
            None => unclear(neither()),
        },
        KeptVersion::Of(name) => {
            let lost = sides.lost.device == *name;
            let stands = sides.stands.as_ref().is_some_and(|made| made.device == *name);
            match (lost, stands) {
                (true, false) => Ok(Keep::Mine),
                (false, true) => Ok(Keep::Remote),
                (false, false) => unclear(format!("none of the two versions is of a device named {name}")),
                (true, true) => unclear(format!("both versions are of a device named {name}")),
            }
        }
    }
}

/// The decision that `version` stands for, of the open conflict `id`. Only a version that is named
/// by its device needs the history.
///
/// # Errors
/// See [`chosen`]; if no such conflict is open.
pub async fn decision(engine: &mut Engine, id: ConflictId, version: &KeptVersion) -> Result<Keep, SyncError> {
    match version {
        KeptVersion::Lost => Ok(Keep::Mine),
        KeptVersion::Stands => Ok(Keep::Remote),
        KeptVersion::Both => Ok(Keep::Both),
        KeptVersion::This | KeptVersion::Other | KeptVersion::Merged | KeptVersion::Of(_) => {
            let open = engine.conflicts().await?;
            let listed = open.iter().find(|listed| listed.conflict.id == id);
            let conflict = &listed.ok_or(Refusal::NoConflict(id))?.conflict;
            let sides = Makers::of(engine).await?.sides(engine, conflict).await;
            Ok(chosen(version, &sides, id)?)
        }
    }
}

/// The history, asked for the devices that made versions.
#[derive(Debug)]
pub struct Makers {
    device: DeviceId,
    name: String,
    past: Vec<Past>,
}

impl Makers {
    /// Reads the history and this device's id.
    ///
    /// # Errors
    /// If there is no vault, or its history cannot be read.
    pub async fn of(engine: &mut Engine) -> Result<Self, SyncError> {
        let (device, name) = engine.this_device()?;
        let name = name.to_owned();
        Ok(Self { device, name, past: engine.past().await? })
    }

    /// Both versions of a conflict.
    pub async fn sides(&self, engine: &mut Engine, conflict: &Conflict) -> Sides {
        let lost = match &conflict.origin {
            Some(origin) => Made {
                device: origin.device.clone(),
                is_this: origin.txn.device == self.device,
                time: Some(moment(origin.txn.wall_ms)),
            },
            None => Made { device: self.name.clone(), is_this: true, time: None },
        };
        let mut stands = None;
        for file in &conflict.files {
            let Ok(standing) = engine.standing(&file.path).await else { continue };
            // A file that both sides have alike does not tell who won.
            if standing.map(|entry| entry.digest) == file.entry.map(|entry| entry.digest) {
                continue;
            }
            let made = self.past.iter().find_map(|past| {
                let device = past.device.as_ref()?;
                let is_it = past.changes.iter().any(|change| {
                    change.path == file.path
                        && change.entry.map(|entry| entry.digest) == standing.map(|entry| entry.digest)
                });
                is_it.then(|| Made {
                    device: device.name.clone(),
                    is_this: device.id == self.device,
                    time: Some(moment(past.time_ms)),
                })
            });
            stands = stands.or(made);
        }
        Sides { lost, stands }
    }
}

#[cfg(test)]
mod tests;
