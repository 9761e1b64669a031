//! The remote: its endpoint, credentials, abilities and clock, and its place in the vault's
//! history.

use std::time::Duration;

use super::finding::Finding;
use crate::cli::app::App;
use crate::cli::init::MAY_NOT_DELETE;
use crate::cli::output::duration;
use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::fs::Fs;
use cogzy_engine::remote::{Probe, RemoteUrl, Store};
use cogzy_engine::state::LastSync;
use cogzy_engine::sync::SyncError;

/// The clock's error from which on there is a warning, in seconds. Signatures are refused from a
/// quarter of an hour on; conflicts get wrong dates long before.
const CLOCK_OFF: u64 = 60;

/// Everything about the remote.
pub(super) async fn look(app: &App) -> Vec<Finding> {
    let mut findings = Vec::new();
    if app.embedded {
        let text = format!("none is configured: the vault is kept in a folder beside it, {}", app.remote);
        let next = "`cogzy-vault init --remote b2://BUCKET/PREFIX`: a folder on the same disk is no backup";
        findings.push(Finding::warning("remote", text, next));
    }
    findings.extend(credentials(app));
    match app.assembly().probe().await {
        Ok(probe) => findings.extend(told(app, &probe)),
        Err(failure) => findings.push(Finding::failure("remote", failure)),
    }
    findings.extend(rights(app).await);
    findings.extend(agreed(app));
    findings
}

/// Findings of `init`, by trying: only that shows whether a key may delete.
async fn rights(app: &App) -> Option<Finding> {
    let engine = app.engine().await.ok()?;
    engine.database().noted(MAY_NOT_DELETE).ok()??;
    let text = "when `cogzy-vault init` tried, this key could delete nothing there: a prune frees nothing";
    let next = "let the key delete (at B2 the capability deleteFiles), then run `cogzy-vault init`; or set `retention.prune = false`";
    Some(Finding::warning("rights", text, next))
}

/// The source of the credentials, as far as it shows without asking for them.
fn credentials(app: &App) -> Option<Finding> {
    const CHECK: &str = "credentials";
    let RemoteUrl::Bucket(url) = &app.remote else { return None };
    let environment = app.environment();
    if let Err(error) = environment.check_aws().and_then(|()| environment.b2_key()) {
        return Some(Finding::failure(CHECK, error));
    }
    let b2 = url.store() == Store::B2;
    let source = if environment.names("B2_APPLICATION_KEY") && (b2 || app.config().s3.endpoint.is_some()) {
        "B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY"
    } else if environment.names("AWS_ACCESS_KEY_ID") {
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else if app.credentials_file().exists() {
        let text = format!("this shell has none, the service has {}", app.credentials_file().display());
        return Some(Finding::note(CHECK, text));
    } else {
        return Some(Finding::note(CHECK, "from the AWS files, or where else the AWS tools find them"));
    };
    let text = format!("from {source}");
    if app.credentials_file().exists() {
        return Some(Finding::ok(CHECK, text));
    }
    let next = format!(
        "(umask 077; env | grep -E '^(B2_APPLICATION_|AWS_)' > {}): the service does not see this shell's",
        app.credentials_file().display()
    );
    Some(Finding::warning(CHECK, format!("{text}, which only this shell knows"), next))
}

fn told(app: &App, probe: &Probe) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &probe.listed {
        Ok(()) => {
            findings.push(Finding::ok("remote", format!("{} answers at {}", app.remote, probe.endpoint)));
        }
        Err(error) => findings.push(Finding::failure("remote", SyncError::from(error.clone()))),
    }
    if probe.listed.is_ok() {
        findings.push(Finding::note("mode", mode(app, probe)));
        let locked = probe.locked_days.filter(|days| *days > 0).map(locked);
        findings.extend(locked.map(|text| Finding::note("object lock", text)));
    }
    findings.extend(probe.server_ms.map(clock));
    findings
}

pub(in crate::cli) fn mode(app: &App, probe: &Probe) -> String {
    let bucket = match &app.remote {
        RemoteUrl::Bucket(url) => Some(url.store()),
        RemoteUrl::Folder(_) => None,
    };
    let versions = match (bucket, probe.versioned) {
        (None, _) => "a folder",
        (Some(Store::B2), _) | (_, Some(true)) => {
            "a versioned bucket: what is deleted there is kept until its version is deleted"
        }
        (_, Some(false)) => "a bucket without versions",
        (_, None) => "a bucket; whether it keeps versions is not known",
    };
    format!("{versions}; every object is written once, and no conditional PUT is needed")
}

pub(in crate::cli) fn locked(days: u32) -> String {
    format!(
        "Object Lock: nobody deletes an object in its first {days} days; what a prune removes before is freed and no \
         longer billed only then"
    )
}

fn clock(server_ms: i64) -> Finding {
    let ours = i64::try_from(SystemClock::new().now_ms()).unwrap_or(i64::MAX);
    let off = Duration::from_millis(ours.abs_diff(server_ms));
    if off.as_secs() < CLOCK_OFF {
        // The server's Date has whole seconds, and the answer took its time.
        return Finding::ok("clock", "agrees with the server's");
    }
    let side = if ours > server_ms { "ahead of" } else { "behind" };
    let text = format!("{} {side} the server's", duration(off));
    Finding::warning("clock", text, "set this machine's clock, and have it kept: timedatectl set-ntp true")
}

/// The generation that the vault and this remote agreed on last.
fn agreed(app: &App) -> Option<Finding> {
    const CHECK: &str = "last sync";
    let (disk, layout) = (app.disk().as_ref(), app.layout());
    disk.lstat(&layout.sync()).ok()?;
    Some(match LastSync::load(disk, &layout.last_sync()).map_err(SyncError::from) {
        Err(error) => Finding::failure(CHECK, error),
        Ok(Some(record)) if record.remote != app.remote.to_string() => {
            let configured = app.remote.to_string();
            Finding::failure(CHECK, SyncError::OtherRemote { known: record.remote, configured })
        }
        Ok(Some(record)) => match record.commit {
            Some(commit) => Finding::ok(CHECK, format!("generation {}", commit.seq)),
            None => Finding::note(CHECK, "joined, and nothing agreed yet: `cogzy-vault sync`"),
        },
        Ok(None) => Finding::warning(
            CHECK,
            "this vault has never been synced",
            "`cogzy-vault init`, then `cogzy-vault sync`",
        ),
    })
}
