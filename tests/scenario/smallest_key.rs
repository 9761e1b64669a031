//! The smallest key: the policy and the capabilities that docs/SECURITY.md gives, on a server that
//! refuses all else. Without any one of them something fails, and the error names it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cogzy_engine::remote::{Remote, RemoteError};
use cogzy_engine::sync::{Retention, SyncError, Unwatched};
use cogzy_s3::S3Remote;
use cogzy_testkit::fresh_folder;

use crate::prune::{DAY, point};
use crate::support::around::{Around, Through};
use crate::support::device::Device;
use crate::support::process::Machine;
use crate::support::s3_server::{BUCKET, Rights, S3Server};

/// Prefix of the vault, as `PREFIX/users/USER/` of the page.
const PREFIX: &str = "memory/users/default/";

/// A part of the page: what stands in the first block of code after these words, for this bucket.
fn block(after: &str) -> String {
    let page = include_str!("../../docs/SECURITY.md");
    let (_, page) = page.split_once(after).unwrap_or_else(|| panic!("the page does not say {after:?}"));
    let (_, block) = page.split_once("```").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (_, block) = block.split_once('\n').unwrap();
    block.replace("PREFIX/users/USER/", PREFIX).replace("BUCKET", BUCKET)
}

fn policy(after: &str) -> Rights {
    Rights::of_policy(&block(after), BUCKET)
}

fn b2_key(more: &str) -> Rights {
    let command = block("For B2:");
    let words: Vec<&str> = command.split_whitespace().filter(|word| *word != "\\").collect();
    let at = words.iter().position(|word| *word == "--name-prefix").unwrap();
    let capabilities = format!("{}{more}", words.last().unwrap());
    Rights::of_capabilities(&capabilities, words[at + 1])
}

/// The bucket, with a clock of its server that is some days ahead: what is put now is old.
#[derive(Debug)]
struct Ahead(S3Remote, u32);

#[async_trait]
impl Around for Ahead {
    fn bucket(&self) -> &dyn Remote {
        &self.0
    }
    async fn server_ms(&self) -> Result<i64, RemoteError> {
        Ok(self.0.server_ms().await? + (self.1 * DAY).as_millis() as i64)
    }
}

async fn remote(server: &S3Server, days: u32) -> Arc<dyn Remote> {
    let url = server.url(PREFIX.trim_end_matches('/'));
    Arc::new(Through(Ahead(S3Remote::open(&url, &server.options()).await.unwrap(), days)))
}

/// A device that keeps only what stands.
async fn device(server: &S3Server, folder: &Path, name: &str) -> Device {
    let mut device = Device::new(folder, name, remote(server, 0).await);
    device.retention = Retention { generations: 1, age: Duration::ZERO, grace: Duration::ZERO };
    device.restart();
    device
}

/// A day without a prune: a vault is made, sent, fetched by a second device, verified and restored.
async fn day(server: &S3Server, folder: &Path) -> Result<Device, SyncError> {
    let mut one = device(server, folder, "one").await;
    one.join(false).await?;
    one.enclose_nothing();
    for version in ["first", "second"] {
        one.write("traces/a.json", version);
        one.try_sync().await?;
    }
    let mut two = device(server, folder, "two").await;
    two.join(false).await?;
    two.try_sync().await?;
    assert_eq!(two.files(), one.files());
    let verified = two.engine().verify(true, &Unwatched).await?;
    assert_eq!(verified.faults, []);
    two.engine().restore(&point(1), &[], true, &Unwatched).await?;
    one.try_sync().await?;
    assert_eq!(one.text("traces/a.json").as_deref(), Some("first"));
    Ok(one)
}

/// Prunes of that vault, until something was freed.
async fn prune(server: &S3Server, one: &mut Device) -> Result<(), SyncError> {
    for days in 1..4 {
        one.use_remote(remote(server, days).await);
        one.pass(DAY);
        let pruned = one.engine().prune(false, &Unwatched).await?;
        if pruned.freed.objects > 0 {
            return Ok(());
        }
    }
    panic!("nothing was freed");
}

/// Without any one of them the work ends, with an error that names it.
async fn assert_each_is_needed(rights: &Rights, folder: &Path) {
    for action in rights.actions() {
        let server = S3Server::start().await;
        let folder = folder.join(action.replace(':', "-"));
        server.entitle(rights.without(&action));
        let ended = match day(&server, &folder).await {
            Ok(mut one) => prune(&server, &mut one).await,
            Err(error) => Err(error),
        };
        let error = ended.expect_err(&action);
        assert!(error.to_string().contains(&action), "{action}: {error}");
    }
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = include_str!("../../docs/SECURITY.md");
    let (_, table) = page.split_once("| attacker | asset | defence | test |\n").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let mut tests = 0;
    for row in table.lines().skip(1) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for test in last.split('`').skip(1).step_by(2) {
            let (file, function) =
                test.split_once("::").map_or((test, None), |(file, name)| (file, Some(name)));
            let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
            let text = text.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(function.is_none_or(|name| text.contains(&format!("fn {name}("))), "{test}");
            tests += 1;
        }
    }
    assert!(tests >= table.lines().count() - 1, "a row without a test");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_policy_of_the_page_is_enough_and_all_of_it_is_needed() {
    let folder = fresh_folder();
    let (daily, pruning) = (policy("the same as a policy"), policy("For `prune`, add"));
    let server = S3Server::start().await;
    server.entitle(daily.clone());
    let mut one = day(&server, &folder.path().join("daily")).await.unwrap();
    let error = prune(&server, &mut one).await.expect_err("it may delete nothing");
    assert!(error.to_string().contains("s3:ListBucketVersions"), "{error}");
    let both = daily.and(pruning);
    server.entitle(both.clone());
    prune(&server, &mut one).await.unwrap();
    assert_each_is_needed(&both, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_b2_key_of_the_page_is_enough() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    server.entitle(b2_key(""));
    let mut one = day(&server, folder.path()).await.unwrap();
    let error = prune(&server, &mut one).await.expect_err("it may delete nothing");
    assert!(error.to_string().contains("deleteFiles"), "{error}");
    server.entitle(b2_key(",deleteFiles"));
    prune(&server, &mut one).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_works_with_the_smallest_policy_and_the_doctor_finds_nothing_wrong() {
    let folder = fresh_folder();
    let server = S3Server::start().await;
    server.entitle(policy("the same as a policy"));
    let [one, two] = ["one", "two"].map(|name| Machine::with_server(folder.path(), name, &server));
    let init = one.good(&["init"]).await;
    assert!(init.stdout.contains("lets this key delete nothing"), "{init:?}");
    one.write("traces/a.json", "a");
    one.sync().await;
    two.good(&["init"]).await;
    two.sync().await;
    assert_eq!(two.files(), one.files());
    one.good(&["verify", "--deep"]).await;
    let findings = one.run(&["doctor", "--json"]).await.json();
    let found = findings["findings"].as_array().unwrap();
    let remote = found.iter().find(|finding| finding["check"] == "remote").unwrap();
    assert_eq!(remote["level"], "ok", "{remote}");
}
