use super::*;
use crate::config::{Config, Environment, LoadOptions};
use cogzy_client::paths::Paths;
use cogzy_engine::fs::RootedFs;
use cogzy_engine::vault::Layout;

const KEY: [(&str, &str); 2] = [("B2_APPLICATION_KEY_ID", "id"), ("B2_APPLICATION_KEY", "key")];

/// The settings for the bucket at `url`, of a vault whose remote and settings are these.
fn options(remote: &str, settings: &[(&str, &str)], url: &str) -> S3Options {
    let home = tempfile::tempdir().unwrap();
    let environment: Environment = settings.iter().chain(&KEY).copied().collect();
    let paths = Paths::in_home(home.path(), None);
    let options = LoadOptions {
        paths: &paths,
        file: None,
        may_be_missing: true,
        environment: &environment,
        flags: Vec::new(),
    };
    let config = Config::load(options).unwrap().config;
    let layout = Layout::new(home.path());
    let disk = Arc::new(RootedFs::open(layout.root(), layout.sync()));
    let (remote, seen) = (remote.parse().unwrap(), home.path().join("seen"));
    let assembly = Assembly {
        config: &config,
        environment: &environment,
        remote: &remote,
        layout,
        disk,
        owner: false,
        seen,
    };
    assembly.s3_options(&url.parse().unwrap()).unwrap()
}

#[test]
fn the_key_and_the_endpoint_of_one_store_do_not_go_to_another() {
    let settings = [
        ("COGZY_VAULT__S3__ENDPOINT", "https://s3.us-west-004.backblazeb2.com"),
        ("COGZY_VAULT__S3__REGION", "us-west-004"),
    ];
    let own = options("b2://mine", &settings, "b2://old/objects");
    assert!(own.key.is_some() && own.endpoint.is_some() && own.region.is_some());
    let aws = options("b2://mine", &settings, "s3://old/objects");
    assert!(aws.key.is_none() && aws.endpoint.is_none() && aws.region.is_none());
    let b2 = options("s3://mine", &settings[1..], "b2://old/objects");
    assert!(b2.key.is_some() && b2.region.as_deref() == Some("us-west-004"));
    // A vault in a folder has no store of its own: all settings are for the other.
    let other = options("file:///backup", &settings, "s3://old/objects");
    assert!(other.key.is_some() && other.endpoint.is_some());
}
