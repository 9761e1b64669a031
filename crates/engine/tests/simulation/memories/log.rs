//! The log: each app adds lines to the end of one file, and no line may be lost.

use std::collections::BTreeMap;

use cogzy_testkit::rng::Rng;

use super::app::bytes;
use crate::device::Device;
use crate::disk::UserOp;
use crate::oracle::Check;
use crate::replayed::contents;
use crate::world::World;

/// The log.
pub const LOG: &str = "traces/day.log";

/// All lines that were written.
#[derive(Debug, Default)]
pub struct Lines(usize);

impl Lines {
    /// The app of a device adds some lines to what it finds. While the engine is in the middle of
    /// an apply it waits.
    pub fn append(&mut self, device: &Device, rng: &mut Rng) {
        let mut log = {
            let site = device.disk.site();
            if site.file("sync/applying").is_some() {
                return;
            }
            bytes(&site, LOG).unwrap_or_default()
        };
        for _ in 0..1 + rng.below(3) {
            self.0 += 1;
            log.extend(format!("line {}\n", self.0).bytes());
        }
        device.disk.trace.mark("memories: a log grows");
        device.disk.clock.tick();
        device.disk.site().perform(&UserOp::Replace(LOG.to_owned(), log), &device.disk);
    }

    /// Every line is in the log, or in a version of it that waits for a person.
    pub async fn none_is_lost(&self, world: &mut World) -> Check {
        let (log, open) = (counted(&world.devices[0]), waiting(world).await?);
        if self.0 > 0 {
            world.trace.mark(if open.is_empty() {
                "memories: a log merged"
            } else {
                "memories: a log waits"
            });
        }
        if let Some(twice) = log.iter().find(|(_, count)| **count > 1).filter(|_| open.is_empty()) {
            return Err(format!("a line of the log came twice: {twice:?}"));
        }
        self.each_is(|line| log.contains_key(line) || open.iter().any(|open| open == line))
    }

    /// Every line is in the log.
    pub fn all_are_there(&self, world: &World) -> Check {
        let log = counted(&world.devices[0]);
        self.each_is(|line| log.contains_key(line))
    }

    fn each_is(&self, there: impl Fn(&str) -> bool) -> Check {
        let mut lines = (1..=self.0).map(|number| format!("line {number}"));
        lines.find(|line| !there(line)).map_or(Ok(()), |line| Err(format!("{line:?} of the log is lost")))
    }
}

fn counted(device: &Device) -> BTreeMap<String, usize> {
    let log = bytes(&device.disk.site(), LOG).unwrap_or_default();
    let mut counted = BTreeMap::new();
    for line in String::from_utf8_lossy(&log).lines() {
        *counted.entry(line.to_owned()).or_default() += 1;
    }
    counted
}

/// The lines of the versions that were set aside.
async fn waiting(world: &mut World) -> Result<Vec<String>, String> {
    let listed = world.devices[0].engine().conflicts().await.map_err(|error| error.to_string())?;
    let contents = contents(&world.store)?;
    let files = listed.iter().flat_map(|listed| &listed.conflict.files);
    let logs = files.filter(|file| file.path.as_str() == LOG).filter_map(|file| file.entry);
    let texts = logs.filter_map(|entry| contents.get(&entry.digest));
    Ok(texts
        .flat_map(|bytes| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect::<Vec<_>>())
        .collect())
}
