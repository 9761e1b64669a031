//! Signs of life of one request: bytes that leave, and bytes that come.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;

/// The largest piece of a body that is handed over at once.
const PIECE: usize = 16 << 10;

/// The signs of life of one request.
#[derive(Debug)]
pub(super) struct Moved {
    last: Mutex<Instant>,
    unsent: AtomicU64,
    begun: AtomicBool,
    answered: AtomicBool,
}

impl Moved {
    /// No sign yet, of a request with a body of this length.
    pub(super) fn new(length: u64) -> Self {
        Self {
            last: Mutex::new(Instant::now()),
            unsent: AtomicU64::new(length),
            begun: AtomicBool::new(false),
            answered: AtomicBool::new(false),
        }
    }

    /// A request that goes out, with so many bytes still to hand over.
    #[cfg(test)]
    pub(super) fn begun(length: u64, unsent: u64) -> Self {
        let moved = Self::new(length);
        moved.begun.store(true, Ordering::Relaxed);
        moved.unsent.store(unsent, Ordering::Relaxed);
        moved
    }

    fn sign(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The time of the last sign.
    pub(super) fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once the request was signed and goes out.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// True once the first bytes of an answer have come.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Bytes of the body that were not handed over yet.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }
}

/// Notes the signs of life of the request that it goes with.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    moved: Arc<Moved>,
    body: Bytes,
}

impl Watch {
    /// For a request without a body.
    pub(super) const fn new(moved: Arc<Moved>) -> Self {
        Self { moved, body: Bytes::new() }
    }

    /// For a request with this body.
    pub(super) fn with(self, body: Bytes) -> Self {
        Self { body, ..self }
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let moved = Arc::clone(&self.moved);
        moved.sign();
        moved.begun.store(true, Ordering::Relaxed);
        if !self.body.is_empty() {
            // The same bytes that were signed.
            let pieces = Pieces { rest: self.body.clone(), moved };
            *context.request_mut().body_mut() = SdkBody::from_body_1_x(pieces);
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let moved = Arc::clone(&self.moved);
        moved.sign();
        moved.answered.store(true, Ordering::Relaxed);
        let answer = context.response_mut();
        let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
        *answer.body_mut() = SdkBody::from_body_1_x(body.map_frame(move |frame| {
            moved.sign();
            frame
        }));
        Ok(())
    }
}

/// A body that is handed over in pieces, so that its way shows.
struct Pieces {
    rest: Bytes,
    moved: Arc<Moved>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.moved.sign();
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        self.moved.unsent.store(self.rest.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
