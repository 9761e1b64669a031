//! The environment, read once. Only this module and `paths` look there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::ConfigError;
use cogzy_s3::{CaFile, KeyPair, Secret};

/// The beginning of each variable that sets a key of the configuration.
const PREFIX: &str = "COGZY_VAULT__";
const B2_ID: &str = "B2_APPLICATION_KEY_ID";
const B2_KEY: &str = "B2_APPLICATION_KEY";
/// Variables of the AWS tools whose text goes into a request, and which the SDK reads by itself.
const SENT_BY_THE_SDK: [&str; 5] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// Variables that decide on the way to the remote; proxies may be written in small letters, too.
const NETWORK: [&str; 6] =
    ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_DIR", "SSL_CERT_FILE"];

/// The variables of this process, as they were when it started. Its debug form is empty: there may
/// be secrets among them.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// The environment of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        std::env::vars_os().collect()
    }

    /// True if the user asks every program not to colour its output (<https://no-color.org>).
    #[must_use]
    pub fn no_color(&self) -> bool {
        self.0.get(&OsString::from("NO_COLOR")).is_some_and(|value| !value.is_empty())
    }

    /// True if a variable is set, be it to nothing.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(&OsString::from(name))
    }

    /// True if a variable is set and not empty.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.0.get(&OsString::from(name)).is_some_and(|value| !value.is_empty())
    }

    /// The device and inode of the stream that systemd has connected to its journal, if it has
    /// (systemd.exec(5)).
    #[must_use]
    pub fn journal_stream(&self) -> Option<(u64, u64)> {
        let (device, inode) = self.text("JOURNAL_STREAM").ok()??.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    }

    /// The B2 key, if there is one.
    ///
    /// # Errors
    /// If only half of it is set, or it holds what no key can hold.
    pub fn b2_key(&self) -> Result<Option<KeyPair>, ConfigError> {
        match (self.sent(B2_ID)?, self.sent(B2_KEY)?) {
            (Some(id), Some(key)) => Ok(Some(KeyPair { id: Secret::new(id), secret: Secret::new(key) })),
            (Some(_), None) => Err(ConfigError::HalfAKey { set: B2_ID, missing: B2_KEY }),
            (None, Some(_)) => Err(ConfigError::HalfAKey { set: B2_KEY, missing: B2_ID }),
            (None, None) => Ok(None),
        }
    }

    /// Makes sure that the AWS tools' variables hold what can stand in a request.
    ///
    /// # Errors
    /// The first that does not, by its name.
    pub fn check_aws(&self) -> Result<(), ConfigError> {
        SENT_BY_THE_SDK.iter().try_for_each(|name| self.sent(name).map(drop))
    }

    /// The names of variables that decide on the way to the remote: proxies, certificates. Those of
    /// the AWS tools are among the credentials.
    #[must_use]
    pub fn network(&self) -> Vec<&str> {
        let names =
            self.0.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.to_str());
        let ours = |name: &&str| {
            let upper = name.to_ascii_uppercase();
            NETWORK.contains(&upper.as_str()) && (upper.ends_with("_PROXY") || upper == **name)
        };
        names.filter(ours).collect()
    }

    /// True if a proxy is named, or what is to be asked without one.
    #[must_use]
    pub fn names_a_proxy(&self) -> bool {
        self.network().iter().any(|name| name.to_ascii_uppercase().ends_with("_PROXY"))
    }

    /// The files of certificates that are to be trusted, as the AWS tools and OpenSSL take them.
    #[must_use]
    pub fn ca_files(&self) -> Vec<CaFile> {
        let file = |named_by: &'static str| {
            let path = self.0.get(&OsString::from(named_by)).filter(|value| !value.is_empty())?;
            Some(CaFile { named_by, path: PathBuf::from(path) })
        };
        ["AWS_CA_BUNDLE", "SSL_CERT_FILE"].into_iter().filter_map(file).collect()
    }

    /// The files that the AWS tools read credentials from.
    #[must_use]
    pub fn aws_files(&self) -> Vec<PathBuf> {
        let files = [
            ("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
            ("AWS_CONFIG_FILE", ".aws/config"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", ""),
        ];
        let place = |(name, usual): (&str, &str)| {
            let named = self.0.get(&OsString::from(name)).filter(|value| !value.is_empty());
            let home = self.0.get(&OsString::from("HOME")).filter(|_| !usual.is_empty());
            named.map(PathBuf::from).or_else(|| home.map(|home| PathBuf::from(home).join(usual)))
        };
        files.into_iter().filter_map(place).collect()
    }

    /// The program that shows a notification on this user's desktop, with the arguments before its
    /// title and its text; empty where none can.
    #[must_use]
    pub fn notifier(&self) -> Vec<String> {
        let folders = self.0.get(&OsString::from("PATH")).cloned().unwrap_or_default();
        let found = |program: &str| {
            let places = std::env::split_paths(&folders).filter(|folder| folder.is_absolute());
            let program = places.map(|folder| folder.join(program)).find(|path| path.is_file());
            program.map(|path| path.to_string_lossy().into_owned())
        };
        if cfg!(target_os = "macos") {
            let script = [
                "on run told",
                "display notification (item 2 of told) with title (item 1 of told)",
                "end run",
            ];
            let lines = script.into_iter().flat_map(|line| ["-e".to_owned(), line.to_owned()]);
            return found("osascript")
                .into_iter()
                .flat_map(|path| [path].into_iter().chain(lines.clone()))
                .collect();
        }
        let runtime = self.0.get(&OsString::from("XDG_RUNTIME_DIR")).map(PathBuf::from);
        let bus = self.names("DBUS_SESSION_BUS_ADDRESS")
            || runtime.is_some_and(|runtime| runtime.join("bus").exists());
        let options = ["--app-name=Cogzy", "--"].map(str::to_owned);
        let program = found("notify-send").filter(|_| bus);
        program.into_iter().flat_map(|path| [path].into_iter().chain(options.clone())).collect()
    }

    /// The names of variables that decide as whom the remote is asked: credentials, profiles,
    /// regions.
    #[must_use]
    pub fn credentials(&self) -> Vec<&str> {
        let names =
            self.0.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.to_str());
        names.filter(|name| name.starts_with("AWS_") || name.starts_with("B2_APPLICATION_KEY")).collect()
    }

    /// The variables that set a key: the variable, the key's dotted name, the text.
    pub(super) fn keys(&self) -> impl Iterator<Item = Result<(&str, String, &str), ConfigError>> {
        self.0.iter().filter_map(|(name, value)| {
            let name = name.to_str()?;
            let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
            let value = value.to_str().ok_or_else(|| ConfigError::NotUnicode { what: name.to_owned() });
            Some(value.map(|value| (name, key, value)))
        })
    }

    /// The text of a variable that goes into a request, without the line end that `echo` and files
    /// from Windows leave there.
    fn sent(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let text = self.text(name)?.map(str::trim).filter(|text| !text.is_empty());
        match text {
            Some(text) if !text.chars().all(|c| c.is_ascii_graphic()) => {
                Err(ConfigError::NotInARequest { what: name.to_owned() })
            }
            text => Ok(text),
        }
    }

    /// A variable's text; an empty one counts as not set.
    fn text(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let Some(value) = self.0.get(&OsString::from(name)).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        value.to_str().map(Some).ok_or_else(|| ConfigError::NotUnicode { what: name.to_owned() })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests;
