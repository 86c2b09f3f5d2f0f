//! Where a request came from, for counting failures.

use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use http::HeaderName;
use http::request::Parts;

use crate::listen::Peer;

const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client's address: the connection's, or what a proxy on this machine says in `X-Real-IP`.
///
/// Anybody else could write anything there. IPv6 clients count by their /64, which is what one of them gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(Option<IpAddr>);

impl ClientAddr {
    fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<Peer>().copied();
        let (address, trusted) = match peer {
            Some(Peer::Ip(address)) => (Some(address), address.is_loopback()),
            Some(Peer::Local) => (None, true),
            None => (None, false),
        };
        let told = || {
            parts
                .headers
                .get(X_REAL_IP)?
                .to_str()
                .ok()?
                .trim()
                .parse::<IpAddr>()
                .ok()
        };
        Self(
            trusted
                .then(told)
                .flatten()
                .or(address)
                .map(|address| network(address.to_canonical())),
        )
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

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: Peer, told: Option<&str>) -> String {
        let mut request = http::Request::builder();
        if let Some(told) = told {
            request = request.header(X_REAL_IP, told);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(peer);
        ClientAddr::of(&parts).to_string()
    }

    #[test]
    fn only_a_proxy_on_this_machine_is_believed() {
        let far = Peer::Ip("192.0.2.1".parse().unwrap());
        let near = Peer::Ip("127.0.0.1".parse().unwrap());
        assert_eq!(client(far, Some("198.51.100.7")), "192.0.2.1");
        assert_eq!(client(near, Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(client(Peer::Local, Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(client(near, Some("unknown")), "127.0.0.1");
        assert_eq!(client(Peer::Local, None), "local");
    }

    #[test]
    fn one_network_is_one_client() {
        let peer = |text: &str| Peer::Ip(text.parse().unwrap());
        assert_eq!(client(peer("2001:db8:1:2:3:4:5:6"), None), "2001:db8:1:2::");
        assert_eq!(client(peer("::ffff:192.0.2.1"), None), "192.0.2.1");
    }
}
