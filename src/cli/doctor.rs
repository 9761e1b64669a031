//! `cogzy-vault doctor`

mod cost;
mod finding;
mod machine;
pub(super) mod remote;

use serde::Serialize;

use cost::{Estimate, Polls, estimate};
use finding::{Finding, Severity, exit_of};
use machine::Extent;

use super::app::{App, runtime};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, count, size, thousands};
use super::status;
use crate::config::open_to_others;
use cogzy_client::documents::{
    AsideDocument, AsideObject, ErrorDocument, SchemaVersion, State, StatusDocument,
};
use cogzy_client::paths::Paths;
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::remote::RemoteUrl;
use cogzy_engine::sync::SyncError;
use cogzy_engine::vault::{Filter, FilterError, Marker};

/// Look for whatever keeps this device from being in sync, and say what cures it
///
/// Reads only: neither the vault nor the remote is changed. It ends with the code of the worst that
/// it finds.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// `doctor --json`.
#[derive(Debug, Serialize)]
struct DoctorDocument<'a> {
    schema: SchemaVersion,
    worst: Severity,
    findings: &'a [Finding],
    /// The cost of a month, if the remote is a bucket.
    month: Option<&'a Estimate>,
}

/// Checks everything, with or without a daemon or a network. A configuration that cannot be read is
/// a finding.
///
/// # Errors
/// If not even the checks can run.
pub fn run(app: Result<App, Failure>, _: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut findings = vec![versions()];
    let mut costs = None;
    match &app {
        Err(failure) => findings.push(Finding {
            next: failure
                .next
                .clone()
                .or(Some("correct the file, then run `cogzy-vault config check`".to_owned())),
            ..Finding::failure("config", Failure::new(failure.exit, &failure.message))
        }),
        Ok(app) => {
            let runtime = runtime()?;
            let filter = &app.config().filter;
            let filter = Filter::new(&filter.include, &filter.exclude);
            findings.push(configuration(app, filter.as_ref().err()));
            let extent = filter.map(|filter| Extent::of(&app.layout(), &filter)).unwrap_or_default();
            findings.extend(vault(app, &extent));
            let told = runtime.block_on(remote::look(app));
            let reached =
                told.iter().any(|finding| finding.check == "remote" && finding.level == Severity::Ok);
            findings.extend(told);
            findings.extend(machine::credentials_file(&app.credentials_file()));
            findings.extend(machine::watches(&extent));
            findings.extend(runtime.block_on(daemon(app, reached)));
            if matches!(app.remote, RemoteUrl::Bucket(_)) {
                // Where the bucket cannot be asked, this device is known of.
                let devices = if reached { runtime.block_on(app.assembly().devices()).ok() } else { None };
                costs = Some(estimate(polls(app), devices.unwrap_or(1).max(1), extent.bytes));
            }
        }
    }
    findings.extend(machine::background(&Paths::of_this_user()?, app.as_ref().ok()));
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Severity::Ok);
    let (findings, month) = (findings.as_slice(), costs.as_ref());
    output.json(&DoctorDocument { schema: SchemaVersion, worst, findings, month });
    findings.iter().for_each(|finding| finding.tell(output));
    if let (Some(costs), Ok(app)) = (&costs, &app) {
        tell_costs(costs, app, output);
    }
    Ok(exit_of(findings))
}

fn versions() -> Finding {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    Finding::ok(
        "version",
        format!("{name} {version}, bucket format {}, {os} {arch}", cogzy_engine::model::FORMAT),
    )
}

fn configuration(app: &App, error: Option<&FilterError>) -> Finding {
    if let Some(error) = error {
        let failure = Failure::new(Exit::Usage, format!("filter.{error}"));
        return Finding::failure("config", failure.next("see `filter` in `cogzy-vault config show`"));
    }
    let file = app.loaded.file.display();
    if let Some(open) = open_to_others(&app.loaded.file).filter(|_| app.loaded.file_exists) {
        let text = format!("{}: other users can change it", open.display());
        return Finding::warning("config", text, format!("chmod o-w {0}, or make it yours", open.display()));
    }
    if app.loaded.file_exists {
        Finding::ok("config", file.to_string())
    } else {
        Finding::note("config", format!("all defaults: there is no {file}"))
    }
}

fn vault(app: &App, extent: &Extent) -> Vec<Finding> {
    const CHECK: &str = "vault";
    let layout = app.layout();
    match Marker::read(app.disk().as_ref(), &layout) {
        Err(error) => return vec![Finding::failure(CHECK, SyncError::Marker(error))],
        Ok(_) if extent.unreadable > 0 => {
            let text = format!(
                "{} cannot be listed",
                count(usize::try_from(extent.unreadable).unwrap_or(usize::MAX), "folder")
            );
            return vec![Finding::warning(
                CHECK,
                text,
                format!("make all of {} readable for you", layout.root().display()),
            )];
        }
        Ok(_) => {}
    }
    let what = format!(
        "{} {}, {} at {}",
        thousands(extent.files),
        if extent.files == 1 { "file" } else { "files" },
        size(extent.bytes),
        layout.root().display()
    );
    let mut findings = vec![Finding::ok(CHECK, what), machine::room("room", layout.root(), extent)];
    findings.extend(machine::unwritable("writing", app.disk(), &layout));
    findings.extend(machine::disks("disk", app.disk(), &layout));
    findings
}

