//! The user manager of systemd.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::command::{ask, line};
use super::{Installed, Manager, Program, ProgramOutput, ProgramRunner, ServiceError, ServiceStatus};

/// The unit's name.
const UNIT: &str = "cogzy-vault.service";
/// The unit as a package installs it.
const TEMPLATE: &str = include_str!("../../systemd/cogzy-vault.service");
/// The first line of a file that was written here, which marks it as ours.
const OURS: &str = "# Written by `cogzy-vault service install`; the next install writes it again.\n";
/// The beginning of the line with the program.
const EXEC: &str = "ExecStart=";
/// Folders where packages put units of users.
const PACKAGED: [&str; 3] = ["/usr/lib/systemd/user", "/lib/systemd/user", "/usr/local/lib/systemd/user"];

/// systemd's manager of this user.
pub struct Systemd<'a> {
    run: &'a dyn ProgramRunner,
    folder: PathBuf,
    packaged: Vec<PathBuf>,
    uid: u32,
}

impl<'a> Systemd<'a> {
    /// The manager of the user `uid`, whose configuration folder is `config`.
    #[must_use]
    pub fn new(run: &'a dyn ProgramRunner, config: &Path, uid: u32) -> Self {
        let packaged = PACKAGED.iter().map(|folder| Path::new(folder).join(UNIT)).collect();
        Self { run, folder: config.join("systemd/user"), packaged, uid }
    }

    /// The same manager, with a package's unit elsewhere.
    #[cfg(test)]
    pub(super) fn with_packaged(mut self, unit: PathBuf) -> Self {
        self.packaged = vec![unit];
        self
    }

    fn file(&self) -> PathBuf {
        self.folder.join(UNIT)
    }

    /// A package's unit that runs exactly this, if there is one.
    fn package_with(&self, exec: &str) -> Option<PathBuf> {
        let fits = |path: &&PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().any(|line| line == exec)
        };
        self.packaged.iter().find(fits).cloned()
    }

    /// Runs systemctl, which must end with success.
    fn control(&self, arguments: &[&str]) -> Result<ProgramOutput, ServiceError> {
        let arguments = [&["--user"], arguments].concat();
        let answer = ask(self.run, "systemd", "systemctl", &arguments)?;
        if answer.good {
            return Ok(answer);
        }
        let said = answer.err.lines().next().unwrap_or("it gave no reason").to_owned();
        // These words have been the same for ten years; the exit code is the same for everything.
        if said.contains("connect to bus") || said.contains("connect to user scope bus") {
            return Err(ServiceError::NoSession { said });
        }
        Err(ServiceError::Failed { command: line("systemctl", &arguments), said })
    }

    /// True if the user's services run without a login; none where loginctl does not know.
    fn linger(&self) -> Option<bool> {
        let uid = self.uid.to_string();
        let arguments = ["show-user", &uid, "--property=Linger", "--value"];
        let answer = ask(self.run, "systemd", "loginctl", &arguments).ok()?;
        match answer.out.as_str() {
            "yes" if answer.good => Some(true),
            "no" if answer.good => Some(false),
            _ => None,
        }
    }

    fn installed(&self) -> bool {
        self.file().exists() || self.packaged.iter().any(|path| path.exists())
    }
}

impl Manager for Systemd<'_> {
    fn install(&self, program: &Program) -> Result<Installed, ServiceError> {
        let exec = exec_start(program)?;
        let file = self.file();
        // Asked before anything is written: without a manager there is nothing to install for.
        self.control(&["show-environment"])?;
        let packaged = self.package_with(&exec).filter(|_| !file.exists() && program.keys.is_none());
        let written = packaged.is_none();
        let file = match packaged {
            Some(unit) => unit,
            None => {
                write(&file, &unit(&exec, program.keys.as_deref())?)?;
                file
            }
        };
        self.control(&["daemon-reload"])?;
        self.control(&["enable", UNIT])?;
        self.control(&["restart", UNIT])?;
        Ok(Installed { file, written })
    }

    fn uninstall(&self) -> Result<Option<PathBuf>, ServiceError> {
        if !self.installed() {
            return Err(ServiceError::NotInstalled);
        }
        let file = self.file();
        let ours = match std::fs::read_to_string(&file) {
            Ok(text) if text.starts_with(OURS) => true,
            Ok(_) => return Err(ServiceError::Foreign(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(source) => return Err(ServiceError::Io { what: "read", path: file, source }),
        };
        self.control(&["disable", "--now", UNIT])?;
        if ours {
            std::fs::remove_file(&file).map_err(|source| ServiceError::Io {
                what: "remove",
                path: file.clone(),
                source,
            })?;
        }
        self.control(&["daemon-reload"])?;
        Ok(ours.then_some(file))
    }

    fn start(&self) -> Result<(), ServiceError> {
        if !self.installed() {
            return Err(ServiceError::NotInstalled);
        }
        self.control(&["start", UNIT]).map(drop)
    }

    fn stop(&self) -> Result<(), ServiceError> {
        if !self.installed() {
            return Err(ServiceError::NotInstalled);
        }
        self.control(&["stop", UNIT]).map(drop)
    }

    fn status(&self) -> Result<ServiceStatus, ServiceError> {
        let properties = "--property=FragmentPath,UnitFileState,ActiveState,MainPID";
        let answer = self.control(&["show", UNIT, properties])?;
        let of = |name: &str| {
            let values = answer.out.lines().filter_map(|line| line.split_once('='));
            values
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.to_owned())
                .next()
                .unwrap_or_default()
        };
        let state = of("ActiveState");
        let file = Some(PathBuf::from(of("FragmentPath"))).filter(|path| !path.as_os_str().is_empty());
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        Ok(ServiceStatus {
            manager: "systemd",
            command: text
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix(EXEC))
                .map(words)
                .unwrap_or_default(),
            file,
            enabled: of("UnitFileState").starts_with("enabled"),
            running: matches!(state.as_str(), "active" | "reloading"),
            state,
            pid: of("MainPID").parse().ok().filter(|pid| *pid != 0),
            linger: self.linger(),
        })
    }
}

