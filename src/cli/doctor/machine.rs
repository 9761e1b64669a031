//! The machine: free space, watches, the service manager.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::{Finding, Severity};
use crate::cli::app::App;
use crate::cli::exit::Exit;
use crate::cli::output::{count, size, thousands};
use crate::cli::service::{self, Another};
use crate::service::ServiceError;
use cogzy_client::documents::DaemonDocument;
use cogzy_client::paths::Paths;
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::{Fs, RootedFs};
use cogzy_engine::model::VaultPath;
use cogzy_engine::vault::{Abilities, Filter, Layout, Spellings, Verdict, abilities};

/// The free space below which nothing is fetched any more, in bytes.
const NO_ROOM: u64 = 8 << 20;
/// The free space below which there is a warning, in bytes.
const LITTLE_ROOM: u64 = 1_000_000_000;
/// The share of the watch limit from which on there is a warning, in percent. Other programs need
/// watches too.
const MANY_WATCHES: u64 = 50;

/// The extent of a vault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub folders: u64,
    pub files: u64,
    pub bytes: u64,
    /// Folders that could not be listed.
    pub unreadable: u64,
}

impl Extent {
    /// Counts the synced files, and the folders that are watched for them.
    pub(super) fn of(layout: &Layout, filter: &Filter) -> Self {
        let mut extent = Self { folders: 1, ..Self::default() };
        let mut open = vec![layout.root().to_owned()];
        while let Some(folder) = open.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                extent.unreadable += 1;
                continue;
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                let path = entry.path();
                let name = path.strip_prefix(layout.root()).ok().and_then(Path::to_str);
                let Some(name) = name.and_then(|name| VaultPath::new(name).ok()) else { continue };
                if metadata.is_dir() && !filter.prunes(&name) {
                    extent.folders += 1;
                    open.push(path);
                } else if metadata.is_file() && filter.verdict(&name) == Verdict::Synced {
                    extent.files += 1;
                    extent.bytes += metadata.len();
                }
            }
        }
        extent
    }
}

