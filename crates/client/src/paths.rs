//! The platform's folders, and the identity of this machine. Only this module and `config` look at
//! the environment; nothing is created here.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use directories::BaseDirs;

/// An error: this user has no home folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no home folder was found for this user: set HOME to an absolute path")]
pub struct NoHome;

/// The name of the file with credentials, beside the configuration file.
pub const CREDENTIALS: &str = "credentials.env";

/// Bytes of the longest path that this platform takes for a socket.
pub const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// True if a socket can stand at `path`: its length is within the platform's limit.
#[must_use]
pub fn fits_socket(path: &Path) -> bool {
    path.as_os_str().len() <= LONGEST_SOCKET
}

/// The platform's folders for this user, and the machine's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    data: PathBuf,
    config: PathBuf,
    runtime: Option<PathBuf>,
    state: PathBuf,
    home: PathBuf,
    host_name: String,
}

impl Paths {
    /// The folders of this user, by the rules of the platform (on Linux the XDG variables, then
    /// HOME).
    ///
    /// # Errors
    /// If there is no home folder.
    pub fn of_this_user() -> Result<Self, NoHome> {
        let dirs = BaseDirs::new().ok_or(NoHome)?;
        Ok(Self {
            data: dirs.data_local_dir().to_owned(),
            config: dirs.config_dir().to_owned(),
            runtime: dirs.runtime_dir().filter(|folder| !is_anothers(folder)).map(Path::to_owned),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
            home: dirs.home_dir().to_owned(),
            host_name: host_name(),
        })
    }

    /// The folders below `home` on a Linux machine without settings of its own.
    #[must_use]
    pub fn in_home(home: &Path, runtime: Option<&Path>) -> Self {
        Self {
            data: home.join(".local/share"),
            config: home.join(".config"),
            runtime: runtime.map(Path::to_owned),
            state: home.join(".local/state"),
            home: home.to_owned(),
            host_name: "laptop".to_owned(),
        }
    }

    /// The folder of the app's vault.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.data.join("cogzy")
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("cogzy-vault/config.toml")
    }

    /// The file with credentials for the service: systemd reads it before it starts the daemon, and
    /// the daemon itself where systemd has not.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.config_file().with_file_name(CREDENTIALS)
    }

    /// The daemon's socket for the vault at `vault`, a path with every link resolved: two spellings
    /// of one vault must not have two sockets. Where the platform has no folder for sockets it is
    /// in the vault, and in the folder of this user's state where that path is too long for a
    /// socket.
    #[must_use]
    pub fn socket(&self, vault: &Path) -> PathBuf {
        let (mut places, last) = self.places(vault);
        places.next().unwrap_or(last)
    }

    /// The places where the daemon's socket may stand, the usual one first: the disk of another may
    /// hold no sockets.
    #[must_use]
    pub fn sockets(&self, vault: &Path) -> Vec<PathBuf> {
        let (places, last) = self.places(vault);
        places.chain([last]).collect()
    }

    fn places(&self, vault: &Path) -> (impl Iterator<Item = PathBuf> + use<>, PathBuf) {
        let name = format!("{}.sock", short_hash("vault path", vault.as_os_str().as_encoded_bytes()));
        let usual = self.runtime.as_ref().map(|runtime| runtime.join("cogzy-vault").join(&name));
        let last = self.state.join("cogzy-vault").join(&name);
        (usual.into_iter().chain([socket_within(vault)]).filter(|path| fits_socket(path)), last)
    }

    /// The file that notes what this machine has seen of a remote, outside of every vault.
    #[must_use]
    pub fn seen(&self, remote: &str) -> PathBuf {
        self.state.join(format!("cogzy-vault/seen/{}.json", short_hash("remote", remote.as_bytes())))
    }

    /// The folder of this user's configuration, for all programs.
    #[must_use]
    pub fn config_folder(&self) -> &Path {
        &self.config
    }

    /// True if the configuration and the vault's usual place stand where this platform has them for
    /// a user without variables of their own.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        let usual = self.usual();
        (&self.config, &self.data) == (&usual.config, &usual.data)
    }

    /// The places of this user without variables of their own.
    #[must_use]
    pub fn usual(&self) -> Self {
        // Elsewhere no variables name them.
        if !cfg!(target_os = "linux") {
            return self.clone();
        }
        let usual = Self::in_home(&self.home, self.runtime.as_deref());
        Self { host_name: self.host_name.clone(), ..usual }
    }

    /// This user's home folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The name of this machine.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.host_name
    }
}

