//! launchd of macOS: an agent of the user. It starts at login and ends at logout; there is no
//! linger.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::command::{ask, line};
use super::systemd::{is_ours, write};
use super::{Installed, Manager, Program, ProgramOutput, ProgramRunner, ServiceError, ServiceStatus};

/// The agent's name.
const LABEL: &str = "app.cogzy.vault";
const TEMPLATE: &str = include_str!("../../launchd/app.cogzy.vault.plist");

/// launchd, for this user.
pub struct Launchd<'a> {
    run: &'a dyn ProgramRunner,
    home: PathBuf,
    domain: String,
}

impl<'a> Launchd<'a> {
    /// The agents of the user `uid`, whose home folder is `home`.
    #[must_use]
    pub fn new(run: &'a dyn ProgramRunner, home: &Path, uid: u32) -> Self {
        Self { run, home: home.to_owned(), domain: format!("gui/{uid}") }
    }

    fn file(&self) -> PathBuf {
        self.home.join("Library/LaunchAgents").join(format!("{LABEL}.plist"))
    }

    fn target(&self) -> String {
        format!("{}/{LABEL}", self.domain)
    }

    fn ask(&self, arguments: &[&str]) -> Result<ProgramOutput, ServiceError> {
        ask(self.run, "launchd", "launchctl", arguments)
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ServiceError> {
        let answer = self.ask(arguments)?;
        if answer.good {
            return Ok(());
        }
        let said = answer.err.lines().next().unwrap_or("it gave no reason").to_owned();
        Err(ServiceError::Failed { command: line("launchctl", arguments), said })
    }

    fn is_loaded(&self) -> Result<bool, ServiceError> {
        Ok(self.ask(&["print", &self.target()])?.good)
    }

    fn load(&self) -> Result<(), ServiceError> {
        self.control(&["bootstrap", &self.domain, &self.file().to_string_lossy()])
    }
}

impl Manager for Launchd<'_> {
    fn install(&self, program: &Program) -> Result<Installed, ServiceError> {
        let file = self.file();
        let text = plist(program, &self.home.join("Library/Logs/cogzy-vault.log"))?;
        let loaded = self.is_loaded()?;
        write(&file, &text)?;
        if loaded {
            self.control(&["bootout", &self.target()])?;
        }
        self.load()?;
        Ok(Installed { file, written: true })
    }

    fn uninstall(&self) -> Result<Option<PathBuf>, ServiceError> {
        let file = self.file();
        match std::fs::read_to_string(&file) {
            Ok(text) if is_ours(&text) => {}
            Ok(_) => return Err(ServiceError::Foreign(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(ServiceError::NotInstalled),
            Err(source) => return Err(ServiceError::Io { what: "read", path: file, source }),
        }
        if self.is_loaded()? {
            self.control(&["bootout", &self.target()])?;
        }
        std::fs::remove_file(&file).map_err(|source| ServiceError::Io {
            what: "remove",
            path: file.clone(),
            source,
        })?;
        Ok(Some(file))
    }

    fn start(&self) -> Result<(), ServiceError> {
        if !self.file().exists() {
            return Err(ServiceError::NotInstalled);
        }
        if self.is_loaded()? { self.control(&["kickstart", &self.target()]) } else { self.load() }
    }

    /// Takes the agent out until the next login: one that is only killed would be started again.
    fn stop(&self) -> Result<(), ServiceError> {
        if !self.file().exists() {
            return Err(ServiceError::NotInstalled);
        }
        if self.is_loaded()? { self.control(&["bootout", &self.target()]) } else { Ok(()) }
    }

    fn status(&self) -> Result<ServiceStatus, ServiceError> {
        let answer = self.ask(&["print", &self.target()])?;
        let of = |name: &str| {
            let values = answer.out.lines().filter_map(|line| line.trim().split_once(" = "));
            values.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).next()
        };
        let state = if answer.good { of("state").unwrap_or_default() } else { "not loaded".to_owned() };
        let file = self.file();
        Ok(ServiceStatus {
            manager: "launchd",
            command: words(&std::fs::read_to_string(&file).unwrap_or_default()),
            enabled: file.exists(),
            file: Some(file).filter(|file| file.exists()),
            running: state == "running",
            state,
            pid: of("pid").and_then(|pid| pid.parse().ok()),
            linger: None,
        })
    }
}

fn plist(program: &Program, log: &Path) -> Result<String, ServiceError> {
    let text =
        |path: &Path| path.to_str().map(escaped).ok_or_else(|| ServiceError::Unspeakable(path.to_owned()));
    let words = std::iter::once(Ok(text(&program.path)?))
        .chain(program.arguments.iter().map(|word| Ok(escaped(word))));
    let words: Result<Vec<String>, ServiceError> =
        words.map(|word| word.map(|word| format!("<string>{word}</string>"))).collect();
    Ok(TEMPLATE.replace("@PROGRAM@", &words?.join("\n        ")).replace("@LOG@", &text(log)?))
}

/// The program and its arguments in a file as [`plist`] writes it.
fn words(plist: &str) -> Vec<String> {
    let list = plist.split_once("<array>").and_then(|(_, rest)| rest.split_once("</array>"));
    let lines = list.map(|(list, _)| list).unwrap_or_default().lines().map(str::trim);
    let texts = lines.filter_map(|line| line.strip_prefix("<string>")?.strip_suffix("</string>"));
    texts.map(|text| text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
