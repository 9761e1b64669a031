//! The HTTP client. The system's certificates are read with the first encrypted connection: they
//! are hundreds of files, and to read them takes longer than a listing over a fast line.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::{Builder, Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::client::EXPOSED;
use super::near::{is_exposed, plain_host};

/// Host of an endpoint that was found to be near, once it is known. Buckets have names below it.
#[derive(Debug, Clone, Default)]
pub(super) struct Judged(Arc<OnceLock<String>>);

impl Judged {
    /// Takes an endpoint that may be used as it is.
    pub(super) fn take(&self, endpoint: &str) {
        if let Some(host) = plain_host(endpoint) {
            let _once = self.0.set(host.to_owned());
        }
    }

    /// True if a request goes to that host, or to a bucket of it.
    fn covers(&self, uri: &str) -> bool {
        let Some((judged, host)) = self.0.get().zip(plain_host(uri)) else { return false };
        host.strip_suffix(judged.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

/// Asks `tls` only for what is encrypted, or may go through a proxy, and not before there is such a
/// request: the way to a proxy may be encrypted where the rest is not.
/// Nothing goes to the internet in the clear unless it is to be `insecure`.
/// The endpoint may be told once it is known.
pub(super) fn client(tls: SharedHttpClient, proxied: bool, insecure: bool) -> (SharedHttpClient, Judged) {
    let judged = Judged::default();
    let client = ByScheme { plain: (!proxied).then(plain), tls, insecure, judged: judged.clone() };
    (SharedHttpClient::new(client), judged)
}

fn plain() -> SharedHttpClient {
    Builder::new()
        .build_with_connector_fn(|settings, components| connector(settings, components).build_http())
}

/// The part of a connector that has nothing to do with encryption, like that of the SDK's own.
pub(super) fn connector(
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> ConnectorBuilder {
    let mut connector = Connector::builder();
    connector.set_connector_settings(settings.cloned());
    if let Some(components) = components {
        connector.set_sleep_impl(components.sleep_impl());
    }
    connector
}

#[derive(Debug)]
struct ByScheme {
    plain: Option<SharedHttpClient>,
    tls: SharedHttpClient,
    insecure: bool,
    judged: Judged,
}

impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let plain = self.plain.as_ref().map(|plain| plain.http_connector(settings, components));
        let (tls, settings, components) = (self.tls.clone(), settings.clone(), components.clone());
        let (insecure, judged) = (self.insecure, self.judged.clone());
        SharedHttpConnector::new(Chosen { plain, tls, insecure, judged, settings, components })
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.tls.connector_metadata()
    }
}

#[derive(Debug)]
struct Chosen {
    plain: Option<SharedHttpConnector>,
    tls: SharedHttpClient,
    insecure: bool,
    judged: Judged,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Chosen {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !self.insecure && is_exposed(request.uri()) && !self.judged.covers(request.uri()) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(EXPOSED.into())));
        }
        match self.plain.as_ref().filter(|_| request.uri().starts_with("http://")) {
            Some(plain) => plain.call(request),
            None => self.tls.http_connector(&self.settings, &self.components).call(request),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
    use cogzy_engine::remote::RemoteErrorKind;

    use super::*;
    use crate::{errors, tls};

    #[test]
    fn a_bucket_of_a_near_host_is_near() {
        let judged = Judged::default();
        assert!(!judged.covers("http://bucket.garage:3902/key"));
        judged.take("http://garage:3902");
        for (uri, near) in [
            ("http://bucket.garage:3902/key", true),
            ("http://garage/key", true),
            ("http://othergarage/key", false),
            ("http://garage.example.com/key", false),
        ] {
            assert_eq!(judged.covers(uri), near, "{uri}");
        }
    }

    #[tokio::test]
    async fn no_request_goes_to_the_internet_in_the_clear() {
        let chosen = Chosen {
            plain: None,
            tls: tls::client(&[]).unwrap(),
            insecure: false,
            judged: Judged::default(),
            settings: HttpConnectorSettings::builder().build(),
            components: RuntimeComponentsBuilder::for_tests().build().unwrap(),
        };
        let mut request = HttpRequest::empty();
        request.set_uri("http://s3.example.com/bucket").unwrap();
        let refused = chosen.call(request).await.unwrap_err();
        let error = errors::transport("put", "k", "http://s3.example.com", &refused);
        assert_eq!(error.kind, RemoteErrorKind::Unconfigured, "{error}");
        assert!(refused.is_user() && error.to_string().contains("s3.insecure = true"), "{error}");
    }
}
