//! `service`, with a systemctl that only records its calls; and the daemon's messages to the
//! manager that started it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use cogzy_engine::clock::{Clock, SystemClock};
use cogzy_testkit::fresh_folder;

use crate::support::daemon::Daemon;
use crate::support::process::{Machine, PATIENCE, noise};
use crate::support::s3_server::S3Server;
use crate::support::socket;

/// A systemctl and a loginctl as on a machine where the user's manager runs; each call is a line of
/// `calls`.
const FAKE: &str = r#"#!/bin/sh
echo "$(basename "$0") $*" >> "$HOME/calls"
case "$*" in
  *show-environment*) [ -e "$HOME/no-session" ] && { echo "Failed to connect to bus: No medium found" >&2; exit 1; } ;;
  *enable*) touch "$HOME/enabled" ;;
  *disable*) rm -f "$HOME/enabled" "$HOME/active" ;;
  *restart*|*start*) touch "$HOME/active" ;;
  *stop*) rm -f "$HOME/active" ;;
  *show-user*) echo no ;;
  *"show cogzy-vault"*)
    unit="$HOME/.config/systemd/user/cogzy-vault.service"
    [ -e "$unit" ] && echo "FragmentPath=$unit"
    [ -e "$HOME/enabled" ] && echo UnitFileState=enabled
    if [ -e "$HOME/active" ]; then printf 'ActiveState=active\nMainPID=77\n'; else echo ActiveState=inactive; fi ;;
esac
exit 0
"#;

