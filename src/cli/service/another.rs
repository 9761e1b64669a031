//! The vault that the service keeps. A user has one service, and it may be another vault's: that
//! one would be synced no more, without a word, if this one's took its place.

use std::path::{Path, PathBuf};

use crate::cli::again::quoted;
use crate::cli::app::{App, resolved};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::{Config, Environment, LoadOptions};
use crate::service::ServiceStatus;
use cogzy_client::paths::Paths;

/// Another vault than this one, which the service keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Another {
    /// The vault in this folder.
    Vault(PathBuf),
    /// The vault of this configuration, which cannot be read.
    Configuration(PathBuf),
}

impl Another {
    /// The vault of the service with this `standing`, where it is not the one of `app`. A service
    /// that neither runs nor starts keeps none.
    pub fn of(app: &App, paths: &Paths, standing: &ServiceStatus) -> Option<Self> {
        let ServiceStatus { command, enabled, running, .. } = standing;
        let (program, arguments) = command.split_first()?;
        let ours = Path::new(program).file_name().is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        if !ours || !(*enabled || *running) {
            return None;
        }
        let named = |flag: &str| {
            let place = arguments.iter().position(|word| word == flag)?;
            arguments.get(place + 1).map(PathBuf::from)
        };
        let file = named("--config");
        // The manager has none of the variables that may lead this shell to other folders.
        let paths = &paths.usual();
        let vault = match named("--vault") {
            Some(vault) => vault,
            None => match configured(paths, file.clone()) {
                Some(vault) => vault,
                None => {
                    let file = file.unwrap_or_else(|| paths.config_file());
                    // Without its file the service finds no vault to keep.
                    let other = file.exists() && resolved(&file) != resolved(&app.loaded.file);
                    return other.then_some(Self::Configuration(file));
                }
            },
        };
        (resolved(&vault) != resolved(&app.config().vault)).then_some(Self::Vault(vault))
    }

    /// The folder, or the configuration.
    pub fn path(&self) -> &Path {
        match self {
            Self::Vault(path) | Self::Configuration(path) => path,
        }
    }

    /// The vault, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Vault(path) => format!("another vault, {}", path.display()),
            Self::Configuration(path) => format!("the vault of another configuration, {}", path.display()),
        }
    }

    /// The failure of `verb`, which would change the service of that vault.
    pub fn refuse(&self, verb: &str) -> Failure {
        let text = format!("the service keeps {}: nothing was changed", self.words());
        let path = quoted(&self.path().to_string_lossy()).into_owned();
        Failure::new(Exit::Usage, text).next(match (self, verb) {
            (Self::Configuration(_), _) => format!("cogzy-vault --config {path} config check"),
            (Self::Vault(_), "install") => format!(
                "a user has one service: keep this vault with `cogzy-vault run`, or take the other one's away \
                 first: `cogzy-vault --vault {path} service uninstall`"
            ),
            (Self::Vault(_), verb) => format!("cogzy-vault --vault {path} service {verb}"),
        })
    }
}

/// The vault that the configuration names by itself.
fn configured(paths: &Paths, file: Option<PathBuf>) -> Option<PathBuf> {
    let environment = Environment::default();
    let options =
        LoadOptions { paths, file, may_be_missing: false, environment: &environment, flags: Vec::new() };
    Config::load(options).ok().map(|loaded| loaded.config.vault)
}
