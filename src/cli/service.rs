//! `cogzy-vault service`

mod another;

pub use another::Another;

use super::app::App;
use super::documents::{
    InstallDocument, NotSeenDocument, ServiceDocument, StoppedDocument, UninstallDocument,
};
use super::exit::Exit;
use super::failure::Failure;
use super::global::Global;
use super::output::{Output, Tone};
use crate::config::{Environment, SettingSource};
use crate::service::{
    Installed, Launchd, Manager, Program, ServiceError, ServiceStatus, SystemRunner, Systemd,
};
use cogzy_client::documents::SchemaVersion;
use cogzy_client::paths::{self, Paths};
use cogzy_engine::remote::RemoteUrl;

/// Run it in the background from each login on
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The action.
    #[command(subcommand)]
    pub action: ServiceAction,
}

/// An action on the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Subcommand)]
pub enum ServiceAction {
    /// Have it start at each login, and start it now; again after the program or the flags have
    /// changed
    Install,
    /// Stop it and take it away; the vault and its configuration stay
    Uninstall,
    /// Start it
    Start,
    /// Stop it until the next login
    Stop,
    /// Say whether it is installed and runs
    Status,
}

/// Acts on the service, through the service manager of this platform.
///
/// # Errors
/// If there is none, or it refuses.
pub fn run(app: &App, global: &Global, args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let paths = Paths::of_this_user()?;
    let system = SystemRunner;
    let manager = manager(&system, &paths);
    match args.action {
        ServiceAction::Install => {
            let known = manager.status()?;
            refuse_another(app, &paths, &known, "install")?;
            install(app, global, &paths, manager.as_ref(), output)
        }
        ServiceAction::Uninstall => {
            refuse_another(app, &paths, &manager.status()?, "uninstall")?;
            let removed = manager.uninstall()?;
            output.json(&UninstallDocument { schema: SchemaVersion, installed: false, removed });
            output.line("the service is stopped and no longer starts at login; the vault stays as it is");
            Ok(Exit::Done)
        }
        ServiceAction::Start => {
            refuse_another(app, &paths, &manager.status()?, "start")?;
            manager.start()?;
            status(app, &paths, manager.as_ref(), output)
        }
        ServiceAction::Stop => {
            refuse_another(app, &paths, &manager.status()?, "stop")?;
            manager.stop()?;
            output.json(&StoppedDocument { schema: SchemaVersion, running: false });
            output.line("stopped until the next login, or `cogzy-vault service start`");
            Ok(Exit::Done)
        }
        ServiceAction::Status => status(app, &paths, manager.as_ref(), output),
    }
}

/// Refuses `verb` where the service keeps another vault.
fn refuse_another(app: &App, paths: &Paths, known: &ServiceStatus, verb: &str) -> Result<(), Failure> {
    Another::of(app, paths, known).map_or(Ok(()), |another| Err(another.refuse(verb)))
}

/// The state of the service.
///
/// # Errors
/// If the manager cannot be asked.
pub fn standing(paths: &Paths) -> Result<ServiceStatus, ServiceError> {
    manager(&SystemRunner, paths).status()
}

fn manager<'a>(system: &'a SystemRunner, paths: &Paths) -> Box<dyn Manager + 'a> {
    let uid = rustix::process::getuid().as_raw();
    if cfg!(target_os = "macos") {
        Box::new(Launchd::new(system, paths.home(), uid))
    } else {
        // The manager looks there, wherever this shell has its configuration.
        Box::new(Systemd::new(system, paths.usual().config_folder(), uid))
    }
}

fn install(
    app: &App,
    global: &Global,
    paths: &Paths,
    manager: &dyn Manager,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Installed { file, written } = manager.install(&program(app, global, paths)?)?;
    let standing = manager.status()?;
    let settings = unseen_settings(app, global);
    let credentials = unseen(app, app.environment().credentials());
    let network = unseen(app, app.environment().network());
    output.json(&InstallDocument {
        schema: SchemaVersion,
        installed: true,
        file: &file,
        written,
        service: &standing,
        not_seen: NotSeenDocument { settings: &settings, credentials: &credentials, network: &network },
    });
    output.toned(
        Tone::Good,
        format!("{} is kept in sync from now on, and from each login on", app.config().vault.display()),
    );
    output.note(format!("    {}", file.display()));
    if !settings.is_empty() {
        let what =
            format!("! set in this shell only, where the service does not see it: {}", settings.join(", "));
        output.toned(Tone::Warning, what);
        output.line(format!(
            "  next: set it in {}, then run `cogzy-vault service install`",
            app.loaded.file.display()
        ));
    }
    if !credentials.is_empty() {
        let what = format!("! the service does not see the keys of this shell: {}", credentials.join(", "));
        output.toned(Tone::Warning, what);
    }
    if !network.is_empty() {
        let what = format!(
            "! this shell tells the way to the bucket, and the service does not see that: {}",
            network.join(", ")
        );
        output.toned(Tone::Warning, what);
    }
    if !(credentials.is_empty() && network.is_empty()) {
        output.line(format!(
            "  next: (umask 077; env | grep -iE '^(B2_APPLICATION_|AWS_|SSL_CERT_|[A-Z]+_PROXY=)' > {}), then \
             `cogzy-vault service install`",
            app.credentials_file().display()
        ));
    }
    tell_linger(&standing, output);
    output.note("next: cogzy-vault status");
    Ok(Exit::Done)
}