fn with_systemd(machine: &mut Machine) {
    let bin = machine.home.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["systemctl", "loginctl"] {
        std::fs::write(bin.join(name), FAKE).unwrap();
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    machine.set("PATH", format!("{}:/usr/bin:/bin", bin.display()));
}

fn calls(machine: &Machine) -> Vec<String> {
    let path = machine.home.join("calls");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let _there_were_none = std::fs::remove_file(path);
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_installed_watched_stopped_and_taken_away() {
    let folder = fresh_folder();
    let mut machine = Machine::bare(folder.path(), "one");
    with_systemd(&mut machine);
    machine.variables.remove("COGZY_VAULT__DEVICE_NAME");
    machine.variables.remove("COGZY_VAULT__SYNC__SETTLE");
    let bucket = format!("file://{}", folder.path().join("bucket").display());
    machine.good(&["init", "--remote", &bucket]).await;
    machine.run(&["service", "start"]).await.expect(2, &["not installed", "cogzy-vault service install"]);

    let installed = machine.good(&["service", "install"]).await;
    assert!(installed.stdout.contains("enable-linger"), "{installed:#?}");
    assert!(!installed.stdout.contains("this shell"), "{installed:#?}");
    let made = [
        "systemctl --user show-environment",
        "systemctl --user daemon-reload",
        "systemctl --user enable cogzy-vault.service",
        "systemctl --user restart cogzy-vault.service",
    ];
    let mut calls = calls(&machine);
    calls.retain(|call| !call.contains(" show cogzy-vault") && !call.contains("show-user"));
    assert_eq!(calls, made);
    let unit = machine.home.join(".config/systemd/user/cogzy-vault.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    let program = std::fs::canonicalize(env!("CARGO_BIN_EXE_cogzy-vault")).unwrap();
    assert!(text.contains(&format!("\nExecStart={} run\n", program.display())), "{text}");

    let status = machine.good(&["service", "status", "--json"]).await.json();
    assert_eq!(status["service"]["running"], true, "{status}");
    assert_eq!(status["service"]["linger"], false, "{status}");
    machine.good(&["service", "stop"]).await;
    let stopped = machine.run(&["service", "status"]).await;
    assert_eq!(stopped.code, Some(6));
    assert!(stopped.stdout.contains("next: cogzy-vault service start"), "{stopped:#?}");
    machine.good(&["service", "start"]).await;
    machine.good(&["service", "uninstall"]).await;
    assert!(!unit.exists());
    let gone = machine.run(&["service", "status"]).await;
    assert!(gone.code == Some(6) && gone.stdout.contains("not installed"), "{gone:#?}");
}

/// A user has one service: that of one vault does not silently take the place of another's.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_of_one_vault_is_neither_replaced_nor_removed_for_another() {
    let folder = fresh_folder();
    let mut machine = Machine::bare(folder.path(), "one");
    with_systemd(&mut machine);
    let [a, b] = ["a", "b"].map(|name| machine.home.join(format!("{name}.toml")).display().to_string());
    let [first, second] = ["first", "second"].map(|name| machine.home.join(name).display().to_string());
    for (config, vault) in [(&a, &first), (&b, &second)] {
        let bucket = format!("file://{vault}-bucket");
        machine.good(&["--config", config, "--vault", vault, "init", "--remote", &bucket]).await;
    }
    machine.good(&["--config", &a, "service", "install"]).await;
    let unit = machine.home.join(".config/systemd/user/cogzy-vault.service");
    let before = std::fs::read_to_string(&unit).unwrap();
    assert!(before.contains(&format!(" --config {a} run\n")), "{before}");
    let keys = format!("\nEnvironmentFile=-{}/credentials.env\n", machine.home.display());
    assert!(before.contains(&keys), "{before}");
    for verb in ["install", "uninstall", "start", "stop"] {
        let ran = machine.run(&["--config", &b, "service", verb]).await;
        ran.expect(2, &["the service keeps another vault", &format!("--vault {first} service")]);
        assert_eq!(std::fs::read_to_string(&unit).unwrap(), before);
    }
    machine.good(&["--config", &a, "service", "status"]).await;
    let other = machine.run(&["--config", &b, "service", "status", "--json"]).await;
    assert_eq!((other.code, other.json()["keeps_another"].as_str()), (Some(6), Some(first.as_str())));
    let told = machine.run(&["--config", &b, "doctor"]).await;
    assert!(told.stdout.contains("it keeps another vault"), "{told:#?}");
    // The same vault by another way is the same service.
    machine.good(&["--vault", &first, "service", "install"]).await;
    machine.good(&["--vault", &first, "service", "uninstall"]).await;
    assert!(!unit.exists());
    machine.set("XDG_CONFIG_HOME", machine.home.join(".config/"));
    machine.set("XDG_DATA_HOME", machine.home.join("data"));
    machine.good(&["init"]).await;
    machine.good(&["service", "install"]).await;
    let text = std::fs::read_to_string(&unit).unwrap();
    let flag = format!(" --config {} run\n", machine.config_file().display());
    assert!(text.contains(&flag), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_would_not_see_is_passed_on_or_named_and_no_secret_is_told() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    with_systemd(&mut machine);
    machine.set("COGZY_VAULT_DIR", machine.home.join("my vault"));
    machine.set("HTTPS_PROXY", "http://me:testsecret@proxy:3128");
    machine.set("SSL_CERT_DIR", "/etc/ssl/certs");
    let installed = machine.good(&["service", "install"]).await;
    let unit = machine.home.join(".config/systemd/user/cogzy-vault.service");
    let text = std::fs::read_to_string(unit).unwrap();
    let flags = format!(" --vault \"{}/my vault\" run\n", machine.home.display());
    assert!(text.contains(&flags), "{text}");
    for words in [
        "AWS_SECRET_ACCESS_KEY",
        "s3.endpoint",
        "credentials.env",
        "umask 077",
        "HTTPS_PROXY",
        "SSL_CERT_DIR",
    ] {
        assert!(installed.stdout.contains(words), "it does not say {words:?}: {installed:#?}");
    }
    assert!(!(text + &installed.stdout + &installed.stderr).contains(crate::support::s3_server::SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_manager_it_says_so_and_writes_nothing() {
    let folder = fresh_folder();
    let mut machine = Machine::bare(folder.path(), "one");
    with_systemd(&mut machine);
    std::fs::write(machine.home.join("no-session"), "").unwrap();
    machine
        .run(&["service", "install"])
        .await
        .expect(2, &["no service manager runs for this user", "enable-linger"]);
    machine.set("PATH", machine.home.join("empty"));
    machine.run(&["service", "install"]).await.expect(2, &["no systemd", "cogzy-vault run"]);
    assert!(!machine.home.join(".config/systemd").exists());
}

/// The manager's end of the line.
struct Told(UnixDatagram);

impl Told {
    fn listen(machine: &mut Machine, watchdog: Duration) -> Self {
        let path = machine.home.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        machine.set("NOTIFY_SOCKET", path);
        machine.set("WATCHDOG_USEC", watchdog.as_micros().to_string());
        Self(socket)
    }

    /// Waits for a message that says `words`; those before it.
    fn until(&self, words: &str, patience: Duration) -> Option<Vec<String>> {
        let clock = SystemClock::new();
        let end = clock.monotonic() + patience;
        let mut before = Vec::new();
        let mut buffer = [0; 4096];
        tokio::task::block_in_place(|| {
            while let Some(left) = end.checked_sub(clock.monotonic()).filter(|left| !left.is_zero()) {
                self.0.set_read_timeout(Some(left)).unwrap();
                let Ok(length) = self.0.recv(&mut buffer) else { continue };
                let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
                if text.contains(words) {
                    return Some(before);
                }
                before.push(text);
            }
            None
        })
    }

    fn says(&self, words: &str) -> Vec<String> {
        self.until(words, PATIENCE).unwrap_or_else(|| panic!("the manager was never told {words:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manager_is_told_that_it_is_ready_lives_and_stops() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    let told = Told::listen(&mut machine, Duration::from_millis(600));
    // Only the watchdog makes the loop come round.
    machine.set("COGZY_VAULT__SYNC__POLL_INTERVAL", "1h");
    machine.set("COGZY_VAULT__SYNC__POLL_INTERVAL_ACTIVE", "1h");
    let daemon = Daemon::start(&machine).await;
    let before = told.says("READY=1");
    assert!(before.iter().all(|said| !said.contains("WATCHDOG=1")), "{before:?}");
    told.says("STATUS=in sync, generation 0");
    for _ in 0..5 {
        told.says("WATCHDOG_USEC=600000\nWATCHDOG=1");
    }

    // While a cycle waits for the network it has asked for an hour, and nothing feeds the watchdog
    // behind its back.
    server.stall();
    let asked = server.requests("PUT");
    machine.write("vectors/large.npy", noise("large", 2 << 20));
    server.asked_to_put(asked + 1).await;
    told.says("WATCHDOG_USEC=3600000000\nWATCHDOG=1");
    while told.until("WATCHDOG=1", Duration::from_secs(2)).is_some() {}
    server.resume();
    told.says("STATUS=in sync, generation 1");
    told.says("WATCHDOG_USEC=600000\nWATCHDOG=1");
    assert_eq!(daemon.terminate().await.0, Some(0));
    told.says("STOPPING=1");
}

/// Only systemd reads the file of keys for a service.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_reads_the_keys_where_its_manager_has_not() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    let mut machine = Machine::with_server(folder.path(), "one", &server);
    machine.good(&["init"]).await;
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| {
        let value = machine.variables.remove(name).unwrap();
        format!("{name}=\"{}\"\n", value.display())
    });
    machine.run(&["sync"]).await.expect(8, &["credentials"]);
    let file = machine.config_file().with_file_name("credentials.env");
    std::fs::write(file, format!("# the keys of this machine\n{}", keys.concat())).unwrap();
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
    // Beside another configuration, and with the endpoint in the same file.
    let own = machine.home.join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::copy(machine.config_file(), own.join("own.toml")).unwrap();
    let endpoint = machine.variables.remove("COGZY_VAULT__S3__ENDPOINT").unwrap();
    let text = std::fs::read_to_string(own.join("own.toml")).unwrap();
    let kept = text.lines().filter(|line| !line.starts_with("endpoint")).map(|line| format!("{line}\n"));
    std::fs::write(own.join("own.toml"), kept.collect::<String>()).unwrap();
    let text = format!("{}AWS_ENDPOINT_URL={}\n", keys.concat(), endpoint.display());
    std::fs::write(own.join("credentials.env"), text).unwrap();
    std::fs::remove_file(machine.config_file().with_file_name("credentials.env")).unwrap();
    machine.set("COGZY_VAULT_CONFIG", own.join("own.toml"));
    let daemon = Daemon::start(&machine).await;
    socket::until_state(&machine, "in-sync").await;
    assert_eq!(daemon.terminate().await.0, Some(0));
}
