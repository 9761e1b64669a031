//! An end to every answer, whatever the store sends.
//!
//! The SDK gathers the body of every answer that it parses, so a store, or whoever stands before
//! it, could fill this machine's memory with one listing or one error document that never ends.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use http_body_util::Limited;

/// Maximum number of bytes in an answer that the SDK parses: a page of 1,000 keys of 1,024 letters,
/// each of them escaped, with room to spare.
const MAX_PARSED: usize = 16 << 20;

/// Cuts off the body of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cap {
    /// True if a success carries an object, which is read piece by piece by whoever asked for it.
    streams: bool,
}

impl Cap {
    /// For an answer that the SDK parses.
    pub(super) const PARSED: Self = Self { streams: false };
    /// For a GET: only its failure is parsed.
    pub(super) const STREAMED: Self = Self { streams: true };
}

impl Intercept for Cap {
    fn name(&self) -> &'static str {
        "Cap"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response_mut();
        if !(self.streams && answer.status().is_success()) {
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, MAX_PARSED));
        }
        Ok(())
    }
}
