//! Hosts that are near: what is sent to one over plain HTTP does not cross the internet.

use std::net::{IpAddr, Ipv6Addr};

/// Ends of names that no public server has.
const PRIVATE_ENDS: [&str; 7] = [".localhost", ".local", ".lan", ".internal", ".home", ".home.arpa", ".test"];

/// True if an endpoint is not encrypted, and its host is neither this machine nor in a private
/// network.
pub(crate) fn is_exposed(endpoint: &str) -> bool {
    plain_host(endpoint).is_some_and(|host| !is_near(host))
}

/// True if bytes cannot change unnoticed on their way to an endpoint: they are encrypted, or do not
/// leave this machine.
pub(crate) fn keeps_bytes(endpoint: &str) -> bool {
    match plain_host(endpoint) {
        Some(host) => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => endpoint.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")),
    }
}

/// The host of an endpoint that is not encrypted.
pub(crate) fn plain_host(endpoint: &str) -> Option<&str> {
    let (scheme, rest) = endpoint.split_once("://")?;
    scheme.eq_ignore_ascii_case("http").then(|| host(rest))
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
mod tests;
