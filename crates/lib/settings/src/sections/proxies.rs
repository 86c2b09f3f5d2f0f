//! Which proxies are believed about the address of a client.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::kind::Wrong;

/// The word for no network at all.
const NONE: &str = "none";

/// Networks of proxies whose `X-Real-IP` is believed. Unix sockets are no matter of theirs: only this machine's own
/// processes can connect to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// An IP network: no bit is set beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u8,
}

impl TrustedProxies {
    /// Whether a proxy at this address is believed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Networks separated by commas, or `none`.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        if text.trim() == NONE {
            return Ok(Self(Vec::new()));
        }
        text.split(',')
            .map(|word| Network::parse(word.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Network {
    fn parse(word: &str) -> Result<Self, Wrong> {
        let (address, prefix) = match word.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (word, None),
        };
        let form = || {
            Wrong::new(
                format!("has `{word}`, which is no IP network"),
                "give networks such as 10.0.0.0/24, fd00:1::/64 or 10.0.0.7, separated by commas, or `none`",
            )
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => bits,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(form)?,
        };
        if prefix == 0 {
            return Err(Wrong::new(
                format!("has `{word}`, which believes everybody: any client could choose its own address"),
                "name only the networks that your proxies are in",
            ));
        }
        let network = Self {
            base: mask(address, prefix),
            prefix,
        };
        if network.base == address {
            Ok(network)
        } else {
            Err(Wrong::new(
                format!("has `{word}`, which is an address within a network"),
                format!("give the network {network}, or the address alone: {address}"),
            ))
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && mask(address, self.prefix) == self.base
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let bits = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & bits).into()
        }
        IpAddr::V6(v6) => {
            let bits = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & bits).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_is_within_it() {
        let proxies = TrustedProxies::parse("10.1.0.0/16, 192.0.2.7,fd00:1::/64").unwrap();
        for (address, held) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("fd00:1::ffff", true),
            ("fd00:1:0:1::", false),
            ("::1", false),
        ] {
            assert_eq!(proxies.contains(address.parse().unwrap()), held, "{address}");
        }
        assert!(
            !TrustedProxies::parse("none")
                .unwrap()
                .contains("127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_network_is_told_with_its_cure() {
        for (text, problem, cure) in [
            (
                "10.0.0.0/33",
                "has `10.0.0.0/33`, which is no IP network",
                "10.0.0.0/24",
            ),
            ("10.0.0.0/", "is no IP network", "such as"),
            ("proxy.internal", "has `proxy.internal`", "such as"),
            ("10.0.0.1,", "has ``", "separated by commas"),
            (
                "10.0.0.1/8",
                "an address within a network",
                "give the network 10.0.0.0/8, or the address alone: 10.0.0.1",
            ),
            ("0.0.0.0/0", "believes everybody", "only the networks"),
            (
                "127.0.0.1,::/0",
                "has `::/0`, which believes everybody",
                "only the networks",
            ),
        ] {
            let wrong = TrustedProxies::parse(text).unwrap_err();
            assert!(
                wrong.problem.contains(problem) && wrong.cure.contains(cure),
                "{text}: {wrong:?}"
            );
        }
    }
}