/// Free space on the disk that holds `folder`.
pub(super) fn room(check: &'static str, folder: &Path, extent: &Extent) -> Finding {
    let stat = match rustix::fs::statvfs(folder) {
        Ok(stat) => stat,
        Err(error) => {
            return Finding::note(check, format!("the room at {} is not known: {error}", folder.display()));
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{} free at {}", size(free), folder.display());
    if free < NO_ROOM {
        let next = "free some room; `COGZY_VAULT__RETENTION__TRASH_DAYS=0 cogzy-vault sync` empties the trash of the vault";
        let full = Finding::warning(check, format!("{text}: too little to sync"), next);
        return Finding { level: Severity::Error, exit: Exit::Partial, ..full };
    }
    // A generation is staged whole before it is put in place, and the files it replaces go to the
    // trash.
    if free < LITTLE_ROOM.max(extent.bytes / 2) {
        let next = format!(
            "free some room: the largest change may need as much again as the vault's {}",
            size(extent.bytes)
        );
        return Finding::warning(check, text, next);
    }
    Finding::ok(check, text)
}

/// A file of credentials that was changed after the daemon had read it: its variables are those
/// that it was started with.
pub(super) fn newer_credentials(file: &Path, daemon: &DaemonDocument) -> Option<Finding> {
    let since: jiff::Timestamp = daemon.since.as_deref()?.parse().ok()?;
    let changed = jiff::Timestamp::try_from(std::fs::metadata(file).ok()?.modified().ok()?).ok()?;
    (changed > since + jiff::SignedDuration::from_secs(1)).then(|| {
        let text = format!(
            "{} was changed after the daemon was started, which still has the keys of before",
            file.display()
        );
        let next = "`cogzy-vault service stop`, then `cogzy-vault service start`";
        Finding::warning("credentials", text, next)
    })
}

/// The reason why nobody can write to the vault, if there is one.
pub(super) fn unwritable(check: &'static str, disk: &RootedFs, layout: &Layout) -> Option<Finding> {
    let error = disk.may_place(&layout.last_sync()).err()?;
    let text = format!("{} cannot be written ({error}): nothing is synced", layout.sync().display());
    let next = "mount the disk for writing, or give yourself the right to write there";
    let finding = Finding::warning(check, text, next);
    Some(Finding { level: Severity::Error, exit: Exit::Partial, ..finding })
}

/// Abilities of the vault's disks, tried with two small files of ours that are removed again.
pub(super) fn disks(check: &'static str, disk: &RootedFs, layout: &Layout) -> Vec<Finding> {
    // What keeps anybody from trying is told by another check.
    let Ok(all) = abilities(disk, layout, &|| SystemClock::new().now_ns()) else { return Vec::new() };
    let place = |folder: &str| layout.root().join(folder).display().to_string();
    let spellings = Spellings::load(disk, layout).ok();
    let promises = |folder: &str, can: &Abilities| match &spellings {
        Some(spellings) => spellings.promises(folder, can),
        None => can.weaker(),
    };
    let weaker = all
        .iter()
        .flat_map(|(folder, can)| promises(folder, can).into_iter().map(move |text| (folder, text)));
    let findings: Vec<Finding> =
        weaker.map(|(folder, text)| Finding::note(check, format!("{}: {text}", place(folder)))).collect();
    if findings.is_empty() {
        return vec![Finding::ok(
            check,
            "names are swapped at once; names, modes and times are kept; its clock is this machine's",
        )];
    }
    findings
}

/// The number of folders to watch, against the system's limit.
pub(super) fn watches(extent: &Extent) -> Option<Finding> {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let limit: u64 = read("max_user_watches")?;
    let text = format!(
        "{} of the {} that may be watched",
        count(to_usize(extent.folders), "folder"),
        thousands(limit)
    );
    if extent.folders.saturating_mul(100) < limit.saturating_mul(MANY_WATCHES) {
        return Some(Finding::ok("watches", text));
    }
    let line = format!("fs.inotify.max_user_watches={}", (extent.folders * 4).max(524_288));
    let next = format!("echo {line} | sudo tee /etc/sysctl.d/60-cogzy-vault.conf && sudo sysctl --system");
    Some(Finding::warning(
        "watches",
        format!("{text}: without a watch a change is found only by a scan"),
        next,
    ))
}

/// The service, if there is a manager to ask.
pub(super) fn background(paths: &Paths, app: Option<&App>) -> Vec<Finding> {
    const CHECK: &str = "service";
    let standing = match service::standing(paths) {
        Ok(standing) => standing,
        Err(error @ (ServiceError::NoManager { .. } | ServiceError::NoSession { .. })) => {
            return vec![Finding::note(CHECK, format!("{error}; start `cogzy-vault run` by other means"))];
        }
        Err(error) => return vec![Finding::warning(CHECK, error.to_string(), error.next())],
    };
    if let Some(another) = app.and_then(|app| Another::of(app, paths, &standing)) {
        let text = format!("it keeps {}: nothing syncs this one by itself", another.words());
        return vec![Finding::warning(CHECK, text, "`cogzy-vault run` keeps this one while it runs")];
    }
    if standing.file.is_none() {
        return vec![Finding::warning(
            CHECK,
            "not installed: nothing is synced by itself",
            "cogzy-vault service install",
        )];
    }
    let mut findings = Vec::new();
    if standing.running {
        findings.push(Finding::ok(CHECK, format!("runs ({})", standing.manager)));
    } else {
        let text = format!("installed, but does not run ({})", standing.state);
        findings.push(Finding::warning(CHECK, text, "cogzy-vault service start"));
    }
    if !standing.enabled {
        findings.push(Finding::warning(CHECK, "it does not start at login", "cogzy-vault service install"));
    }
    if standing.linger == Some(false) {
        let text = "no linger: it runs only while you are logged in (from boot on: loginctl enable-linger)";
        findings.push(Finding::note(CHECK, text));
    }
    findings
}

/// The permissions of the file that the service reads credentials from.
pub(super) fn credentials_file(path: &Path) -> Option<Finding> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Some(Finding::ok("credentials", format!("{} is readable by you only", path.display())));
    }
    let text = format!("{} can be read by others (mode {mode:03o})", path.display());
    Some(Finding::warning("credentials", text, format!("chmod 600 {}", path.display())))
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
