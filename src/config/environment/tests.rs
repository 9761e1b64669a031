use super::*;

#[test]
fn half_a_key_is_refused_and_no_text_of_a_key_is_ever_printed() {
    let environment = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>();
    let whole = environment(&[(B2_ID, "hidden-id"), (B2_KEY, "hidden-key")]);
    let key = whole.b2_key().unwrap().unwrap();
    assert!(!format!("{key:?} {whole:?}").contains("hidden"));
    assert!(environment(&[]).b2_key().unwrap().is_none());
    assert!(environment(&[(B2_ID, ""), (B2_KEY, "")]).b2_key().unwrap().is_none());
    let some =
        environment(&[(B2_ID, "hidden-id"), ("COGZY_VAULT__REMOTE", "r"), ("HOME", "/"), (B2_KEY, "")]);
    assert_eq!(some.credentials(), ["B2_APPLICATION_KEY_ID"]);
    assert!(environment(&[(B2_ID, "\n"), (B2_KEY, " ")]).b2_key().unwrap().is_none());
    let error = environment(&[(B2_KEY, "hidden")]).b2_key().unwrap_err().to_string();
    assert!(error.contains("B2_APPLICATION_KEY_ID is not") && !error.contains("hidden"), "{error}");
}
#[test]
fn a_line_end_is_no_part_of_a_key_and_what_cannot_be_sent_is_refused_by_name() {
    let environment = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Environment>();
    let ends = environment(&[(B2_ID, " id\r\n"), (B2_KEY, "key\n")]);
    let key = ends.b2_key().unwrap().unwrap();
    assert_eq!(key, KeyPair { id: Secret::new("id"), secret: Secret::new("key") });
    for bad in ["hid\nden", "hid\u{1}den", "hid den", "hidd\u{e9}n"] {
        let error = environment(&[(B2_ID, bad), (B2_KEY, "key")]).b2_key().unwrap_err().to_string();
        assert!(error.contains(B2_ID) && !error.contains("den"), "{error}");
        for name in SENT_BY_THE_SDK {
            let error = environment(&[(name, bad)]).check_aws().unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("den"), "{error}");
        }
    }
    environment(&[("AWS_ACCESS_KEY_ID", "id\n"), ("AWS_SESSION_TOKEN", "\r\n")]).check_aws().unwrap();
}
#[test]
fn proxies_and_certificates_are_known_by_name() {
    let pairs = [("https_proxy", "http://p"), ("NO_PROXY", ""), ("SSL_CERT_FILE", "/ca.pem"), ("PROXY", "p")];
    let environment: Environment = pairs.into_iter().collect();
    assert_eq!(environment.network(), ["SSL_CERT_FILE", "https_proxy"]);
    assert!(environment.names_a_proxy());
    let certificates: Environment = [("SSL_CERT_FILE", "/ca.pem"), ("HTTP_PROXY", "")].into_iter().collect();
    assert!(!certificates.names_a_proxy());
    let files = environment.ca_files();
    assert_eq!(files, [CaFile { named_by: "SSL_CERT_FILE", path: "/ca.pem".into() }]);
    let home: Environment = [("HOME", "/home/me"), ("AWS_CONFIG_FILE", "/c")].into_iter().collect();
    assert_eq!(home.aws_files(), ["/home/me/.aws/credentials", "/c"].map(PathBuf::from));
}
