//! Listings that came to their end.
//!
//! The XML reader accepts a document that breaks off, so that half a listing would pass for a whole
//! one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

/// The end of every listing, whatever prefix its names have.
const END: &[u8] = b"ListBucketResult>";

/// Notes if the answer is a whole document.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole(Arc<AtomicBool>);

impl Whole {
    pub(super) fn was_seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        self.0.store(body.trim_ascii_end().ends_with(END), Ordering::Relaxed);
        Ok(())
    }
}
