//! The tour of the README, line by line, on two machines whose service manager does what the unit
//! says.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use crate::support::daemon::Onlooker;
use crate::support::process::{Machine, PATIENCE};
use crate::support::s3_server::{KEY_ID, S3Server, SECRET};

/// A systemctl that starts the unit's program, with nothing but the environment of a service: its
/// file of credentials and a home folder. As for `Type=notify`, it returns when the daemon is
/// ready.
const SYSTEMCTL: &str = r#"#!/bin/sh
unit="$HOME/.config/systemd/user/cogzy-vault.service"
case "$*" in
  "--user restart cogzy-vault.service")
    [ -e "$HOME/pid" ] && kill "$(cat "$HOME/pid")"
    credentials=$(cat "$HOME/.config/cogzy-vault/credentials.env" | tr '\n' ' ')
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    env -i HOME="$HOME" PATH=/usr/bin:/bin $credentials sh -c "exec $command" >"$HOME/said" 2>&1 &
    echo $! >"$HOME/pid"
    tries=0
    until [ -n "$(find "$HOME/.local/share/cogzy/sync" -type s)" ]; do
      tries=$((tries + 1))
      [ $tries -lt 200 ] || { echo "it is not ready" >&2; exit 1; }
      sleep 0.1
    done ;;
  *"show cogzy-vault.service"*)
    printf 'FragmentPath=%s\nUnitFileState=enabled\nActiveState=active\nMainPID=%s\n' "$unit" "$(cat "$HOME/pid")" ;;
esac
"#;

/// A machine with a shell, and a service that ends with the test.
struct Tourist {
    machine: Machine,
}

impl Tourist {
    fn new(folder: &std::path::Path, name: &str, server: &S3Server) -> Self {
        let mut machine = Machine::bare(folder, name);
        // Only the variables that a user would have exported are set; all settings are the
        // defaults.
        machine.variables.clear();
        machine.set("HOME", machine.home.clone());
        let bin = machine.home.join("bin");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("systemctl"), SYSTEMCTL).unwrap();
        std::fs::set_permissions(bin.join("systemctl"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_cogzy-vault"));
        let path = format!("{}:{}:/usr/bin:/bin", bin.display(), program.parent().unwrap().display());
        machine.set("PATH", path);
        machine.set("AWS_ACCESS_KEY_ID", KEY_ID);
        machine.set("AWS_SECRET_ACCESS_KEY", SECRET);
        machine.set("COGZY_VAULT__S3__ENDPOINT", server.endpoint());
        machine.set("COGZY_VAULT__S3__REGION", "us-east-1");
        Self { machine }
    }

    /// Types a line. Returns the output.
    async fn types(&self, line: &str) -> String {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).env_clear().envs(&self.machine.variables).stdin(Stdio::null());
        let ran = tokio::time::timeout(PATIENCE, shell.current_dir(&self.machine.home).output());
        let ran = ran.await.unwrap_or_else(|_| panic!("{line:?} hangs")).unwrap();
        let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        assert!(ran.status.success(), "{line:?} ends with {:?}: {said}{}", ran.status.code(), self.service());
        said
    }

    /// The output of the service.
    fn service(&self) -> String {
        std::fs::read_to_string(self.machine.home.join("said")).unwrap_or_default()
    }
}

impl Drop for Tourist {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.machine.home.join("pid")).unwrap_or_default();
        if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
            let _ended_already = kill_process(pid, Signal::KILL);
        }
    }
}

/// The lines of the tour: the block of the README that begins with an export.
fn tour() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let from = text.find("    export B2_APPLICATION_KEY_ID").expect("the README has no tour");
    let block = text[from..].lines().take_while(|line| line.starts_with("    "));
    block.map(|line| line.trim().replace("b2://my-bucket/", "s3://test-bucket/")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_of_the_readme_leads_where_it_says() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let [one, two] = ["one", "two"].map(|name| Tourist::new(folder.path(), name, &server));
    let lines = tour();
    let verbs: Vec<&str> =
        lines.iter().map(|line| line.split_whitespace().nth(1).unwrap_or_default()).collect();
    assert_eq!(verbs[2..], ["init", "077;", "service", "'{\"hello\":", "status"], "{lines:#?}");

    // The exports are what the machines begin with.
    for line in &lines[2..6] {
        let said = one.types(line).await;
        assert!(!said.contains('!'), "{line:?} warns: {said}");
    }
    // From here on as in another shell, which knows neither key nor region.
    let mut other = Tourist { machine: one.machine.clone() };
    other.machine.variables.retain(|name, _| name == "HOME" || name == "PATH");
    let onlooker = Onlooker::of(&one.machine.root.join("sync"));
    let mut verdict = String::new();
    let in_sync = || {
        let mut status = std::process::Command::new(env!("CARGO_BIN_EXE_cogzy-vault"));
        let told = status.arg("status").env_clear().envs(&other.machine.variables).output().unwrap();
        verdict = String::from_utf8(told.stdout).unwrap();
        verdict.starts_with("✓ in sync · 1 file · ")
    };
    assert!(onlooker.until(PATIENCE, in_sync), "status never said so: {verdict}{}", one.service());

    let hello = || two.machine.read("hello.json");
    for line in &lines[2..5] {
        two.types(line).await;
    }
    let onlooker = Onlooker::of(&two.machine.root);
    assert!(onlooker.until(PATIENCE, || hello().is_some()), "it never arrived: {}", two.service());
    assert_eq!(hello(), one.machine.read("hello.json"));
    // The file stands there a moment before the daemon says so.
    let clock = SystemClock::new();
    loop {
        let verdict = two.types(&lines[6]).await;
        if verdict.contains("generation 1") {
            break;
        }
        assert!(clock.monotonic() < PATIENCE, "the other machine never said so: {verdict}");
    }
    assert!(!(one.service() + &two.service()).contains(SECRET));
}
