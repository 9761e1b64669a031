//! A look at a bucket for `doctor`: facts that no cycle needs.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::BucketVersioningStatus;

use super::cap::Cap;
use super::{S3Remote, errors, milliseconds};
use cogzy_engine::remote::{Probe, RemoteError};

impl S3Remote {
    /// Asks the store with two requests that change nothing.
    pub async fn probe(&self) -> Probe {
        let (listed, server_ms) = self.dated_listing().await;
        let versioning = self.client.get_bucket_versioning().bucket(self.url.bucket());
        let versioning = versioning.customize().interceptor(Cap::PARSED).send().await;
        let versioned =
            versioning.ok().map(|answer| answer.status() == Some(&BucketVersioningStatus::Enabled));
        Probe { endpoint: self.endpoint.clone(), listed, server_ms, versioned }
    }
}

impl S3Remote {
    /// The store's clock, read from the answer to a short listing.
    pub(super) async fn date(&self) -> Result<i64, RemoteError> {
        let (listed, server_ms) = self.dated_listing().await;
        listed?;
        server_ms.ok_or_else(|| self.not_s3("time", "", "its answers have no Date"))
    }

    async fn dated_listing(&self) -> (Result<(), RemoteError>, Option<i64>) {
        let date = Date::default();
        let listing =
            self.client.list_objects_v2().bucket(self.url.bucket()).prefix(self.full("commits/")).max_keys(1);
        let listed = listing.customize().interceptor(date.clone()).interceptor(Cap::PARSED).send().await;
        let listed = listed.map(drop);
        (listed.map_err(|error| errors::explain("list", "commits/", &self.endpoint, error)), date.read())
    }
}

/// The Date of an answer, even of a refusal.
#[derive(Debug, Clone, Default)]
struct Date(Arc<Mutex<Option<String>>>);

impl Date {
    fn read(&self) -> Option<i64> {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        milliseconds(&DateTime::from_str(&text, DateTimeFormat::HttpDate).ok()?)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
