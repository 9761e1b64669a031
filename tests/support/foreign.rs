//! A server that is not ours: rclone, MinIO, Garage or moto, started by CI and named by the
//! environment.

use std::sync::Arc;

use cogzy_engine::clock::SystemEntropy;
use cogzy_engine::remote::{Remote, Retry, RetryPolicy};
use cogzy_s3::S3Remote;

use super::s3_server::{KEY_ID, SECRET, bucket_url, options};

/// A bucket on it. The key is that of the in-process server.
#[derive(Debug, Clone)]
pub struct ForeignBucket {
    pub endpoint: String,
    pub name: String,
}

impl ForeignBucket {
    /// The one that the environment names, if it does.
    pub fn of_environment() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "this is for whoever sets these")]
        let (endpoint, name) =
            (std::env::var("COGZY_TEST_S3_ENDPOINT"), std::env::var("COGZY_TEST_S3_BUCKET"));
        let (Ok(endpoint), Ok(name)) = (endpoint, name) else {
            eprintln!("skipped: COGZY_TEST_S3_ENDPOINT and COGZY_TEST_S3_BUCKET are not set");
            return None;
        };
        Some(Self { endpoint, name })
    }

    /// The remote below `prefix`, as the program uses it: some answer 500 when PUTs make one folder
    /// together.
    pub async fn remote(&self, prefix: &str) -> Arc<dyn Remote> {
        let url = bucket_url(&self.name, prefix);
        let remote = S3Remote::open(&url, &options(&self.endpoint, KEY_ID, SECRET)).await.unwrap();
        Arc::new(Retry::new(remote, RetryPolicy::default(), Arc::new(SystemEntropy)))
    }
}
