//! Where a request came from, for counting failures.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::{FromRequestParts, Request};
use http::HeaderName;
use http::request::Parts;
use slipway_settings::TrustedProxies;

use crate::listen::Peer;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client's address: the connection's, or what a trusted proxy says in `X-Real-IP`.
///
/// Anybody else could write anything there. IPv6 clients count by their /64, which is what one of them gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(Option<IpAddr>);

impl ClientAddr {
    /// The client's address, given the trusted proxies.
    pub(crate) fn of(request: &Request, trusted: &TrustedProxies) -> Self {
        let (address, believed) = match request.extensions().get::<Peer>() {
            Some(Peer::Ip(address)) => (Some(*address), trusted.contains(*address)),
            Some(Peer::Local) => (None, true),
            None => (None, false),
        };
        let told = || {
            let value = request.headers().get(X_REAL_IP)?.to_str().ok()?;
            value.trim().parse::<IpAddr>().ok()
        };
        let told = believed.then(told).flatten();
        Self(told.or(address).map(|address| network(address.to_canonical())))
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

impl fmt::Display for ClientAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("local"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddr {
    type Rejection = Infallible;

    /// What the outermost layer found.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use slipway_settings::{ApiSection, SettingsSource};

    use super::*;

    fn trusting(networks: &[(&str, &str)]) -> TrustedProxies {
        let source = SettingsSource::from_map(networks.iter().copied());
        ApiSection::from_source(&source).unwrap().trusted_proxies
    }

    fn client(trusted: &TrustedProxies, peer: Peer, told: Option<&str>) -> String {
        let mut request = http::Request::builder().extension(peer);
        if let Some(told) = told {
            request = request.header(X_REAL_IP, told);
        }
        ClientAddr::of(&request.body(Body::empty()).unwrap(), trusted).to_string()
    }

    fn peer(text: &str) -> Peer {
        Peer::Ip(text.parse().unwrap())
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed_when_nothing_is_said() {
        let trusted = trusting(&[]);
        let client = |peer, told| client(&trusted, peer, told);
        assert_eq!(client(peer("192.0.2.1"), Some("198.51.100.7")), "192.0.2.1");
        assert_eq!(client(peer("127.0.0.1"), Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(client(peer("::1"), Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(client(Peer::Local, Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(client(peer("127.0.0.1"), Some("unknown")), "127.0.0.1");
        assert_eq!(client(Peer::Local, None), "local");
    }

    #[test]
    fn a_proxy_on_another_machine_is_believed_when_its_network_is_named() {
        let trusted = trusting(&[("API_TRUSTED_PROXIES", "10.0.0.0/24")]);
        let client = |peer, told| client(&trusted, peer, told);
        assert_eq!(client(peer("10.0.0.9"), Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(
            client(peer("::ffff:10.0.0.9"), Some("198.51.100.7")),
            "198.51.100.7"
        );
        assert_eq!(client(peer("10.0.1.9"), Some("198.51.100.7")), "10.0.1.9");
        // Named networks are all that there are.
        assert_eq!(client(peer("127.0.0.1"), Some("198.51.100.7")), "127.0.0.1");
        assert_eq!(client(Peer::Local, Some("198.51.100.7")), "198.51.100.7");
    }

    #[test]
    fn one_network_is_one_client() {
        let trusted = trusting(&[]);
        assert_eq!(
            client(&trusted, peer("2001:db8:1:2:3:4:5:6"), None),
            "2001:db8:1:2::"
        );
        assert_eq!(client(&trusted, peer("::ffff:192.0.2.1"), None), "192.0.2.1");
    }
}