/// True if a folder belongs to another user, whose variables `su` may have left here: the folder for
/// sockets is the user's own, or none (XDG Base Directory Specification).
fn is_anothers(folder: &Path) -> bool {
    let owner = std::fs::metadata(folder).map(|found| found.uid());
    owner.is_ok_and(|owner| owner != rustix::process::geteuid().as_raw())
}

/// The daemon's socket in the vault itself.
pub(crate) fn socket_within(vault: &Path) -> PathBuf {
    vault.join("sync/control/daemon.sock")
}

/// The folder remote of a vault that has no other: beside the vault, so that two vaults never share
/// one.
#[must_use]
pub fn embedded_remote(vault: &Path) -> PathBuf {
    // Collecting the components drops a slash at the end.
    let mut name = vault.components().collect::<PathBuf>().into_os_string();
    name.push("-remote");
    PathBuf::from(name)
}

/// The path of the running program, by which it is found after an upgrade, too: that of a link in
/// PATH that leads to it, as Homebrew and Nix make them, else its own.
///
/// # Errors
/// If the system does not know it.
pub fn program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?.canonicalize()?;
    #[expect(clippy::disallowed_methods, reason = "this module reads the environment")]
    let folders = std::env::var_os("PATH").unwrap_or_default();
    Ok(lasting(&own, std::env::split_paths(&folders)))
}

/// The first of `folders` with a name that leads to the program at `own`, and that name.
fn lasting(own: &Path, folders: impl Iterator<Item = PathBuf>) -> PathBuf {
    let named = folders.filter(|folder| folder.is_absolute()).filter_map(|folder| {
        let path = folder.join(own.file_name()?);
        (path.canonicalize().ok()? == own).then_some(path)
    });
    named.into_iter().next().unwrap_or_else(|| own.to_owned())
}

/// An id that tells this machine from another with a copy of the same vault: 16 hex digits, from
/// which the machine's own id cannot be recovered. A machine without an id is known by its name.
#[must_use]
pub fn machine_id() -> String {
    let files = ["/etc/machine-id", "/var/lib/dbus/machine-id"];
    // A file that cannot be read is as good as none: the next one, or the name, takes its place.
    machine_id_of(files.iter().filter_map(|path| std::fs::read_to_string(path).ok()), &host_name())
}

fn machine_id_of(mut files: impl Iterator<Item = String>, host_name: &str) -> String {
    // systemd writes `uninitialized` into an image that is to get its id at first boot.
    let id = |text: &String| text.trim().len() == 32 && text.trim().chars().all(|c| c.is_ascii_hexdigit());
    match files.find(id) {
        Some(text) => short_hash("machine id", text.trim().as_bytes()),
        // The rest of the name is that of the network that a laptop is in now.
        None => short_hash("machine name", host_name.split('.').next().unwrap_or(host_name).as_bytes()),
    }
}

/// The machine's name, fit for a message: at most 64 characters, and no control character.
fn host_name() -> String {
    fit(&rustix::system::uname().nodename().to_string_lossy())
}

fn fit(name: &str) -> String {
    let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if name.trim().is_empty() { "unnamed".to_owned() } else { name }
}

/// 16 hex digits; `purpose` keeps hashes of one text for two purposes apart.
fn short_hash(purpose: &str, bytes: &[u8]) -> String {
    let key = blake3::derive_key(&format!("cogzy-vault {purpose}"), bytes);
    key.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
