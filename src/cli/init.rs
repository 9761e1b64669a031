//! `cogzy-vault init`

use std::path::Path;

use super::app::{App, runtime};
use super::documents::{InitDocument, MeetingDocument, MeetsDocument};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, thousands};
use super::progress::ProgressWatcher;
use crate::config::{Flag, SettingSource, update};
use cogzy_client::documents::{SchemaVersion, StatusDocument};
use cogzy_client::paths::machine_id;
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::fs::RealFs;
use cogzy_engine::remote::Meter;
use cogzy_engine::sync::{Joining, SyncError, join};
use cogzy_engine::vault::Marker;

/// Set up this device: write the configuration, make the vault's folders, create or join the remote
///
/// Safe to repeat; beside a running daemon it changes nothing. Where both sides already hold files
/// it says what will meet what, and wants `--join`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the backup is: b2://bucket/prefix, s3://bucket/prefix or file:///path, without
    /// credentials
    #[arg(long, value_name = "URL")]
    pub remote: Option<String>,
    /// Whose vault it is, where several users share a bucket
    #[arg(long, value_name = "ID")]
    pub user_id: Option<String>,
    /// What this device is called in the history and in conflicts
    #[arg(long, value_name = "NAME")]
    pub device_name: Option<String>,
    /// Join although both sides hold files: the remote wins, what differs here is kept as a
    /// conflict
    #[arg(long)]
    pub join: bool,
}

impl Args {
    /// The keys that this command line sets, to be checked with the configuration and then written
    /// to its file.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let given = [
            ("remote", &self.remote, "--remote"),
            ("user_id", &self.user_id, "--user-id"),
            ("device_name", &self.device_name, "--device-name"),
        ];
        let flag = |(key, value, name): (&'static str, &Option<String>, &str)| {
            value.clone().map(|value| Flag { key, value, source: SettingSource::Flag(name.to_owned()) })
        };
        given.into_iter().filter_map(flag).collect()
    }
}

/// Sets up the device.
///
/// # Errors
/// If the configuration, the vault's folder or the remote cannot be used.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let root = &app.config().vault;
    std::fs::create_dir_all(root.join("sync")).map_err(|error| {
        Failure::new(Exit::Usage, format!("the vault's folder {} cannot be made: {error}", root.display()))
    })?;
    let lock = match app.lock() {
        Ok(lock) => lock,
        Err(failure) if failure.exit == Exit::Locked => return beside(app, failure, output),
        Err(failure) => return Err(failure),
    };
    let joined = runtime()?.block_on(async {
        let assembly = app.assembly();
        assembly.make_remote_folder().await?;
        let mut engine = assembly.joining_engine(Meter::default()).await?;
        let groups = app.config().groups.definitions().to_vec();
        let joining = Joining { groups, machine: machine_id(), approved: args.join };
        let watcher = ProgressWatcher::on(output);
        Ok::<_, Failure>(join(&mut engine, &joining, &watcher).await?)
    });
    let joined = joined.map_err(|failure| failure.next_is_again(&again(args)))?;
    drop(lock);
    let remote = app.config().remote.clone().unwrap_or_else(|| app.remote.to_string());
    if let Some(meets) = joined.meets {
        let meets = MeetsDocument {
            same: meets.same,
            differing: meets.differing,
            local_only: meets.local_only,
            remote_only: meets.remote_only,
        };
        let document = MeetingDocument { schema: SchemaVersion, joined: false, vault: joined.vault, meets };
        tell_meeting(&document, root, &remote, output);
        return Err(Failure::new(Exit::Held, "joining needs your word").next("cogzy-vault init --join"));
    }
    remember(app, args)?;
    output.json(&InitDocument {
        schema: SchemaVersion,
        joined: true,
        created: joined.created,
        vault: joined.vault,
        device: joined.device,
        generation: joined.generation,
        remote: &remote,
        config: &app.loaded.file,
    });
    let what = if joined.created { "a new vault" } else { "the vault" };
    output.line(format!(
        "{} is joined to {what} at {remote}, generation {}",
        root.display(),
        joined.generation
    ));
    output.note("next: cogzy-vault sync, or cogzy-vault service install to keep it in sync");
    Ok(Exit::Done)
}

