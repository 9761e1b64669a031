//! Whether a group is still as it was seen, asked at the last moment before its first rename.
//!
//! The apply looks at the files it replaces. But a group moves together: a program that writes a member which the pull does not
//! touch, or one that was not there, has begun a new state of the whole group, and must not find it replaced in the middle.

use std::collections::BTreeSet;

use super::{Engine, Survey};
use crate::model::{Item, VaultPath};
use crate::vault::{IoAt, members};

impl Engine {
    /// Why a group may not be replaced now, if any of its members, beside those the plan replaces, is not as the scan found it.
    pub(super) fn moved_since(&self, survey: &Survey, item: &Item) -> Result<Option<String>, IoAt> {
        let Item::Group(name) = item else { return Ok(None) };
        let groups = &survey.remote.groups;
        let steps = survey.plan.steps.iter().filter(|step| step.item == *item);
        let replaced: BTreeSet<&VaultPath> =
            steps.flat_map(|step| &step.files).map(|file| &file.path).collect();
        let wanted = |path: &VaultPath| {
            let member = groups.find(path).is_some_and(|(group, _)| group.name == *name);
            member && self.visible(path) && !replaced.contains(path)
        };
        let enters =
            |folder: &VaultPath| groups.reaches(name, folder) && !self.settings.filter.prunes(folder);
        let there = members(self.fs(), &self.layout, &wanted, &enters)?;
        for (path, stat) in survey.local.stats.iter().filter(|(path, _)| wanted(path)) {
            match there.get(path) {
                Some(states) if states.contains(stat) => {}
                Some(_) => return Ok(Some(format!("{path} changed after it was scanned"))),
                None => return Ok(Some(format!("{path} was deleted after the scan"))),
            }
        }
        let known = |path: &VaultPath| {
            survey.local.stats.contains_key(path) || survey.local.blocked.reason(path).is_some()
        };
        Ok(there.keys().find(|path| !known(path)).map(|path| format!("{path} appeared after the scan")))
    }
}
