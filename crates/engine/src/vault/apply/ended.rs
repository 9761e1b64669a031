//! `done` in the stage: the results of an apply whose units have all come to rest.
//!
//! It is durable before the caller records the new base. A crash after that must not be judged by
//! the disk: a new file that its user has deleted since would look as if it had never come, its
//! unit would be taken back, and files that are agreed to be gone would pass for new ones.
//!
//! Older programs do not know the file, and remove it with the stage.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Applied, Journal, Layout};
use crate::fs::{self, At, Fs, IoAt, found};
use crate::model::Item;

/// Longest file, in bytes, as for the journal.
const MAX_BYTES: u64 = 4 << 30;

/// Results for items that are not in place. The others are.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    /// Items to plan again, each with the cause.
    pub retry: Vec<(Item, String)>,
    /// Items among them that the disk did not let be put in place.
    pub failed: BTreeSet<Item>,
    /// Items among them that are neither put in place nor put back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stranded: BTreeSet<Item>,
}

impl Ended {
    /// Notes the results, durably.
    pub fn note(fs: &dyn Fs, layout: &Layout, journal: &Journal, applied: &Applied) -> Result<(), IoAt> {
        let (folder, path) = (layout.staging_of(&journal.id), place(layout, journal));
        if found(fs.lstat(&folder)).at("look at", &folder)?.is_none() {
            fs::create_dir_durable(fs, &folder, &layout.sync()).at("create", &folder)?;
        }
        if !applied.retry.is_empty() {
            let Applied { retry, failed, stranded, .. } = applied.clone();
            let ended = Self { retry, failed, stranded };
            let bytes = serde_json::to_vec(&ended).map_err(io::Error::from).at("write", &path)?;
            return fs::replace(fs, &path, &bytes, 0o600).at("write", &path);
        }
        // Nothing to tell: an empty file has no bytes that a power cut could take.
        match fs.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => drop(made.at("create", &path)?),
        }
        fs.sync_dir(&folder).at("sync", &folder)
    }

    /// Reads the results. None if units may not have come to rest.
    pub fn read(fs: &dyn Fs, layout: &Layout, journal: &Journal) -> Result<Option<Self>, IoAt> {
        let path = place(layout, journal);
        let Some(bytes) = found(fs::read(fs, &path, MAX_BYTES)).at("read", &path)? else { return Ok(None) };
        if bytes.is_empty() {
            return Ok(Some(Self::default()));
        }
        serde_json::from_slice(&bytes).map(Some).map_err(io::Error::from).at("read", &path)
    }
}

fn place(layout: &Layout, journal: &Journal) -> PathBuf {
    layout.staging_of(&journal.id).join("done")
}
