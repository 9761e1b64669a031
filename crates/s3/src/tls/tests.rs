use std::sync::Arc;

use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{KeyPair, S3Options, S3Remote, Secret};
use cogzy_engine::remote::{Remote, RemoteErrorKind, RemoteUrl};

/// A listing of nothing.
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 73\r\nconnection: close\r\n\r\n\
                     <ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>    ";

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tls/testdata").join(name)
}

/// Starts a server that speaks TLS or not and lists nothing. Returns `host:port`.
async fn store(secure: bool) -> String {
    let certificates = CertificateDer::pem_file_iter(testdata("store.pem")).unwrap();
    let certificates = certificates.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(testdata("store.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.unwrap().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                if secure {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    drop(stream.read(&mut request).await);
                    drop(stream.write_all(EMPTY.as_bytes()).await);
                    drop(stream.shutdown().await);
                } else {
                    drop(stream.read(&mut request).await);
                    drop(stream.write_all(EMPTY.as_bytes()).await);
                }
            });
        }
    });
    address
}

async fn list(endpoint: String, ca_files: Vec<CaFile>) -> Result<(), (RemoteErrorKind, String)> {
    let Ok(RemoteUrl::Bucket(url)) = "s3://bucket".parse() else { panic!("no bucket") };
    let key = KeyPair { id: Secret::new("id"), secret: Secret::new("secret") };
    let region = Some("us-east-1".to_owned());
    let options =
        S3Options { endpoint: Some(endpoint), region, key: Some(key), ca_files, ..S3Options::default() };
    let listed = async { S3Remote::open(&url, &options).await?.list("", None).await };
    listed.await.map(drop).map_err(|error| (error.kind, error.to_string()))
}

fn named(name: &str) -> Vec<CaFile> {
    vec![CaFile { named_by: "AWS_CA_BUNDLE", path: testdata(name) }]
}

#[tokio::test]
async fn an_unknown_authority_is_not_offline_and_a_named_one_is_trusted() {
    let address = store(true).await;
    let (kind, words) = list(format!("https://{address}"), vec![]).await.unwrap_err();
    assert_eq!(kind, RemoteErrorKind::Untrusted, "{words}");
    list(format!("https://{address}"), named("authority.pem")).await.unwrap();
}

#[tokio::test]
async fn a_file_without_a_certificate_is_refused_by_name_and_ends_nothing() {
    for name in ["store.key", "missing.pem"] {
        let (kind, words) = list("https://localhost:1".to_owned(), named(name)).await.unwrap_err();
        assert_eq!(kind, RemoteErrorKind::Untrusted, "{words}");
        assert!(words.contains("AWS_CA_BUNDLE") && words.contains(name), "{words}");
    }
    let broken = tempfile::NamedTempFile::new().unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    std::fs::write(broken.path(), pem).unwrap();
    let files = vec![CaFile { named_by: "SSL_CERT_FILE", path: broken.path().to_owned() }];
    let (_, words) = list("https://localhost:1".to_owned(), files.clone()).await.unwrap_err();
    assert!(words.contains("SSL_CERT_FILE"), "{words}");
    // One that cannot be used does not spoil the others.
    let sound = std::fs::read_to_string(testdata("authority.pem")).unwrap();
    std::fs::write(broken.path(), format!("{pem}{sound}")).unwrap();
    list(format!("https://{}", store(true).await), files).await.unwrap();
}

#[tokio::test]
async fn http_against_https_and_the_other_way_round_are_named() {
    let (kind, words) = list(format!("http://{}", store(true).await), vec![]).await.unwrap_err();
    assert_eq!(kind, RemoteErrorKind::WrongEndpoint, "{words}");
    assert!(words.contains("https://"), "{words}");
    let (kind, words) = list(format!("https://{}", store(false).await), vec![]).await.unwrap_err();
    assert_eq!(kind, RemoteErrorKind::WrongEndpoint, "{words}");
    assert!(words.contains("http://"), "{words}");
}
