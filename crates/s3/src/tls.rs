//! Certificates beyond those of the system: a store at home, or a company's proxy, has its own
//! authority.
//!
//! The SDK ends the process over a file that holds no certificate, so each file is read here first.

use std::path::{Path, PathBuf};

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_types::base64;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::http::connector;

/// A file of certificates that are to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaFile {
    /// The setting that names it.
    pub named_by: &'static str,
    /// Its path.
    pub path: PathBuf,
}

/// An HTTP client that trusts the authorities in `files` beside the system's.
pub(super) fn client(files: &[CaFile]) -> Result<SharedHttpClient, String> {
    let mut trusted = TrustStore::default();
    for CaFile { named_by, path } in files {
        let pem = read(path).map_err(|why| format!("{named_by} names {}: {why}", path.display()))?;
        trusted.add_pem_certificate(pem);
    }
    let context =
        TlsContext::builder().with_trust_store(trusted).build().map_err(|error| error.to_string())?;
    // As the SDK builds its own, but for the authorities.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = connector(settings, components).tls_provider(Provider::Rustls(CryptoMode::AwsLc));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.tls_context(context.clone()).build()
    }))
}

/// The certificates of a file that can be used, in PEM form. Bundles of systems hold odd ones, too.
fn read(path: &Path) -> Result<String, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let usable = |certificate: &CertificateDer<'_>| {
        RootCertStore::empty().add(certificate.clone().into_owned()).is_ok()
    };
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).filter(usable);
    let pem: String = certificates
        .map(|certificate| {
            let text = base64::encode(&certificate);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        })
        .collect();
    if pem.is_empty() { Err("it holds no certificate in PEM form".to_owned()) } else { Ok(pem) }
}

#[cfg(test)]
mod tests;
