//! The S3 client: its endpoint, its credentials, its timeouts.

use std::fmt;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, StalledStreamProtectionConfig,
};
use aws_types::service_config::ServiceConfigKey;
use zeroize::Zeroizing;

use super::http;
use super::keys::Trimmed;
use super::tls::{self, CaFile};
use crate::near::is_exposed;
use cogzy_engine::remote::{BucketUrl, RemoteError, RemoteErrorKind, Store};

/// Options for a bucket. A missing one comes from where the AWS tools take it, or has a default.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// `https://host[:port]` of the store. Without it: AWS, or B2 in `region`.
    pub endpoint: Option<String>,
    /// The region's name, such as `us-west-004`.
    pub region: Option<String>,
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// True where the bucket's name stands in the path (`host/bucket/key`) and not in the host's
    /// name. Without it: true as soon as there is an endpoint.
    pub path_style: Option<bool>,
    /// True where the bucket may be reached without encryption over a network that is not private.
    pub insecure: bool,
    /// Credentials. Without them: those of the AWS credential chain.
    pub key: Option<KeyPair>,
    /// Files of certificates to trust beside the system's.
    pub ca_files: Vec<CaFile>,
    /// True where the environment names a proxy: then the SDK decides which requests go there.
    pub proxied: bool,
    /// The longest time to make a connection.
    pub connect_timeout: Duration,
    /// The longest time in which a call moves no byte.
    pub operation_timeout: Duration,
}

impl S3Options {
    /// True if an endpoint is one of B2's own.
    #[must_use]
    pub fn is_b2s(endpoint: &str) -> bool {
        b2_region(endpoint).is_some()
    }
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            profile: None,
            path_style: None,
            insecure: false,
            key: None,
            ca_files: Vec::new(),
            proxied: false,
            connect_timeout: Duration::from_secs(10),
            // A slow uplink stalls for a while whenever somebody in the same house makes a call.
            operation_timeout: Duration::from_secs(60),
        }
    }
}

/// A key: its id and its secret. Neither is ever printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// B2's keyID, or AWS's access key id.
    pub id: Secret,
    /// B2's applicationKey, or AWS's secret access key.
    pub secret: Secret,
}

/// A text that must not get into logs or messages. Its memory is wiped when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A client and its endpoint, for messages.
pub(super) async fn build(url: &BucketUrl, options: &S3Options) -> Result<(Client, String), RemoteError> {
    let asked_region = options.region.clone().or_else(|| options.endpoint.as_deref().and_then(b2_region));
    let endpoint = match (&options.endpoint, url.store(), &asked_region) {
        (Some(endpoint), ..) => Some(endpoint.clone()),
        (None, Store::B2, Some(region)) => Some(format!("https://s3.{region}.backblazeb2.com")),
        (None, Store::B2, None) => return Err(misconfigured(url, B2_REGION)),
        (None, Store::S3, _) => None,
    };
    if endpoint.as_ref().is_some_and(|endpoint| !plausible(endpoint)) {
        return Err(misconfigured(
            url,
            "s3.endpoint must be https://host or http://host:port, with or without a path, without credentials",
        ));
    }

    let secure = endpoint.as_ref().is_none_or(|endpoint| endpoint.starts_with("https:"));
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .retry_config(RetryConfig::disabled())
        // A store other than AWS may not know the checksums that newer SDKs add; SigV4 signs the
        // body's SHA-256 anyway.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The line watches what moves, and knows how long a small request may take.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // A wrong clock is reported, not worked around: transaction ids carry its time too.
        .disable_clock_skew_correction(true)
        .timeout_config(TimeoutConfig::builder().connect_timeout(options.connect_timeout).build());
    let untrusted = |why| RemoteError::new(RemoteErrorKind::Untrusted, "open", &url.to_string()).because(why);
    let trusting = tls::client(if secure { &options.ca_files } else { &[] }).map_err(untrusted)?;
    let (client, judged) = http::client(trusting, options.proxied, options.insecure);
    loader = loader.http_client(client);
    loader = match (asked_region, &endpoint) {
        (Some(region), _) => loader.region(Region::new(region)),
        // A store with an endpoint of its own is not one that this machine's cloud knows of: nobody
        // waits for the cloud's metadata service.
        (None, Some(_)) => loader.region(told_region(options)),
        (None, None) => loader,
    };
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(KeyPair { id, secret }) = &options.key {
        loader = loader.credentials_provider(Credentials::new(
            id.0.as_str(),
            secret.0.as_str(),
            None,
            None,
            "cogzy-vault",
        ));
    }
    let shared = loader.load().await;

    let path_style = options.path_style.unwrap_or(endpoint.is_some());
    let endpoint = endpoint.or_else(|| endpoint_of_tools(&shared));
    let endpoint =
        endpoint.map(|endpoint| judge(endpoint, options.insecure).map_err(|why| misconfigured(url, why)));
    let endpoint = endpoint.transpose()?;
    endpoint.iter().for_each(|endpoint| judged.take(endpoint));
    let Some(region) = shared.region().map(|region| region.as_ref().trim().to_owned()) else {
        return Err(misconfigured(url, AWS_REGION));
    };
    if !region.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(misconfigured(url, "the region's name has a character that no region has"));
    }
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .region(Region::new(region.clone()))
        .force_path_style(path_style);
    // What was judged above is what is used.
    config.set_endpoint_url(endpoint.clone());
    if let Some(source) = shared.credentials_provider() {
        config = config.credentials_provider(Trimmed(source));
    }
    let told = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    Ok((Client::from_conf(config.build()), told))
}