/// The unit with this line for its program, and this file of variables in the place of the usual
/// one: half of its keys and half of another vault's would be none.
fn unit(exec: &str, keys: Option<&Path>) -> Result<String, ServiceError> {
    let named = |path: &Path| {
        let text = path.to_str().filter(|text| speakable(text));
        let text = text.ok_or_else(|| ServiceError::Unspeakable(path.to_owned()))?;
        Ok::<_, ServiceError>(format!("EnvironmentFile=-{}\n", text.replace('%', "%%")))
    };
    let keys = keys.map(named).transpose()?;
    let line = |line: &str| match line {
        line if line.starts_with("EnvironmentFile=") => keys.clone().unwrap_or_else(|| format!("{line}\n")),
        line if line.starts_with(EXEC) => format!("{exec}\n"),
        line => format!("{line}\n"),
    };
    // The first line of the template speaks of the file in the package.
    let lines = TEMPLATE.lines().skip_while(|line| line.starts_with('#'));
    Ok(OURS.to_owned() + &lines.map(line).collect::<String>())
}

/// The line `ExecStart=` for a program, quoted by the rules of systemd.service(5) and
/// systemd.syntax(7).
pub(super) fn exec_start(program: &Program) -> Result<String, ServiceError> {
    let path = program.path.to_str().filter(|path| speakable(path));
    let path = path.ok_or_else(|| ServiceError::Unspeakable(program.path.clone()))?;
    if let Some(bad) = program.arguments.iter().find(|argument| !speakable(argument)) {
        return Err(ServiceError::Unspeakable(bad.into()));
    }
    let words = std::iter::once(path).chain(program.arguments.iter().map(String::as_str));
    Ok(format!("{EXEC}{}", words.map(quoted).collect::<Vec<_>>().join(" ")))
}

fn speakable(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// The words of a command line as [`exec_start`] writes it.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut within) = (Vec::new(), None::<String>, false);
    let mut signs = line.chars().peekable();
    while let Some(sign) = signs.next() {
        let next = match sign {
            ' ' if !within => {
                words.extend(word.take());
                continue;
            }
            '"' => {
                within = !within;
                word.get_or_insert_default();
                continue;
            }
            '\\' => signs.next().unwrap_or(sign),
            '%' | '$' => signs.next_if_eq(&sign).unwrap_or(sign),
            _ => sign,
        };
        word.get_or_insert_default().push(next);
    }
    words.extend(word);
    words
}

fn quoted(word: &str) -> String {
    // systemd expands specifiers and variables inside quotes, too.
    let word = word.replace('%', "%%").replace('$', "$$");
    if !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "/._-+=:@,%$~".contains(c)) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writes a file of ours, but never over one that is not ours.
pub(super) fn write(path: &Path, text: &str) -> Result<(), ServiceError> {
    let fault = |what, source| ServiceError::Io { what, path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(known) if !is_ours(&known) => return Err(ServiceError::Foreign(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fault("read", error)),
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| fault("make the folder of", error))?;
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).map_err(|error| fault("write", error))?;
    std::fs::rename(&fresh, path).map_err(|error| fault("replace", error))
}

/// True if an install has written the file.
pub(super) fn is_ours(text: &str) -> bool {
    text.contains("`cogzy-vault service install`")
}
