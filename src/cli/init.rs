//! `cogzy-vault init`

mod remembered;
mod store;

use std::path::Path;

use super::again::quoted;
use super::app::{App, runtime};
use super::documents::{InitDocument, MeetingDocument, MeetsDocument};
use super::exit::Exit;
use super::failure::Failure;
use super::output::{Output, Tone, thousands};
use super::progress::ProgressWatcher;
use crate::config::{Flag, SettingSource};
use cogzy_client::documents::{SchemaVersion, StatusDocument};
use cogzy_client::paths::machine_id;
use cogzy_client::socket::{self, ClientError};
use cogzy_engine::fs::{Fs, RealFs};
use cogzy_engine::remote::Meter;
use cogzy_engine::sync::{Joining, SyncError, join};
use cogzy_engine::vault::{Marker, Spellings};
use remembered::Remembered;
use store::Found;
pub use store::MAY_NOT_DELETE;

/// Set up this device: write the configuration, make the vault's folders, create or join the remote
///
/// Safe to repeat; beside a running daemon it changes nothing. Where both sides already hold files
/// it says what will meet what, and wants `--join`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// URL of the backup: b2://bucket/prefix, s3://bucket/prefix or file:///path, without
    /// credentials
    #[arg(long, value_name = "URL")]
    pub remote: Option<String>,
    /// Owner of the vault, where several users share a bucket
    #[arg(long, value_name = "ID")]
    pub user_id: Option<String>,
    /// Name of this device in the history and in conflicts
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

    /// The same command again; with `join`, as the approval of joining. One without the remote
    /// would set up another vault, and report success.
    #[must_use]
    pub fn again(&self, join: bool) -> String {
        let mut command = "cogzy-vault init".to_owned();
        for Flag { value, source, .. } in self.flags() {
            if let SettingSource::Flag(name) = source {
                command.push_str(&format!(" {name} {}", quoted(&value)));
            }
        }
        if join || self.join {
            command.push_str(" --join");
        }
        command
    }

    /// A failure of this `init`, whose next step is this `init` again and no other command.
    fn proposing_itself(&self, mut failure: Failure) -> Failure {
        failure.next = failure.next.map(|next| {
            let again = |join| format!("`{}`", self.again(join));
            next.replace("`cogzy-vault init --join`", &again(true))
                .replace("`cogzy-vault init`", &again(false))
                .replace("`cogzy-vault sync`", &again(false))
        });
        failure
    }
}

/// Sets up the device.
///
/// # Errors
/// If the configuration, the vault's folder or the remote cannot be used.
pub fn run(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    set_up(app, args, output).map_err(|failure| args.proposing_itself(failure))
}

fn set_up(app: &App, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let root = &app.config().vault;
    let settings = Remembered::of(app)?;
    RealFs.create_dir_all(&root.join("sync")).map_err(|error| {
        Failure::new(Exit::Usage, format!("the vault's folder {} cannot be made: {error}", root.display()))
    })?;
    let lock = match app.lock() {
        Ok(lock) => lock,
        Err(failure) if failure.exit == Exit::Locked => return beside(app, failure, output),
        Err(failure) => return Err(failure),
    };
    let (joined, store) = runtime()?.block_on(async {
        let assembly = app.assembly();
        assembly.make_remote_folder().await?;
        let mut engine = assembly.joining_engine(Meter::default()).await?;
        let groups = app.config().groups.definitions().to_vec();
        let joining = Joining { groups, machine: machine_id(), approved: args.join };
        let joined = join(&mut engine, &joining, &ProgressWatcher::on(output)).await?;
        let store = if joined.meets.is_none() { store::look(app, &engine).await } else { Found::default() };
        Ok::<_, Failure>((joined, store))
    })?;
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
        return Err(Failure::new(Exit::Held, "joining needs your consent: nothing was changed")
            .next(args.again(true)));
    }
    let other = settings.write()?;
    output.json(&InitDocument {
        schema: SchemaVersion,
        joined: true,
        created: joined.created,
        vault: joined.vault,
        device: joined.device,
        generation: joined.generation,
        remote: &remote,
        config: &app.loaded.file,
        rolled_back: joined.rolled_back,
        warnings: &store.warnings,
    });
    if joined.rolled_back {
        output.toned(
            Tone::Warning,
            "this machine has seen a newer state of that backup, or another one there: it was rolled back, replaced or emptied",
        );
    }
    output.toned(
        Tone::Good,
        match joined.created {
            true => format!("created a new vault at {remote}; its folder here is {}", root.display()),
            false => {
                format!(
                    "joined the vault at {remote}, generation {}, with {}",
                    joined.generation,
                    root.display()
                )
            }
        },
    );
    store.tell(output);
    tell_names(app, output);
    if let Some(other) = other {
        let file = app.loaded.file.display();
        output.toned(
            Tone::Warning,
            format!("{file} goes on naming the vault {other}: say --vault in the next commands, too"),
        );
    }
    output.note("next: `cogzy-vault sync`, or `cogzy-vault service install` to keep it in sync");
    Ok(Exit::Done)
}

/// Prints how the vault's disk spells names that it cannot hold.
fn tell_names(app: &App, output: &mut Output) {
    // Whatever keeps anybody from reading this was told.
    let Ok(spellings) = Spellings::load(app.disk().as_ref(), &app.layout()) else { return };
    if let Some(promise) = spellings.promise("", None) {
        output.toned(Tone::Warning, promise);
    }
}

/// Prints the files that would meet, if nothing was joined yet.
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

/// Handles an `init` beside a daemon. Nothing is set up, since the daemon keeps the settings it was
/// started with; if these are the wanted ones, there is nothing to do.
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
        return Err(Failure::new(Exit::Locked, text).next(
            "stop it (`cogzy-vault service stop`, or Ctrl-C where it runs), then run `cogzy-vault init`",
        ));
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
        rolled_back: false,
        warnings: &[],
    });
    output.line(format!(
        "{} is set up already with {remote}, generation {generation}, and a daemon keeps it in sync; nothing was changed",
        app.config().vault.display()
    ));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
