//! Hosts that are near: what is sent to one over plain HTTP does not cross the internet.

use std::net::{IpAddr, Ipv6Addr};

/// Ends of names that no public server has.
const PRIVATE_ENDS: [&str; 7] = [".localhost", ".local", ".lan", ".internal", ".home", ".home.arpa", ".test"];

/// True if an endpoint is not encrypted, and its host is neither this machine nor in a private
/// network.
pub(crate) fn is_exposed(endpoint: &str) -> bool {
    let Some(rest) = endpoint.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")) else {
        return false;
    };
    !is_near(host(endpoint.get(rest.len()..).unwrap_or_default()))
}

/// The host of `host:port/path` or `[v6]:port`.
fn host(authority: &str) -> &str {
    let authority = authority.split('/').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => is_near_v6(v6),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            // A name without a dot is one of this network.
            !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
        }
    }
}

fn is_near_v6(v6: Ipv6Addr) -> bool {
    v6.is_loopback()
        || v6.is_unique_local()
        || v6.is_unicast_link_local()
        || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback() || v4.is_private())
}

#[cfg(test)]
mod tests {
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
}