const B2_REGION: &str = "b2:// needs to know the region: set s3.region to the part of the bucket's Endpoint between `s3.` \
     and `.backblazeb2.com`, such as us-west-004";
const AWS_REGION: &str =
    "s3:// needs to know the bucket's region: set s3.region, AWS_REGION, or a profile that has one";

const TOOLS_ENDPOINT: &str = "the endpoint that the AWS tools name (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or a profile's endpoint_url) \
     must be https://host or http://host:port, with or without a path, without credentials";

/// Words of the refusal of an endpoint that anybody could listen to.
pub(super) const EXPOSED: &str = "the endpoint is http://, and its host is neither this machine nor in a private network: anybody on the \
     way could read the backup and change it. Use https://, or set s3.insecure = true";

/// An endpoint as it is used, or why it is not.
fn judge(endpoint: String, insecure: bool) -> Result<String, &'static str> {
    if !plausible(&endpoint) {
        return Err(TOOLS_ENDPOINT);
    }
    let endpoint = closed(endpoint);
    if is_exposed(&endpoint) && !insecure { Err(EXPOSED) } else { Ok(endpoint) }
}

/// The endpoint of S3 for the AWS tools: that of the environment, or else of the profile, and in each
/// of them first the one for S3 alone.
fn endpoint_of_tools(shared: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env("AWS_ENDPOINT_URL").profile("endpoint_url");
    let of_s3 =
        shared.service_config().zip(key.build().ok()).and_then(|(config, key)| config.load_config(key));
    let endpoint = of_s3.or_else(|| shared.endpoint_url().map(str::to_owned));
    endpoint.map(|endpoint| endpoint.trim().to_owned()).filter(|endpoint| !endpoint.is_empty())
}

/// The region that the environment or a profile names, or the one that every store knows: most
/// stores other than AWS take any.
fn told_region(options: &S3Options) -> RegionProviderChain {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &options.profile {
        profile = profile.profile_name(name);
    }
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(profile.build())
        .or_else(Region::from_static("us-east-1"))
}

fn misconfigured(url: &BucketUrl, what: &str) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Unconfigured, "open", &url.to_string()).because(what)
}

/// The endpoint with a slash behind its path, if it has one: the SDK puts the bucket's name right
/// there.
fn closed(endpoint: String) -> String {
    match endpoint.splitn(4, '/').nth(3) {
        Some(path) if !path.is_empty() && !path.ends_with('/') => endpoint + "/",
        _ => endpoint,
    }
}

fn plausible(endpoint: &str) -> bool {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let legal =
        |text: &str, signs: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || signs.contains(c));
    !host.is_empty() && legal(host, ".-_:[]") && legal(path, ".-_/~") && !path.contains("..")
}

/// The region in one of B2's own endpoints.
fn b2_region(endpoint: &str) -> Option<String> {
    let host = endpoint
        .strip_prefix("https://s3.")?
        .strip_suffix('/')
        .unwrap_or(endpoint.strip_prefix("https://s3.")?);
    host.strip_suffix(".backblazeb2.com").map(str::to_owned)
}

#[cfg(test)]
mod tests;
