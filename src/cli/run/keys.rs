//! The keys in `credentials.env`, for a daemon that was not started by systemd: no other manager
//! reads that file. What stands there of the way to the bucket, such as proxies, is taken with them.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::Environment;

/// Variables that belong together, by kind. Whoever names a profile has keys, too.
const KINDS: [&[&str]; 5] = [B2_KEY, AWS_KEYS, &["AWS_REGION", "AWS_DEFAULT_REGION"], ENDPOINTS, ROLES];
const B2_KEY: &[&str] = &["B2_APPLICATION_KEY_ID", "B2_APPLICATION_KEY"];
const ENDPOINTS: &[&str] =
    &["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"];
const ROLES: &[&str] = &["AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE"];
const AWS_KEYS: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"];
/// Variables that lead to the profile's own keys.
const PROFILES: [&str; 2] = ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"];

/// Keys that the configuration asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// It names a profile of AWS.
    pub profile: bool,
    /// It names a bucket of B2.
    pub b2: bool,
}

/// Starts this process anew with the variables of `file` that decide on the way to the bucket and
/// that the environment lacks. Variables that belong together are taken only where it has none of
/// them: half of one pair and half of another would be none. Keys of AWS are not taken where the
/// configuration names a profile; nor is a key of B2, which would count before those of AWS, where
/// there are some and no bucket of B2 is meant; nor the endpoint of other keys. A file that cannot
/// be read is left, as by systemd; the store refuses where a key is lacking. Returns why it cannot
/// be read: no log has begun.
///
/// # Errors
/// If the program cannot be started.
pub(super) fn take(file: &Path, environment: &Environment, asked: Asked) -> Result<Option<String>, Failure> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Ok(Some(format!("the keys in {} cannot be read: {error}", file.display()))),
    };
    let missing: Vec<(&str, &str)> =
        variables(&text).filter(|(name, _)| is_wanted(name, environment, asked)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let start = |program| Command::new(program).args(std::env::args_os().skip(1)).envs(missing).exec();
    let error = std::env::current_exe().map_or_else(|error| error, start);
    let text = format!("nothing starts with the keys of {}: {error}", file.display());
    Err(Failure::new(Exit::Internal, text).next("cogzy-vault doctor"))
}

/// True if a variable is to be taken into this environment.
fn is_wanted(name: &str, environment: &Environment, asked: Asked) -> bool {
    let lacks = |kind: &[&str]| !kind.iter().any(|name| environment.has(name));
    if let Some(kind) = KINDS.iter().find(|kind| kind.contains(&name)) {
        let has_aws = asked.profile || !lacks(AWS_KEYS);
        return lacks(kind)
            && match *kind {
                B2_KEY => asked.b2 || !has_aws,
                AWS_KEYS => !asked.profile,
                ENDPOINTS => lacks(AWS_KEYS),
                _ => true,
            };
    }
    let (upper, lower) = (name.to_ascii_uppercase(), name.to_ascii_lowercase());
    let known = name.starts_with("AWS_")
        || name.starts_with("B2_")
        || name.starts_with("SSL_CERT_")
        || upper.ends_with("_PROXY");
    known && lacks(&[name, &upper, &lower]) && (!PROFILES.contains(&name) || lacks(AWS_KEYS))
}

/// Names and values, as systemd reads such a file.
fn variables(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim(), value.trim()));
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    pairs.filter(move |(name, _)| is_name(name)).map(|(name, value)| (name, unquoted(value)))
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn a_file_is_read_as_systemd_does() {
        let text = "# a comment\n; another\n\nB2_APPLICATION_KEY_ID=004a\n B2_APPLICATION_KEY = 'K0 04=/+'\nno variable\n1X=y\na b=c\nEMPTY=\nQ=\"x\"\n";
        let expected = [
            ("B2_APPLICATION_KEY_ID", "004a"),
            ("B2_APPLICATION_KEY", "K0 04=/+"),
            ("EMPTY", ""),
            ("Q", "x"),
        ];
        assert_eq!(variables(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_is_started_where_the_environment_has_keys_of_each_kind() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials.env");
        let set = ["AWS_PROFILE", "B2_APPLICATION_KEY"].map(|name| (OsString::from(name), OsString::new()));
        let environment: Environment = set.into_iter().collect();
        take(&file, &environment, Asked::default()).unwrap();
        let text = "B2_APPLICATION_KEY_ID=a\nAWS_ACCESS_KEY_ID=b\nAWS_SESSION_TOKEN=c\nCOGZY_VAULT__REMOTE=d\nAWS_CONFIG_FILE=e\n";
        std::fs::write(&file, text).unwrap();
        take(&file, &environment, Asked::default()).unwrap();
        std::fs::write(&file, [0xff]).unwrap();
        take(&file, &environment, Asked::default()).unwrap();
    }

    #[test]
    fn the_way_to_the_bucket_is_taken_with_the_keys_and_nothing_by_force() {
        let set = ["AWS_REGION", "https_proxy"].map(|name| (OsString::from(name), OsString::new()));
        let environment: Environment = set.into_iter().collect();
        let wanted = |name, profile| is_wanted(name, &environment, Asked { profile, b2: true });
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_CA_BUNDLE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONFIG_FILE",
            "SSL_CERT_FILE",
            "NO_PROXY",
            "B2_APPLICATION_KEY",
        ] {
            assert!(wanted(name, false) && wanted(name, true), "{name}");
        }
        assert!(wanted("AWS_PROFILE", false) && !wanted("AWS_PROFILE", true));
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION", "HTTPS_PROXY", "PATH", "COGZY_VAULT__REMOTE"] {
            assert!(!wanted(name, false), "{name}");
        }
        let keyed: Environment = [("AWS_PROFILE", "mine")].into_iter().collect();
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE"] {
            assert!(!is_wanted(name, &keyed, Asked::default()), "{name}");
        }
    }

    #[test]
    fn keys_of_another_store_and_half_of_another_way_are_not_taken() {
        let empty = Environment::default();
        let (profile, b2) = (Asked { profile: true, b2: false }, Asked { profile: true, b2: true });
        assert!(is_wanted("B2_APPLICATION_KEY", &empty, Asked::default()));
        assert!(is_wanted("B2_APPLICATION_KEY", &empty, b2));
        assert!(!is_wanted("B2_APPLICATION_KEY", &empty, profile));
        let of_shell: Environment =
            ["AWS_ACCESS_KEY_ID", "AWS_ROLE_ARN"].into_iter().map(|name| (name, "x")).collect();
        for name in ["B2_APPLICATION_KEY", "AWS_ENDPOINT_URL", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
            assert!(!is_wanted(name, &of_shell, Asked::default()), "{name}");
        }
        let local: Environment = [("AWS_ENDPOINT_URL", "http://localhost:1")].into_iter().collect();
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] {
            assert!(!is_wanted(name, &local, Asked::default()), "{name}");
        }
    }
}
