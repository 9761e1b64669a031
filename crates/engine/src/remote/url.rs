//! URLs of remotes: `b2://bucket/prefix`, `s3://bucket/prefix` or `file:///absolute/path`.
//!
//! A URL carries no credentials. One that seems to is refused, and errors repeat only its scheme or
//! a part that cannot hold any. A parsed URL prints in one normal form, which parses to the same
//! URL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::percent;

/// URL of a remote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemoteUrl {
    /// A bucket of an S3-compatible store.
    Bucket(BucketUrl),
    /// A folder on a disk of this machine, as an absolute path.
    Folder(PathBuf),
}

/// Bucket, and the prefix of all our objects in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BucketUrl {
    store: Store,
    bucket: String,
    prefix: String,
}

/// Provider of a bucket. All speak S3 but differ in how their endpoint is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// Backblaze B2.
    B2,
    /// AWS S3, or another store with an explicit endpoint.
    S3,
}

/// Text that is not the URL of a remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme://`, or an unknown one.
    #[error("the remote's URL must be b2://bucket/prefix, s3://bucket/prefix or file:///path")]
    Scheme,
    /// The URL holds credentials, or text that may be some. The error does not repeat it.
    #[error(
        "the remote's URL must not hold credentials: take them out, and set B2_APPLICATION_KEY_ID and B2_APPLICATION_KEY, \
         or what the AWS tools use"
    )]
    Credentials,
    /// The bucket's name is not valid.
    #[error(
        "the remote's URL names no bucket that can exist: expected 3 to 63 letters, digits, `.`, `-` or `_`"
    )]
    Bucket,
    /// The prefix is not valid.
    #[error(
        "the remote's prefix must not hold `.` or `..` as a name, `?`, `#`, a backslash or a control character"
    )]
    Prefix,
    /// The path of a `file://` URL is not absolute, or names another machine.
    #[error(
        "a folder remote must be file:/// with an absolute path of this machine, such as file:///mnt/disk/vault"
    )]
    NotAbsolute,
    /// The path of a `file://` URL is malformed.
    #[error("the path of the folder remote is not well written: no `..`, and a percent sign is written %25")]
    Path,
}

impl BucketUrl {
    /// Provider of the bucket.
    #[must_use]
    pub const fn store(&self) -> Store {
        self.store
    }

    /// Name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Prefix of the keys: empty, or names joined by single slashes, with a trailing slash.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn parse(store: Store, rest: &str) -> Result<Self, UrlError> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // A secret may itself contain a slash, so search for the sign everywhere.
        if rest.contains('@') || bucket.contains(':') {
            return Err(UrlError::Credentials);
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let begins = bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || !(3..=63).contains(&bucket.len()) || !bucket.chars().all(legal) {
            return Err(UrlError::Bucket);
        }
        let mut normal = String::with_capacity(prefix.len() + 1);
        for name in prefix.split('/').filter(|name| !name.is_empty()) {
            let illegal = |c: char| c.is_control() || matches!(c, '?' | '#' | '\\');
            if name == "." || name == ".." || name.chars().any(illegal) {
                return Err(UrlError::Prefix);
            }
            normal.push_str(name);
            normal.push('/');
        }
        Ok(Self { store, bucket: bucket.to_owned(), prefix: normal })
    }
}

impl fmt::Display for BucketUrl {
    /// Formats the URL without a trailing slash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.store {
            Store::B2 => "b2",
            Store::S3 => "s3",
        };
        let text = format!("{scheme}://{}/{}", self.bucket, self.prefix);
        f.write_str(text.trim_end_matches('/'))
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket(bucket) => bucket.fmt(f),
            Self::Folder(path) => f.write_str(&folder_url(path)),
        }
    }
}

/// Formats the `file://` URL of an absolute path.
pub(super) fn folder_url(path: &Path) -> String {
    format!("file://{}", path.to_string_lossy().replace('%', "%25"))
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "b2" => BucketUrl::parse(Store::B2, rest).map(Self::Bucket),
            "s3" => BucketUrl::parse(Store::S3, rest).map(Self::Bucket),
            "file" => folder(rest).map(Self::Folder),
            _ => Err(UrlError::Scheme),
        }
    }
}

fn folder(rest: &str) -> Result<PathBuf, UrlError> {
    let text = percent::decode(rest).ok_or(UrlError::Path)?;
    if text.chars().any(char::is_control) || text.split('/').any(|name| name == "..") {
        return Err(UrlError::Path);
    }
    // Collecting the components drops doubled and trailing slashes.
    let path: PathBuf = Path::new(&text).components().collect();
    if path.is_absolute() { Ok(path) } else { Err(UrlError::NotAbsolute) }
}

#[cfg(test)]
mod tests;
