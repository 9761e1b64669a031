use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<RemoteUrl, UrlError> {
    text.parse()
}

#[test]
fn each_form_has_one_normal_spelling() {
    for (text, normal) in [
        ("b2://my-bucket", "b2://my-bucket"),
        ("B2://my-bucket/", "b2://my-bucket"),
        ("s3://my.bucket//a///b/", "s3://my.bucket/a/b"),
        ("s3://bucket/with space", "s3://bucket/with space"),
        ("file:///mnt/disk//vault/", "file:///mnt/disk/vault"),
        ("file:///mnt/my%20disk", "file:///mnt/my disk"),
        ("file:///mnt/50%25@home", "file:///mnt/50%25@home"),
    ] {
        let url = parse(text).unwrap();
        assert_eq!(url.to_string(), normal);
        assert_eq!(parse(normal), Ok(url));
    }
    let RemoteUrl::Bucket(url) = parse("b2://bucket/a/b").unwrap() else { panic!("no bucket") };
    assert_eq!((url.store(), url.bucket(), url.prefix()), (Store::B2, "bucket", "a/b/"));
}

#[test]
fn other_texts_are_refused_with_their_reason() {
    for (text, error) in [
        ("", UrlError::Scheme),
        ("bucket/prefix", UrlError::Scheme),
        ("https://bucket", UrlError::Scheme),
        ("s3://", UrlError::Bucket),
        ("s3://ab/x", UrlError::Bucket),
        ("s3://-abc", UrlError::Bucket),
        ("s3://bücket", UrlError::Bucket),
        ("s3://bucket/a/../b", UrlError::Prefix),
        ("s3://bucket/a?region=x", UrlError::Prefix),
        ("file://server/share", UrlError::NotAbsolute),
        ("file://", UrlError::NotAbsolute),
        ("file:///a/../b", UrlError::Path),
        ("file:///100%", UrlError::Path),
        ("file:///a%00b", UrlError::Path),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn credentials_are_refused_and_not_repeated() {
    for text in [
        "b2://k005secret:s/ecret@bucket/prefix",
        "s3://secret@bucket",
        "s3://bucket:secret",
        "https://user:secret@host/",
    ] {
        let error = parse(text).unwrap_err();
        assert!(!error.to_string().contains("secret") && !format!("{error:?}").contains("secret"), "{error}");
    }
    assert_eq!(parse("b2://id:s/ecret@bucket"), Err(UrlError::Credentials));
}

proptest! {
    #[test]
    fn no_text_panics_and_parsed_urls_round_trip(text in "(b2|s3|file)://[a-c%205@:./ é\\\\]{0,20}") {
        if let Ok(url) = parse(&text) {
            prop_assert_eq!(parse(&url.to_string()), Ok(url));
        }
    }
}
