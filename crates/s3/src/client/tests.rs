use super::*;

fn bucket(text: &str) -> BucketUrl {
    match text.parse() {
        Ok(cogzy_engine::remote::RemoteUrl::Bucket(url)) => url,
        other => panic!("{other:?}"),
    }
}

fn options() -> S3Options {
    let key = KeyPair { id: Secret::new("the-id"), secret: Secret::new("the-secret") };
    S3Options { key: Some(key), ..S3Options::default() }
}

#[test]
fn secrets_are_not_printed() {
    let text = format!("{:?}", options());
    assert!(!text.contains("the-"), "{text}");
}

#[tokio::test]
async fn the_endpoint_of_b2_follows_from_its_region_and_the_other_way_round() {
    let url = bucket("b2://bucket");
    let error = build(&url, &options()).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Unconfigured);
    assert!(error.to_string().contains("s3.region"), "{error}");

    let region = S3Options { region: Some("us-west-004".to_owned()), ..options() };
    let (client, endpoint) = build(&url, &region).await.unwrap();
    assert_eq!(endpoint, "https://s3.us-west-004.backblazeb2.com");
    assert_eq!(client.config().region().unwrap().as_ref(), "us-west-004");

    let endpoint = S3Options { endpoint: Some(endpoint), ..options() };
    let (client, _) = build(&url, &endpoint).await.unwrap();
    assert_eq!(client.config().region().unwrap().as_ref(), "us-west-004");
}

#[tokio::test]
async fn an_endpoint_that_anybody_could_listen_to_is_refused_unless_somebody_wants_it() {
    let far = S3Options { endpoint: Some("http://s3.example.com".to_owned()), ..options() };
    let error = build(&bucket("s3://bucket"), &far).await.unwrap_err();
    assert_eq!(error.kind, RemoteErrorKind::Unconfigured);
    assert!(error.to_string().contains("s3.insecure = true"), "{error}");
    build(&bucket("s3://bucket"), &S3Options { insecure: true, ..far }).await.unwrap();
    let near = S3Options { endpoint: Some("http://127.0.0.1:9000".to_owned()), ..options() };
    build(&bucket("s3://bucket"), &near).await.unwrap();
}

#[tokio::test]
async fn an_invalid_endpoint_is_refused_and_not_repeated() {
    for bad in ["host", "ftp://host", "https://", "https://me:secret@host", "https://host/path?q"] {
        let options = S3Options { endpoint: Some(bad.to_owned()), ..options() };
        let error = build(&bucket("s3://bucket"), &options).await.unwrap_err();
        assert_eq!(error.kind, RemoteErrorKind::Unconfigured, "{bad}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
