//! A way to a bucket that does something of its own for some calls, and passes the others on.

use std::fmt::Debug;
use std::ops::Deref;

use async_trait::async_trait;
use bytes::Bytes;
use cogzy_engine::remote::{Capabilities, Object, Page, Remote, RemoteError, Span};

/// The calls that may be done in another way.
#[async_trait]
pub trait Around: Debug + Send + Sync + 'static {
    fn bucket(&self) -> &dyn Remote;

    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.bucket().put(key, body).await
    }

    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.bucket().get(key, span).await
    }

    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.bucket().delete(key).await
    }

    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.bucket().server_ms().await
    }
}

/// The bucket that is reached in this way. Deletions of many objects are done one by one.
#[derive(Debug)]
pub struct Through<A>(pub A);

impl<A> Deref for Through<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

#[async_trait]
impl<A: Around> Remote for Through<A> {
    fn url(&self) -> String {
        self.bucket().url()
    }
    fn capabilities(&self) -> Capabilities {
        self.bucket().capabilities()
    }
    async fn put(&self, key: &str, body: Bytes) -> Result<(), RemoteError> {
        self.0.put(key, body).await
    }
    async fn get(&self, key: &str, span: Span) -> Result<Bytes, RemoteError> {
        self.0.get(key, span).await
    }
    async fn head(&self, key: &str) -> Result<Option<Object>, RemoteError> {
        self.bucket().head(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, RemoteError> {
        self.bucket().list(prefix, after).await
    }
    async fn delete(&self, key: &str) -> Result<(), RemoteError> {
        self.0.delete(key).await
    }
    async fn server_ms(&self) -> Result<i64, RemoteError> {
        self.0.server_ms().await
    }
}