/// The keys that the service would read differently, since this shell or command line sets them to
/// something else.
fn unseen_settings(app: &App, global: &Global) -> Vec<&'static str> {
    let Ok(alone) = App::load(global, Vec::new(), Environment::default(), true) else { return Vec::new() };
    let differs = |key: &&'static str| {
        // The service gets the vault as a flag.
        *key != "vault"
            && app.loaded.keys.get(key).map(|shown| &shown.value)
                != alone.loaded.keys.get(key).map(|shown| &shown.value)
    };
    app.loaded.keys.keys().copied().filter(differs).collect()
}

/// The variables of `names` that are missing from the file that the service reads.
fn unseen(app: &App, names: Vec<&str>) -> Vec<String> {
    if matches!(app.remote, RemoteUrl::Folder(_)) {
        return Vec::new();
    }
    let file = std::fs::read_to_string(app.credentials_file()).unwrap_or_default();
    let has = |name: &str| {
        file.lines().any(|line| line.split_once('=').is_some_and(|(known, _)| known.trim() == name))
    };
    names.into_iter().filter(|name| !has(name)).map(str::to_owned).collect()
}

/// The program that the service runs: this one, with the flags that lead it to the same vault.
fn program(app: &App, global: &Global, paths: &Paths) -> Result<Program, Failure> {
    let path = paths::program().map_err(|error| {
        Failure::new(Exit::Internal, format!("the program's own path is not known: {error}"))
    })?;
    let mut arguments = Vec::new();
    let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    // The service's manager may not have the variables that lead this shell to its folders.
    if global.config.is_some() || !paths.is_usual() && app.loaded.file.exists() {
        flag("--config", app.loaded.file.to_string_lossy().into_owned());
    }
    let from_here = |source: &SettingSource| match source {
        SettingSource::Environment(_) | SettingSource::Flag(_) => true,
        SettingSource::Default => !paths.is_usual(),
        SettingSource::File { .. } => false,
    };
    if app.loaded.keys.get("vault").is_some_and(|shown| from_here(&shown.source)) {
        flag("--vault", app.config().vault.to_string_lossy().into_owned());
    }
    if let Some(socket) = &global.socket {
        flag("--socket", socket.to_string_lossy().into_owned());
    }
    arguments.push("run".to_owned());
    let keys = Some(app.credentials_file()).filter(|file| *file != paths.credentials_file());
    Ok(Program { path, arguments, keys })
}

fn status(app: &App, paths: &Paths, manager: &dyn Manager, output: &mut Output) -> Result<Exit, Failure> {
    let standing = manager.status()?;
    let another = Another::of(app, paths, &standing);
    let keeps_another = another.as_ref().map(Another::path);
    output.json(&ServiceDocument { schema: SchemaVersion, service: &standing, keeps_another });
    if let Some(another) = another {
        output.toned(Tone::Warning, format!("the service keeps {}, and not this one", another.words()));
        output.line("  next: `cogzy-vault run` keeps this one while it runs: a user has one service");
        return Ok(Exit::NoDaemon);
    }
    let (tone, text) = match (&standing.file, standing.running) {
        (None, _) => (Tone::Warning, "the service is not installed".to_owned()),
        (_, true) => (Tone::Good, format!("the service runs ({})", standing.state)),
        (_, false) => {
            (Tone::Warning, format!("the service is installed and does not run ({})", standing.state))
        }
    };
    output.toned(tone, text);
    match (&standing.file, standing.running) {
        (None, _) => output.line("  next: cogzy-vault service install"),
        (Some(_), false) => output.line("  next: cogzy-vault service start"),
        (Some(file), true) => output.note(format!("    {}", file.display())),
    }
    if standing.file.is_some() && !standing.enabled {
        output.toned(Tone::Warning, "! it does not start at login");
        output.line("  next: cogzy-vault service install");
    }
    if standing.file.is_some() {
        tell_linger(&standing, output);
    }
    Ok(if standing.running { Exit::Done } else { Exit::NoDaemon })
}

fn tell_linger(standing: &ServiceStatus, output: &mut Output) {
    if standing.linger == Some(false) {
        output.note("it runs while you are logged in: nothing is synced before the first login or after the last logout");
        output.note("to have it run from boot on: loginctl enable-linger");
    }
}
