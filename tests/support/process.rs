//! The real program as a process: a machine of its own for each, with nothing of this one's
//! settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_engine::model::{Digest, Group, Validate};
use tokio::process::Command;

use super::device;
use super::s3_server::{KEY_ID, S3Server, SECRET};

/// The longest call of these tests, on any machine. A longer one hangs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A user's account on a machine: a home folder, and the environment that its processes get.
#[derive(Debug, Clone)]
pub struct Machine {
    pub name: String,
    pub home: PathBuf,
    /// The vault, at the platform's place.
    pub root: PathBuf,
    pub variables: BTreeMap<String, OsString>,
    program: PathBuf,
    /// A program and its first arguments that start it.
    starter: Vec<String>,
    user: Option<u32>,
}

/// The end of a process, and its output.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code. None if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Machine {
    /// A machine without any configuration.
    pub fn bare(folder: &Path, name: &str) -> Self {
        // Resolved, as the program shows it.
        let home = folder.canonicalize().unwrap().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let root = home.join(".local/share/cogzy");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_cogzy-vault"));
        let mut machine = Self {
            name: name.into(),
            root,
            home,
            variables: BTreeMap::new(),
            program,
            starter: vec![],
            user: None,
        };
        machine.set("HOME", machine.home.clone());
        machine.set("COGZY_VAULT__DEVICE_NAME", name);
        machine.set("COGZY_VAULT__SYNC__SETTLE", "50ms");
        machine
    }

    /// A machine that is configured for the remote in `folder/bucket`.
    pub fn with_folder(folder: &Path, name: &str) -> Self {
        let mut machine = Self::bare(folder, name);
        machine.groups(Validate::Off);
        let bucket = folder.canonicalize().unwrap().join("bucket");
        machine.set("COGZY_VAULT__REMOTE", format!("file://{}", bucket.display()));
        machine
    }

    /// A machine that is configured for the bucket of `server`.
    pub fn with_server(folder: &Path, name: &str, server: &S3Server) -> Self {
        Self::with_s3(folder, name, "s3://test-bucket/memory", server.endpoint())
    }

    /// A machine that is configured for a bucket, with the key of the in-process server.
    pub fn with_s3(folder: &Path, name: &str, url: &str, endpoint: String) -> Self {
        let mut machine = Self::bare(folder, name);
        machine.groups(Validate::Off);
        machine.set("COGZY_VAULT__REMOTE", url);
        machine.set("COGZY_VAULT__S3__ENDPOINT", endpoint);
        machine.set("COGZY_VAULT__S3__REGION", "us-east-1");
        machine.set("AWS_ACCESS_KEY_ID", KEY_ID);
        machine.set("AWS_SECRET_ACCESS_KEY", SECRET);
        machine
    }

    /// Configures the usual groups, and the reaction to files that do not fit together. Most tests
    /// write noise there, so by default nothing is validated.
    pub fn groups(&self, validate: Validate) {
        let word = format!("{validate:?}").to_lowercase();
        let group = |Group { name, primary, derived, .. }: &Group| {
            format!(
                "[[group]]\nname = {name:?}\nprimary = {primary:?}\nderived = {derived:?}\nvalidate = {word:?}\n"
            )
        };
        let _none_yet = std::fs::remove_file(self.config_file());
        self.configure(&device::groups(validate).iter().map(group).collect::<String>());
    }

    pub fn config_file(&self) -> PathBuf {
        self.home.join(".config/cogzy-vault/config.toml")
    }

    /// Adds to the configuration file.
    pub fn configure(&self, text: &str) {
        let file = self.config_file();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(file, before + text).unwrap();
    }

    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.insert(name.to_owned(), value.into());
    }

    /// The same machine for a user whom permissions bind: where the tests run as root, its files
    /// are given to one.
    pub fn as_nobody(&self) -> Self {
        const NOBODY: u32 = 65534;
        let mut machine = self.clone();
        if rustix::process::geteuid().is_root() {
            // Other users may not enter the folder where the program was built.
            let folder = self.home.parent().unwrap();
            machine.program = folder.join("cogzy-vault");
            // By a program of its own: whatever this one starts meanwhile would inherit the file
            // that is written, and a file that is open to be written cannot be started.
            let mut copy = std::process::Command::new("cp");
            assert!(copy.arg(&self.program).arg(&machine.program).status().unwrap().success());
            give(folder, NOBODY);
            machine.user = Some(NOBODY);
        }
        machine
    }

    /// The same machine whose programs may watch only so many files and folders. None if the system
    /// has no way to limit that.
    pub async fn watching_at_most(&self, watches: u32) -> Option<Self> {
        let limit = format!("echo {watches} > /proc/sys/user/max_inotify_watches && exec \"$@\"");
        let starter = ["unshare", "--user", "--map-root-user", "sh", "-c", &limit, "sh"].map(String::from);
        let machine = Self { starter: starter.to_vec(), ..self.clone() };
        let tried = machine.command(&["--version"]).output().await;
        tried.is_ok_and(|output| output.status.success()).then_some(machine)
    }

    /// The same machine whose programs leave these rights to new files.
    pub fn with_umask(&self, mask: &str) -> Self {
        let script = format!("umask {mask} && exec \"$@\"");
        Self { starter: ["sh", "-c", &script, "sh"].map(String::from).to_vec(), ..self.clone() }
    }

    /// The program with these arguments; it dies with the test.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = match self.starter.split_first() {
            None => Command::new(&self.program),
            Some((starter, first)) => {
                let mut command = Command::new(starter);
                command.args(first).arg(&self.program);
                command
            }
        };
        self.user.map(|user| command.uid(user));
        command.args(args).env_clear().envs(&self.variables).current_dir(&self.home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let clock = SystemClock::new();
        let started = clock.monotonic();
        let output = tokio::time::timeout(PATIENCE, self.command(args).output());
        let output = output.await.unwrap_or_else(|_| panic!("{}: {args:?} hangs", self.name)).unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            took: clock.monotonic() - started,
        }
    }

    /// Runs it to its end, which must be a good one.
    pub async fn good(&self, args: &[&str]) -> Ran {
        let ran = self.run(args).await;
        assert_eq!(ran.code, Some(0), "{} could not {args:?}: {ran:#?}", self.name);
        ran
    }

    /// `sync --json`, which must go through; the report.
    pub async fn sync(&self) -> serde_json::Value {
        self.good(&["sync", "--json"]).await.json()
    }

    /// Runs it and kills it (SIGKILL) at `moment`, unless it has ended by then. True if it was
    /// killed.
    pub async fn killed_at(&self, moment: Duration, args: &[&str]) -> bool {
        let mut command = self.command(args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if let Ok(ended) = tokio::time::timeout(moment, child.wait()).await {
            assert!(ended.unwrap().success(), "{}: {args:?} failed by itself", self.name);
            return false;
        }
        child.kill().await.unwrap();
        true
    }

    /// Puts a file into the vault as a careful program does, by a rename.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let fresh = path.with_extension("tmp~");
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    pub fn delete(&self, path: &str) {
        std::fs::remove_file(self.root.join(path)).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.join(path)).ok()
    }

    /// All files of the vault that are synced, with the digests of their bytes.
    pub fn files(&self) -> BTreeMap<String, Digest> {
        device::synced_files(&self.root)
    }

    /// Everything in the vault's folder except the cache and the log, with the digests of the
    /// bytes: a failing verb must leave it as it is.
    pub fn everything(&self) -> BTreeMap<String, Digest> {
        let mut files = BTreeMap::new();
        if self.root.exists() {
            device::collect(&self.root, &self.root, &mut files);
        }
        let ours = ["sync/cache.db", "logs/cogzy-vault.log"];
        files.retain(|path, _| !ours.iter().any(|start| path.starts_with(start)) && !path.ends_with("lock"));
        files
    }
}

impl Ran {
    /// The one document on standard output.
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("not exactly one document ({error}): {self:#?}"))
    }

    /// Asserts the exit code, and that the errors say each of `words`.
    pub fn expect(&self, code: i32, words: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "the error does not say {word:?}: {self:#?}");
        }
        self
    }
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), None).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

/// Bytes that nothing compresses, the same for the same seed.
pub fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A number in `0.0..1.0`, the same for the same seed.
pub fn unit(seed: &str) -> f64 {
    let bytes = noise(seed, 4);
    f64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) / f64::from(u32::MAX)
}