/// The command line that sets up the same device.
fn again(args: &Args) -> String {
    let flags = args.flags();
    let given = flags.iter().filter_map(|flag| match &flag.source {
        SettingSource::Flag(name) => Some(format!(" {name} {}", quoted(&flag.value))),
        _ => None,
    });
    let join = if args.join { " --join" } else { "" };
    format!("cogzy-vault init{}{join}", given.collect::<String>())
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Prints the files that would meet, where nothing was joined yet.
fn tell_meeting(document: &MeetingDocument, root: &Path, remote: &str, output: &mut Output) {
    output.json(document);
    let MeetsDocument { same, differing, local_only, remote_only } = document.meets;
    output.line(format!("both sides hold files: this folder {} and {remote}", root.display()));
    output.line(format!("    {} are the same", thousands(same as u64)));
    output.line(format!("    {} differ", thousands(differing as u64)));
    output.line(format!("    {} are only here, and would be sent", thousands(local_only as u64)));
    output.line(format!("    {} are only there, and would be fetched", thousands(remote_only as u64)));
    output.line(
        "nothing was joined yet. Where files differ, the remote's version would stand and the local one be \
         kept as a conflict.",
    );
}

/// Writes to the configuration whatever led to this vault, so that the next command finds it
/// without the flags and the environment of this one.
fn remember(app: &App, args: &Args) -> Result<(), Failure> {
    let flags = args.flags();
    let mut written: Vec<(&str, &str)> = flags.iter().map(|flag| (flag.key, flag.value.as_str())).collect();
    let vault = app.config().vault.to_string_lossy().into_owned();
    let elsewhere = app.loaded.keys.get("vault").is_some_and(|shown| shown.source != SettingSource::Default);
    if elsewhere || !app.loaded.file_exists {
        written.push(("vault", &vault));
    }
    let reached = how_reached(app);
    written.extend(reached.iter().map(|(key, value)| (*key, value.as_str())));
    if !written.is_empty() {
        update(&RealFs, &app.loaded.file, &written)?;
    }
    Ok(())
}

/// Handles an `init` beside a daemon. Nothing is set up, for the daemon keeps to the settings it
/// was started with; where these are the wanted ones, there is nothing to do.
fn beside(app: &App, locked: Failure, output: &mut Output) -> Result<Exit, Failure> {
    let status: StatusDocument = match runtime()?.block_on(socket::get(&app.socket, "/v1/status")) {
        Ok(status) => status,
        Err(ClientError::NoDaemon) => return Err(locked),
        Err(error) => return Err(error.into()),
    };
    let wanted = app.assembly().status(status.state, status.device.id);
    let differs = [
        ("remote", &status.remote, &wanted.remote),
        ("user_id", &status.user_id, &wanted.user_id),
        ("device_name", &status.device.name, &wanted.device.name),
    ];
    if let Some((key, runs, asked)) = differs.into_iter().find(|(_, runs, asked)| runs != asked) {
        let text =
            format!("a daemon keeps this vault, with {key} = {runs} and not {asked}; nothing was changed");
        return Err(Failure::new(Exit::Locked, text)
            .next("stop it (cogzy-vault service stop, or Ctrl-C where it runs), then the same init again"));
    }
    let StatusDocument { device, generation, remote, .. } = status;
    let marker = Marker::read(app.disk().as_ref(), &app.layout()).map_err(SyncError::from)?;
    output.json(&InitDocument {
        schema: SchemaVersion,
        joined: true,
        created: false,
        vault: marker.vault,
        device: device.id,
        generation,
        remote: &remote,
        config: &app.loaded.file,
    });
    output.line(format!(
        "{} is joined to {remote} already, generation {generation}, and a daemon keeps it in sync; nothing was changed",
        app.config().vault.display()
    ));
    Ok(Exit::Done)
}

/// Settings of the remote that the environment made, and that worked: the service, or another
/// shell, will not have them. Credentials are no part of the configuration.
fn how_reached(app: &App) -> Vec<(&'static str, String)> {
    let config = app.config();
    let told = [
        ("remote", config.remote.clone()),
        ("user_id", Some(config.user_id.clone())),
        ("s3.endpoint", config.s3.endpoint.clone()),
        ("s3.region", config.s3.region.clone()),
        ("s3.profile", config.s3.profile.clone()),
    ];
    let here = |key: &str| {
        app.loaded.keys.get(key).is_some_and(|shown| matches!(shown.source, SettingSource::Environment(_)))
    };
    told.into_iter().filter(|(key, _)| here(key)).filter_map(|(key, value)| Some((key, value?))).collect()
}
