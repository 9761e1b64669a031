//! Places that cannot be written: found before anything is fetched for them, and not tried in every
//! cycle.
//!
//! What can be told by looking is blocked in the survey, so that `status` knows it, too. What only
//! fails when it is tried waits for a while, longer each time, and is not fetched meanwhile. That
//! is kept in memory: a restart tries once more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Incoming;
use super::local::Local;
use crate::model::{Content, Entry, Item, Tree, VaultPath};
use crate::plan::Step;
use crate::sync::Report;
use crate::sync::report::{About, Trouble, Weight};
use crate::sync::session::{Context, Session};

/// The first wait of an item that could not be put in place. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// An item that could not be put in place.
#[derive(Debug)]
pub(crate) struct PutOff {
    /// Content that it was to hold: another version is tried at once.
    wanted: Vec<Option<Content>>,
    why: String,
    wait: Duration,
    /// On the clock that never goes back.
    until: Duration,
}

impl Context {
    /// Blocks the paths whose newer version in the backup could not be put in place.
    pub(super) fn block_unwritable(&self, local: &mut Local, base: &Tree, remote: &Tree) {
        let paths = base.diff(remote).filter(|(path, _, there)| local.tree.get(*path) != *there);
        let paths: Vec<&VaultPath> = paths.map(|(path, _, _)| path).collect();
        // Where no file stands, its folder tells for all of them.
        let mut folders: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
        let mut found = Vec::new();
        for path in paths.into_iter().filter(|path| local.blocked.reason(path).is_none()) {
            let place = local.names.locate(self.layout.root(), path);
            if let Err(why) = self.fs().may_name(&place) {
                found.push((path.clone(), why.to_string()));
                continue;
            }
            let look = || self.fs().may_place(&place).err().map(|error| error.to_string());
            let why = match place.parent() {
                Some(folder) if !local.tree.contains_key(path) => {
                    folders.entry(folder.to_owned()).or_insert_with(look).clone()
                }
                _ => look(),
            };
            found.extend(why.map(|why| (path.clone(), why)));
        }
        for (path, why) in found {
            let message = format!("the newer version in the backup cannot be put in its place: {why}");
            local.troubles.push(Trouble {
                path: path.to_string(),
                about: About::Path(path.clone()),
                message: message.clone(),
                weight: Weight::Lasting,
            });
            local.blocked.add(path, message);
        }
    }
}

impl Session<'_> {
    /// Leaves out of a pull what could not be put in place a while ago.
    pub(super) fn leave_put_off(&mut self, incoming: &mut Incoming<'_>) {
        let (now, put_off, report) =
            (self.context.ports.clock.monotonic(), &self.memory.put_off, &mut self.report);
        incoming.steps.retain(|step| match put_off.get(&step.item) {
            Some(off) if off.until > now && off.wanted == wanted(step) => {
                off.tell(&step.item, off.until.saturating_sub(now), report);
                false
            }
            _ => true,
        });
    }

    /// Notes that the disk did not let an item be put in place.
    pub(super) fn put_off(&mut self, step: &Step, why: &str) {
        let item = &step.item;
        let (now, wanted) = (self.context.ports.clock.monotonic(), wanted(step));
        let before = self.memory.put_off.get(item).filter(|off| off.wanted == wanted);
        let wait = before.map_or(FIRST_WAIT, |off| (off.wait * 2).min(LONGEST_WAIT));
        let off = PutOff { wanted, why: why.to_owned(), wait, until: now.saturating_add(wait) };
        off.tell(item, wait, &mut self.report);
        self.memory.put_off.insert(item.clone(), off);
    }
}

impl Session<'_> {
    /// Names, once for each kind and not again, what could not be passed on to files that were
    /// replaced.
    pub(super) fn tell_left(&mut self, left: &[(&'static str, VaultPath)]) {
        for (what, path) in left {
            if !self.memory.told_left.insert(what) {
                continue;
            }
            let message = format!(
                "it was replaced, but this program may not give it its {what}; the same holds for other files"
            );
            self.report.problems.push(Trouble {
                path: path.to_string(),
                about: About::Path(path.clone()),
                message,
                weight: Weight::Warned,
            });
        }
    }
}

impl PutOff {
    fn tell(&self, item: &Item, rest: Duration, report: &mut Report) {
        let message = format!("{}; it is tried again in {} s", self.why, rest.as_secs().max(1));
        report.problems.push(Trouble::of(item, message, Weight::Lasting));
    }
}

fn wanted(step: &Step) -> Vec<Option<Content>> {
    step.files.iter().map(|file| file.to.as_ref().map(Entry::content)).collect()
}
