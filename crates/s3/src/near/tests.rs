use super::*;

#[test]
fn what_is_near_may_be_asked_over_plain_http_and_the_rest_may_not() {
    for near in [
        "https://s3.example.com",
        "http://localhost:9000",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000",
        "http://192.168.1.20",
        "http://10.0.0.1:3900",
        "http://172.31.255.1",
        "http://[fd00::1]",
        "http://minio:9000",
        "http://nas.local",
        "HTTP://NAS.LAN:80",
    ] {
        assert!(!is_exposed(near), "{near}");
    }
    for far in [
        "http://s3.example.com",
        "HTTP://example.com:80/",
        "http://8.8.8.8:9000",
        "http://172.32.0.1",
        "http://[2001:db8::1]:9000",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
    ] {
        assert!(is_exposed(far), "{far}");
    }
}

#[test]
fn bytes_are_kept_over_tls_and_within_this_machine() {
    for sure in
        ["https://s3.example.com", "HTTPS://minio:9000", "http://localhost:9000", "http://127.0.0.1:3900"]
    {
        assert!(keeps_bytes(sure), "{sure}");
    }
    assert!(keeps_bytes("http://[::1]:9000/path"));
    for unsure in
        ["http://192.168.1.20", "http://nas.local:9000", "http://localhost.example.com", "s3://bucket/"]
    {
        assert!(!keeps_bytes(unsure), "{unsure}");
    }
}
