//! Places that cannot be written: nothing is fetched for them, the rest goes on, and the status
//! says why.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use cogzy_testkit::fresh_folder;
use serde_json::Value;

use crate::support::process::{Machine, noise};
use crate::support::s3_server::S3Server;

const LARGE: usize = 2 << 20;

/// A file that nobody may replace, until this is dropped.
struct Protected(std::path::PathBuf);

impl Protected {
    /// None where the system protects no files.
    fn new(path: std::path::PathBuf) -> Option<Self> {
        let set = Command::new("chattr").arg("+i").arg(&path).output();
        if set.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        eprintln!("skipped: this system lets nobody protect a file with chattr");
        None
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        let _gone_with_the_test = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// Two machines with a large file that the first has changed since, and a small one.
async fn pair(folder: &std::path::Path, server: &S3Server) -> (Machine, Machine) {
    let (one, two) =
        (Machine::with_server(folder, "one", server), Machine::with_server(folder, "two", server));
    one.good(&["init"]).await;
    one.write("traces/large.bin", noise("first", LARGE));
    one.sync().await;
    two.good(&["init", "--join"]).await;
    two.sync().await;
    one.write("traces/large.bin", noise("second", LARGE));
    one.write("small.json", "{}");
    one.sync().await;
    (one, two)
}

/// Syncs what leaves out the large file, and fetches next to nothing.
async fn is_left_out(machine: &Machine, why: &str) {
    for _ in 0..2 {
        let ran = machine.run(&["sync", "--json"]).await;
        assert_eq!(ran.code, Some(9), "{ran:#?}");
        let report = ran.json();
        let down = report["transfer"]["bytes_down"].as_u64().unwrap();
        assert!(down < 1 << 20, "{down} bytes were fetched in vain");
        is_told(&report["problems"], why);
    }
    assert!(machine.read("small.json").is_some(), "the rest does not go on");
    is_told(&machine.run(&["status", "--json"]).await.json()["errors"], why);
}

fn is_told(list: &Value, why: &str) {
    let about = list.as_array().unwrap().iter().find(|told| told["path"] == "traces/large.bin");
    let told = about.unwrap_or_else(|| panic!("it is not named: {list:#}"));
    assert!(told["message"].as_str().unwrap().contains(why), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_file_is_not_fetched_again_and_again() {
    let (folder, server) = (fresh_folder(), S3Server::start().await);
    let (_, two) = pair(folder.path(), &server).await;
    let Some(protected) = Protected::new(two.root.join("traces/large.bin")) else { return };
    is_left_out(&two, "chattr -i").await;
    drop(protected);
    two.sync().await;
    assert_eq!(two.read("traces/large.bin").unwrap(), noise("second", LARGE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_the_right_to_write_is_named_and_nothing_is_fetched_for_it() {
    let (folder, server) = (fresh_folder(), S3Server::start().await);
    let (_, two) = pair(folder.path(), &server).await;
    let traces = two.root.join("traces");
    let allow = |mode| std::fs::set_permissions(&traces, std::fs::Permissions::from_mode(mode)).unwrap();
    let two = two.as_nobody();
    allow(0o555);
    is_left_out(&two, "ermission denied").await;
    allow(0o755);
    two.sync().await;
    assert_eq!(two.read("traces/large.bin").unwrap(), noise("second", LARGE));
}
