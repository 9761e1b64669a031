use aws_types::service_config::LoadServiceConfig;

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

/// The settings of the AWS tools for one service.
#[derive(Debug)]
struct ForS3(&'static str);

impl LoadServiceConfig for ForS3 {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let asked = (key.service_id(), key.env(), key.profile());
        (asked == ("S3", "AWS_ENDPOINT_URL", "endpoint_url")).then(|| self.0.to_owned())
    }
}

#[test]
fn the_endpoint_that_the_tools_have_for_s3_goes_before_the_one_for_all() {
    let shared = || SdkConfig::builder().endpoint_url("https://all");
    let told = |shared: SdkConfig| endpoint_of_tools(&shared);
    assert_eq!(told(shared().build()).as_deref(), Some("https://all"));
    assert_eq!(told(shared().service_config(ForS3("http://s3 ")).build()).as_deref(), Some("http://s3"));
    assert_eq!(told(shared().service_config(ForS3("")).build()), None);
    assert_eq!(told(SdkConfig::builder().build()), None);
}
