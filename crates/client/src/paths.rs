//! The platform's folders, and the identity of this machine. Only this module and `config` look at
//! the environment; nothing is created here.

use std::path::{Path, PathBuf};

use directories::BaseDirs;

/// An error: this user has no home folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no home folder was found for this user: set HOME to an absolute path")]
pub struct NoHome;

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
            runtime: dirs.runtime_dir().map(Path::to_owned),
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

    /// The file with credentials that the service reads before it starts the daemon.
    #[must_use]
    pub fn credentials_file(&self) -> PathBuf {
        self.config.join("cogzy-vault/credentials.env")
    }

    /// The daemon's socket for the vault at `vault`, a path with every link resolved: two spellings
    /// of one vault must not have two sockets. Where the platform has no folder for sockets it is
    /// in the vault, and in the folder of this user's state where that path is too long for a
    /// socket.
    #[must_use]
    pub fn socket(&self, vault: &Path) -> PathBuf {
        let name = format!("{}.sock", short_hash("vault path", vault.as_os_str().as_encoded_bytes()));
        let usual = self.runtime.as_ref().map(|runtime| runtime.join("cogzy-vault").join(&name));
        let within = socket_within(vault);
        let last = self.state.join("cogzy-vault").join(&name);
        usual.into_iter().chain([within]).find(|path| fits_socket(path)).unwrap_or(last)
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
        None => short_hash("machine name", host_name.as_bytes()),
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
mod tests {
    use super::*;

    #[test]
    fn each_vault_has_its_own_socket_and_remote() {
        let paths = Paths::in_home(Path::new("/home/me"), Some(Path::new("/run/user/1")));
        let (one, other) = (paths.socket(Path::new("/a")), paths.socket(Path::new("/b")));
        assert_ne!(one, other);
        assert_eq!(one.parent(), Some(Path::new("/run/user/1/cogzy-vault")));
        // The longest path that every platform takes for a socket is 103 bytes.
        assert!(one.as_os_str().len() < 103);
        let cron = Paths::in_home(Path::new("/home/me"), None);
        assert_eq!(cron.socket(Path::new("/a")), Path::new("/a/sync/control/daemon.sock"));
        let deep = Path::new("/a").join("x".repeat(LONGEST_SOCKET));
        assert!(cron.socket(&deep).starts_with("/home/me/.local/state/cogzy-vault"));
        assert!(paths.socket(&deep).starts_with("/run/user/1/cogzy-vault"));
        assert_eq!(embedded_remote(&paths.vault()), Path::new("/home/me/.local/share/cogzy-remote"));
        assert_eq!(embedded_remote(Path::new("/a/")), Path::new("/a-remote"));
    }

    #[test]
    fn a_machine_is_known_by_its_id_and_else_by_its_name() {
        let id = |files: &[&str], name| machine_id_of(files.iter().map(|&text| text.to_owned()), name);
        let real = "0123456789abcdef0123456789abcdef\n";
        assert_eq!(id(&[real], "a"), id(&["uninitialized\n", real.trim()], "b"));
        assert_ne!(id(&["", "uninitialized"], "a"), id(&[], "b"));
        assert_eq!(id(&[], "a"), id(&[""], "a"));
        assert_eq!(id(&[real], "a").len(), 16);
        assert!(!real.contains(&id(&[real], "a")), "the id must not be found again");
    }

    #[test]
    fn the_program_is_named_by_the_link_that_an_upgrade_renews() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (cellar, bin) = (root.join("Cellar/cogzy-vault/1.0/bin"), root.join("bin"));
        std::fs::create_dir_all(&cellar).unwrap();
        std::fs::create_dir(&bin).unwrap();
        let own = cellar.join("cogzy-vault");
        std::fs::write(&own, "the program").unwrap();
        std::fs::write(root.join("cogzy-vault"), "another one of the name").unwrap();
        std::os::unix::fs::symlink(&own, bin.join("cogzy-vault")).unwrap();
        let folders = [PathBuf::from("relative"), root.join("none"), root.clone(), bin.clone()];
        assert_eq!(lasting(&own, folders.into_iter()), bin.join("cogzy-vault"));
        assert_eq!(lasting(&own, [root].into_iter()), own);
    }

    #[test]
    fn any_host_name_fits() {
        assert_eq!(fit("lap\u{1b}top\n"), "laptop");
        assert_eq!(fit(" "), "unnamed");
        assert_eq!(fit(&"ä".repeat(100)).chars().count(), 64);
    }
}
