//! Settings that are lists: networks of proxies, sentinels.

use std::net::IpAddr;

use ipnet::IpNet;

use super::is_name;
use crate::error::InvalidValue;

/// Networks of proxies whose `X-Real-IP` is believed. Unix sockets are no matter of theirs: only this machine's own
/// processes can connect to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether a proxy at this address is believed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl TrustedProxies {
    /// Networks separated by commas, or `none`.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.trim() == "none" {
            return Ok(Self(Vec::new()));
        }
        let networks = text.split(',').map(|word| {
            let word = word.trim();
            network(
                word,
                "which believes everybody: any client could choose its own address",
                "name only the networks that your proxies are in",
            )
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// Networks that are not public, to which messages may be sent all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Whether an address is in one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Networks separated by commas, or `none`.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        let networks = text.split(',').map(|word| {
            let word = word.trim();
            network(
                word,
                "which allows every address there is",
                "name only the networks that your receivers are in",
            )
        });
        networks.collect::<Result<_, _>>().map(Self)
    }
}

/// A network; `everything` says what is wrong with one that is all of them, and `cure` what to give.
fn network(word: &str, everything: &str, cure: &str) -> Result<IpNet, InvalidValue> {
    let parsed = word
        .parse()
        .or_else(|_| word.parse().map(|address: IpAddr| IpNet::from(address)));
    let network: IpNet = parsed.map_err(|_| {
        InvalidValue::new(
            format!("has `{word}`, which is no IP network"),
            "give networks such as 10.0.0.0/24, fd00:1::/64 or 10.0.0.7, separated by commas, or `none`",
        )
    })?;
    if network.prefix_len() == 0 {
        return Err(InvalidValue::new(format!("has `{word}`, {everything}"), cure));
    }
    if network.trunc() != network {
        return Err(InvalidValue::new(
            format!("has `{word}`, which is an address within a network"),
            format!(
                "give the network {}, or the address alone: {}",
                network.trunc(),
                network.addr()
            ),
        ));
    }
    Ok(network)
}

/// Name or address and port of each sentinel.
#[derive(Debug, Clone)]
pub(crate) struct Nodes(pub(crate) Vec<(String, u16)>);

impl Nodes {
    /// `host[:port]` separated by commas; the port defaults to 26379, a version 6 address with a port is in brackets.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.split(',')
            .map(|node| sentinel(node.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn sentinel(node: &str) -> Result<(String, u16), InvalidValue> {
    let wrong = |problem| {
        InvalidValue::new(
            problem,
            "give host:port, separated by commas; an IPv6 address in brackets",
        )
    };
    let (host, port) = match node.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port > 0);
            (
                host,
                port.ok_or_else(|| wrong("has a sentinel whose port is no number"))?,
            )
        }
        _ => (node, 26379),
    };
    match bare_host(host) {
        Some(host) => Ok((host.to_owned(), port)),
        None => Err(wrong("has a sentinel that is neither a name nor an address")),
    }
}

/// The name or the address, which may be in brackets; `None` when it is neither.
pub(super) fn bare_host(text: &str) -> Option<&str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    (is_name(bare) || bare.parse::<IpAddr>().is_ok()).then_some(bare)
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
        let none = TrustedProxies::parse("none").unwrap();
        assert!(!none.contains("127.0.0.1".parse().unwrap()));
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
