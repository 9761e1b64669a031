//! The calls to the manager's programs, and the files that are written.

use std::cell::RefCell;
use std::io;
use std::path::Path;

use super::systemd::exec_start;
use super::*;

/// A machine whose programs only record their calls.
#[derive(Default)]
struct Recorded {
    calls: RefCell<Vec<String>>,
    answers: Vec<(&'static str, ProgramOutput)>,
    missing: bool,
}

impl Recorded {
    fn answering(answers: &[(&'static str, &str)]) -> Self {
        let good = |text: &str| ProgramOutput { good: true, out: text.to_owned(), err: String::new() };
        let answers = answers.iter().map(|(call, text)| (*call, good(text))).collect();
        Self { answers, ..Self::default() }
    }

    fn refusing(mut self, call: &'static str, err: &str) -> Self {
        self.answers.push((call, ProgramOutput { err: err.to_owned(), ..ProgramOutput::default() }));
        self
    }

    fn calls(&self) -> Vec<String> {
        self.calls.take()
    }
}

impl ProgramRunner for Recorded {
    fn run(&self, program: &str, arguments: &[&str]) -> io::Result<ProgramOutput> {
        if self.missing {
            return Err(io::ErrorKind::NotFound.into());
        }
        let call = command::line(program, arguments);
        let answer =
            self.answers.iter().find(|(known, _)| call.contains(known)).map(|(_, answer)| answer.clone());
        self.calls.borrow_mut().push(call);
        Ok(answer.unwrap_or(ProgramOutput { good: true, ..ProgramOutput::default() }))
    }
}

fn program(path: &str, arguments: &[&str]) -> Program {
    let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
    Program { path: path.into(), arguments, keys: None }
}

fn systemd<'a>(run: &'a Recorded, home: &Path) -> Systemd<'a> {
    Systemd::new(run, &home.join("config"), 1000).with_packaged(home.join("packaged.service"))
}

#[test]
fn an_install_writes_the_unit_and_starts_it_anew_and_an_uninstall_takes_all_of_it_away() {
    let home = tempfile::tempdir().unwrap();
    let run = Recorded::default();
    let manager = systemd(&run, home.path());
    let path = home.path().join("config/systemd/user/cogzy-vault.service");
    for _ in 0..2 {
        let installed =
            manager.install(&program("/opt/a b/cogzy-vault", &["--vault", "/v 100%", "run"])).unwrap();
        assert_eq!(installed, Installed { file: path.clone(), written: true });
        let calls = [
            "show-environment",
            "daemon-reload",
            "enable cogzy-vault.service",
            "restart cogzy-vault.service",
        ];
        assert_eq!(run.calls(), calls.map(|call| format!("systemctl --user {call}")));
    }
    let unit = std::fs::read_to_string(&path).unwrap();
    let exec: Vec<&str> = unit.lines().filter(|line| line.starts_with("ExecStart")).collect();
    assert_eq!(exec, [r#"ExecStart="/opt/a b/cogzy-vault" --vault "/v 100%%" run"#]);
    assert!(unit.contains("\nType=notify\n") && unit.contains("\nWantedBy=default.target\n"), "{unit}");

    assert_eq!(manager.uninstall().unwrap(), Some(path.clone()));
    assert_eq!(
        run.calls(),
        ["systemctl --user disable --now cogzy-vault.service", "systemctl --user daemon-reload"]
    );
    assert!(!path.exists());
    for result in [manager.uninstall().map(drop), manager.start(), manager.stop()] {
        assert!(matches!(result, Err(ServiceError::NotInstalled)), "{result:?}");
    }
}

#[test]
fn the_unit_of_a_package_is_used_where_it_runs_the_same() {
    let home = tempfile::tempdir().unwrap();
    let run = Recorded::default();
    let manager = systemd(&run, home.path());
    let packaged = home.path().join("packaged.service");
    std::fs::write(&packaged, include_str!("../../systemd/cogzy-vault.service")).unwrap();
    let installed = manager.install(&program("/usr/bin/cogzy-vault", &["run"])).unwrap();
    assert_eq!(installed, Installed { file: packaged.clone(), written: false });
    assert_eq!(manager.uninstall().unwrap(), None);
    assert!(packaged.exists());
    // Another vault needs a unit of its own.
    assert!(manager.install(&program("/usr/bin/cogzy-vault", &["--vault", "/v", "run"])).unwrap().written);
}

#[test]
fn somebody_elses_unit_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let run = Recorded::default();
    let manager = systemd(&run, home.path());
    let path = home.path().join("config/systemd/user/cogzy-vault.service");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, "[Service]\nExecStart=mine\n").unwrap();
    let program = program("/usr/bin/cogzy-vault", &["run"]);
    for result in [manager.install(&program).map(drop), manager.uninstall().map(drop)] {
        assert!(matches!(result, Err(ServiceError::Foreign(_))), "{result:?}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[Service]\nExecStart=mine\n");
}

#[test]
fn a_machine_without_a_manager_is_told_apart_from_one_that_refuses_and_gets_no_files() {
    let home = tempfile::tempdir().unwrap();
    let program = program("/usr/bin/x", &["run"]);
    let run = Recorded { missing: true, ..Recorded::default() };
    let missing = systemd(&run, home.path()).install(&program).unwrap_err();
    assert!(matches!(missing, ServiceError::NoManager { .. }), "{missing}");
    for words in [
        "Failed to connect to bus: No medium found",
        "Failed to connect to user scope bus via local transport: No such file or directory",
    ] {
        let run = Recorded::default().refusing("show-environment", words);
        let alone = systemd(&run, home.path()).install(&program).unwrap_err();
        assert!(
            matches!(alone, ServiceError::NoSession { .. }) && alone.next().contains("linger"),
            "{alone}"
        );
    }
    assert!(!home.path().join("config").exists());
    let run = Recorded::default().refusing("restart", "Job for cogzy-vault.service failed.");
    let failed = systemd(&run, home.path()).install(&program).unwrap_err();
    let said = "`systemctl --user restart cogzy-vault.service` failed: Job for cogzy-vault.service failed.";
    assert_eq!(failed.to_string(), said);
}

#[test]
fn the_status_is_the_managers() {
    let home = tempfile::tempdir().unwrap();
    let shown = "FragmentPath=/x/cogzy-vault.service\nUnitFileState=enabled\nActiveState=active\nMainPID=77";
    let run = Recorded::answering(&[("show cogzy-vault", shown), ("loginctl show-user 1000", "no")]);
    let standing = systemd(&run, home.path()).status().unwrap();
    assert!(standing.enabled && standing.running && standing.state == "active");
    assert_eq!((standing.pid, standing.linger), (Some(77), Some(false)));
    let shown = "FragmentPath=\nUnitFileState=\nActiveState=inactive\nMainPID=0";
    let run = Recorded::answering(&[("show cogzy-vault", shown)]).refusing("loginctl", "no such user");
    let standing = systemd(&run, home.path()).status().unwrap();
    assert!(!standing.enabled && !standing.running);
    assert_eq!((standing.file, standing.pid, standing.linger), (None, None, None));
}

#[test]
fn text_that_systemd_would_expand_is_escaped() {
    let exec = |words: &[&str]| exec_start(&program("/p", words)).unwrap();
    assert_eq!(exec(&["a b", r#"q"b\"#, "$HOME", "%h", ""]), r#"ExecStart=/p "a b" "q\"b\\" $$HOME %%h """#);
    assert!(exec_start(&program("/p", &["a\nExecStartPost=/evil"])).is_err());
}

#[test]
fn the_command_in_the_unit_reads_back_and_another_file_of_keys_stands_in_the_place_of_the_usual_one() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config/systemd/user/cogzy-vault.service");
    let shown = format!("FragmentPath={}", path.display());
    let shown: &'static str = shown.leak();
    let run = Recorded::answering(&[("show cogzy-vault", shown)]);
    let manager = systemd(&run, home.path());
    assert!(manager.status().unwrap().command.is_empty());
    let words = ["--vault", r#"/a "b" \c 100% $d"#, "", "run"];
    let keys = Some("/x 1%/credentials.env".into());
    manager.install(&Program { keys, ..program("/opt/a b/cogzy-vault", &words) }).unwrap();
    let command = manager.status().unwrap().command;
    assert_eq!(command, [&["/opt/a b/cogzy-vault"], words.as_slice()].concat());
    let unit = std::fs::read_to_string(&path).unwrap();
    let files: Vec<&str> = unit.lines().filter(|line| line.starts_with("EnvironmentFile")).collect();
    let expected = ["EnvironmentFile=-/x 1%%/credentials.env"];
    assert_eq!(files, expected);
}

#[test]
fn the_agent_of_macos_is_loaded_and_taken_out() {
    let home = tempfile::tempdir().unwrap();
    let run = Recorded::default().refusing("print", "Could not find service");
    let manager = Launchd::new(&run, home.path(), 501);
    let file = home.path().join("Library/LaunchAgents/app.cogzy.vault.plist");
    manager.install(&program("/usr/local/bin/cogzy-vault", &["--vault", "/a & b", "run"])).unwrap();
    let load = format!("launchctl bootstrap gui/501 {}", file.display());
    assert_eq!(run.calls(), ["launchctl print gui/501/app.cogzy.vault".to_owned(), load]);
    let plist = std::fs::read_to_string(&file).unwrap();
    assert!(
        plist.contains("<string>/usr/local/bin/cogzy-vault</string>\n        <string>--vault</string>"),
        "{plist}"
    );
    assert!(plist.contains("<string>/a &amp; b</string>") && !plist.contains('@'), "{plist}");
    assert!(!manager.status().unwrap().running);

    let run = Recorded::answering(&[("print", "app.cogzy.vault = {\n\tstate = running\n\tpid = 42\n}")]);
    let manager = Launchd::new(&run, home.path(), 501);
    let standing = manager.status().unwrap();
    assert!(standing.running && standing.enabled && standing.pid == Some(42));
    assert_eq!(standing.command, ["/usr/local/bin/cogzy-vault", "--vault", "/a & b", "run"]);
    assert_eq!(manager.uninstall().unwrap(), Some(file));
    assert_eq!(run.calls().last().unwrap(), "launchctl bootout gui/501/app.cogzy.vault");
    assert!(matches!(manager.uninstall(), Err(ServiceError::NotInstalled)));
}