fn polls(app: &App) -> Polls {
    let sync = &app.config().sync;
    Polls { usual: sync.poll_interval, active: sync.poll_interval_active, idle: sync.poll_interval_idle }
}

/// The daemon's own account, or the reason why none answers. `reached` is true where this process
/// has reached the remote.
async fn daemon(app: &App, reached: bool) -> Vec<Finding> {
    const CHECK: &str = "daemon";
    let socket = app.socket.display();
    let status: StatusDocument = match socket::get(&app.socket, "/v1/status").await {
        Ok(status) => status,
        Err(ClientError::NoDaemon) => {
            let next = "`cogzy-vault service install`, or `cogzy-vault run`";
            let mut findings = vec![Finding::warning(CHECK, format!("none listens at {socket}"), next)];
            // If the vault cannot be looked at, a finding above tells the cause.
            if let Ok(status) = status::look(app).await {
                findings.extend(wrong(&status));
            }
            return findings;
        }
        Err(error) => {
            return vec![Finding::warning(CHECK, format!("{socket}: {error}"), "cogzy-vault service start")];
        }
    };
    let pid = status.daemon.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
    let mut findings = vec![Finding::ok(CHECK, format!("{}{pid}, listens at {socket}", status.state))];
    let version = env!("CARGO_PKG_VERSION");
    if let Some(other) = status.daemon.version.as_deref().filter(|other| *other != version) {
        let text = format!("it is version {other}, this program {version}");
        findings.push(Finding::warning(CHECK, text, "cogzy-vault service install"));
    }
    findings.extend(machine::newer_credentials(&app.credentials_file(), &status.daemon));
    for hold in &status.holds {
        let waits = Finding::warning("held", hold.reason.clone(), hold.next.clone());
        findings.push(Finding { exit: Exit::Held, ..waits });
    }
    findings.extend(wrong(&status));
    findings.extend(status.unwatched.iter().map(|folder| {
        let next = "make it readable, raise the limit, or let it be: it is scanned at every poll";
        Finding::warning("watches", folder.why.clone(), next)
    }));
    if reached {
        findings.extend(differing(&status));
    }
    findings
}

/// The daemon's trouble with a remote that this program reaches: it may have another key, proxy or
/// network.
fn differing(status: &StatusDocument) -> Option<Finding> {
    let said = status.errors.iter().find(|error| error.path.is_none() && !error.alarm);
    let (exit, said) = match (status.state, said) {
        (State::Offline, said) => {
            (Exit::Offline, said.map_or("it gets no answer", |error| error.message.as_str()))
        }
        (State::Error, Some(error)) => (Exit::Partial, error.message.as_str()),
        _ => return None,
    };
    let text =
        format!("this program reaches the remote, and the daemon's last cycle did not go through: {said}");
    let next =
        "`cogzy-vault retry`; if that does not help, restart the daemon: it may have another key or proxy";
    Some(Finding { level: Severity::Error, exit, ..Finding::warning("daemon", text, next) })
}

/// Errors that a status reports here, and objects of the remote that were set aside. Errors of the
/// remote stand above already, newly checked.
fn wrong(status: &StatusDocument) -> impl Iterator<Item = Finding> {
    let here = |error: &&ErrorDocument| error.path.is_some() || status.state == State::Error;
    let errors = status.errors.iter().filter(here).map(|error| {
        let about = error.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        Finding::warning("sync", format!("{about}{}", error.message), error.next.clone())
    });
    errors.chain(status.aside.iter().flat_map(set_aside))
}

/// Objects in the bucket that are not as this vault's devices make them.
fn set_aside(aside: &AsideDocument) -> impl Iterator<Item = Finding> {
    aside.objects.iter().map(|AsideObject { key, why, since }| {
        let what = format!("{key}, seen since {since}, is not as this vault's devices make them: {why}");
        Finding::warning("bucket", what, aside.next.clone())
    })
}

fn tell_costs(costs: &Estimate, app: &App, output: &mut Output) {
    let sync = &app.config().sync;
    let devices = count(costs.devices, "device");
    output.line(format!(
        "a month on Backblaze B2, at its prices of {}: about ${:.2} for {devices} of this vault, always on",
        costs.prices_of,
        costs.requests_usd + costs.storage_usd
    ));
    output.line(format!(
        "    {} polls, one every {:?} (sync.poll_interval) to {:?} (sync.poll_interval_idle)",
        thousands(costs.idle_polls),
        sync.poll_interval,
        sync.poll_interval_idle
    ));
    output.line(format!(
        "  + {} listings around changes: 50 spells a day, two minutes each, one every {:?} (sync.poll_interval_active)",
        thousands(costs.busy_listings),
        sync.poll_interval_active
    ));
    output.line(format!(
        "  = {} listings; 2,500 a day are free for the account, {} cost $0.004 per 1,000: ${:.2}",
        thousands(costs.idle_polls + costs.busy_listings),
        thousands(costs.paid_listings),
        costs.requests_usd
    ));
    output.line(format!(
        "  + storage of what is here now at $6 per TB, 10 GB free: ${:.2}; {} uploads: free",
        costs.storage_usd,
        thousands(costs.puts)
    ));
}

#[cfg(test)]
mod tests;
