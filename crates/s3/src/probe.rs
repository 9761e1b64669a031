//! A look at a bucket for `doctor`: facts that no cycle needs.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use aws_sdk_s3::types::BucketVersioningStatus;

use super::cap::Cap;
use super::line::Call;
use super::{S3Remote, milliseconds};
use cogzy_engine::remote::{Probe, RemoteError, RemoteErrorKind};

impl S3Remote {
    /// Asks the store with three requests that change nothing.
    pub async fn probe(&self) -> Probe {
        let (listed, server_ms) = self.dated_listing().await;
        let versioning = self.line.ask(Call::new("versioning", ""), |client, watch| {
            let request = client.get_bucket_versioning().bucket(self.url.bucket()).customize();
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        let versioned =
            versioning.await.ok().map(|answer| answer.status() == Some(&BucketVersioningStatus::Enabled));
        let (endpoint, locked_days) = (self.line.endpoint().to_string(), self.locked_days().await);
        Probe { endpoint, listed, server_ms, versioned, locked_days }
    }

    /// The days of the bucket's Object Lock rule; none where the key may not ask for it.
    async fn locked_days(&self) -> Option<u32> {
        let ask = self.line.ask(Call::new("object lock", ""), |client, watch| {
            let request = client.get_object_lock_configuration().bucket(self.url.bucket()).customize();
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        match ask.await {
            Ok(answer) => {
                let rule = answer.object_lock_configuration().and_then(|lock| lock.rule());
                let kept = rule.and_then(|rule| rule.default_retention());
                let days =
                    kept.map_or(0, |kept| kept.days().or(kept.years().map(|years| years * 365)).unwrap_or(0));
                u32::try_from(days).ok()
            }
            // A bucket without any, or a store that knows no such thing.
            Err(error) if matches!(error.kind, RemoteErrorKind::NotFound | RemoteErrorKind::Other) => Some(0),
            Err(_) => None,
        }
    }
}

impl S3Remote {
    /// The store's clock, read from the answer to a short listing.
    pub(super) async fn date(&self) -> Result<i64, RemoteError> {
        let (listed, server_ms) = self.dated_listing().await;
        listed?;
        server_ms.ok_or_else(|| self.not_s3(Call::new("time", ""), "its answers have no Date"))
    }

    async fn dated_listing(&self) -> (Result<(), RemoteError>, Option<i64>) {
        let date = Date::default();
        let ask = self.line.ask(Call::new("list", "commits/"), |client, watch| {
            let request = client.list_objects_v2().bucket(self.url.bucket()).prefix(self.full("commits/"));
            let request = request.max_keys(1).customize().interceptor(date.clone());
            request.interceptor(Cap::PARSED).interceptor(watch).send()
        });
        let listed = ask.await.map(drop);
        (listed, date.read())
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
