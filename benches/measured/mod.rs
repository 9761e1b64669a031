//! Times and peak memory of this process. Linux only: files are put out of the page cache, and peak
//! memory is the kernel's own account.

use std::path::Path;

use cogzy_engine::clock::{Clock, SystemClock};
use rustix::fs::{Advice, fadvise};

/// Puts a file out of the page cache.
pub fn forget(path: &Path) {
    let file = std::fs::File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
}

/// Seconds that something takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let clock = SystemClock::new();
    let result = work();
    (clock.monotonic().as_secs_f64(), result)
}

/// Memory that this process holds; from here on the kernel notes its peak.
pub struct Peak(u64);

pub fn peak_memory() -> Peak {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    Peak(status("VmRSS:"))
}

impl Peak {
    /// By how much the process was larger at the most since.
    pub fn since(&self) -> u64 {
        status("VmHWM:").saturating_sub(self.0)
    }
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
