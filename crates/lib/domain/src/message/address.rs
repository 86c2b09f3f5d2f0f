//! Which addresses a message may be sent to.
//!
//! Whoever makes a destination chooses where the control plane connects to. Without this rule they could reach what only
//! the control plane can: its own ports, its network, a cloud's metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// The longest address.
pub const MAX_URL_CHARS: usize = 2_000;

/// Why an address is not one for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// No URL.
    #[error("is no URL; give one such as https://hooks.example.org/slipway")]
    NoUrl,
    /// Too long.
    #[error("is longer than {MAX_URL_CHARS} characters")]
    TooLong,
    /// Another scheme.
    #[error("begins with neither https:// nor http://")]
    Scheme,
    /// A name or a password in it.
    #[error("has a user name or a password, which other programs log; use an address without them")]
    Credentials,
    /// Something after `#`.
    #[error("has a part after #, which is never sent; leave it out")]
    Fragment,
    /// Plain HTTP, where nothing private is allowed.
    #[error(
        "would be sent unencrypted; give an https:// address, or allow a private network in MESSAGES_NETWORKS of api and worker"
    )]
    Unencrypted,
    /// A private address.
    #[error(
        "is an address that is not public; allow its network in MESSAGES_NETWORKS of api and worker, or give another"
    )]
    Private,
}

/// Reads the address of a destination. `allowed` says of an address that is not public whether messages may go there;
/// `any_allowed`, whether there is one.
pub fn parse(text: &str, any_allowed: bool, allowed: impl Fn(IpAddr) -> bool) -> Result<Url, BadAddress> {
    if text.chars().count() > MAX_URL_CHARS {
        return Err(BadAddress::TooLong);
    }
    let url = Url::parse(text).map_err(|_| BadAddress::NoUrl)?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(BadAddress::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(BadAddress::Credentials);
    }
    if url.fragment().is_some() {
        return Err(BadAddress::Fragment);
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(name)) => {
            let own = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            // Whatever a resolver says, it is this machine.
            if is_localhost(name) && !own.into_iter().any(&allowed) {
                return Err(BadAddress::Private);
            }
            None
        }
        None => return Err(BadAddress::NoUrl),
    };
    if url.scheme() == "http" && !any_allowed {
        return Err(BadAddress::Unencrypted);
    }
    match address {
        Some(address) => check(&url, address, allowed).map(|()| url),
        None => Ok(url),
    }
}

/// Why an address is refused, with the host where that alone is the reason. The rest of an address may be a password.
#[must_use]
pub fn explain(text: &str, error: BadAddress) -> String {
    match (error, Url::parse(text).ok().as_ref().and_then(Url::host_str)) {
        (BadAddress::Private, Some(host)) => format!("`{host}` {error}"),
        _ => error.to_string(),
    }
}

/// The name of the machine itself, of RFC 6761.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// Checks the address that a URL leads to, before anything is sent there.
pub fn check(url: &Url, address: IpAddr, allowed: impl Fn(IpAddr) -> bool) -> Result<(), BadAddress> {
    if allowed(address.to_canonical()) {
        return Ok(());
    }
    if !is_public(address) {
        return Err(BadAddress::Private);
    }
    if url.scheme() == "http" {
        return Err(BadAddress::Unencrypted);
    }
    Ok(())
}

/// What of an address may be shown: its path may be a password, as Slack's is.
#[must_use]
pub fn shown(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    if url.path() == "/" && url.query().is_none() {
        origin
    } else {
        format!("{origin}/…")
    }
}

/// Whether an address belongs to the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && b & 0xc0 == 64;
    let is_special = a == 192 && b == 0 && c == 0 || a == 192 && b == 88 && c == 99;
    let is_benchmark = a == 198 && b & 0xfe == 18;
    !(a == 0
        || a >= 224
        || is_shared
        || is_special
        || is_benchmark
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

/// Only `2000::/3` is assigned to the internet. Within it, some prefixes lead to an address of version 4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, ..] = address.segments();
    let of_v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match (first, second) {
        // Teredo, benchmarks, ORCHID and the other special ones; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // 6to4.
        (0x2002, _) => is_public_v4(of_v4(second, third)),
        _ => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_public_internet_is_told() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.9.9",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "::ffff:1.1.1.1",
            "2600::1",
            "2001:4860:4860::8888",
            "2002:101:101::1",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn an_address_that_is_no_good_says_why() {
        let none = |_: IpAddr| false;
        for (text, why) in [
            ("hooks.example.org", BadAddress::NoUrl),
            ("https://", BadAddress::NoUrl),
            ("ftp://example.org/x", BadAddress::Scheme),
            ("https://me:secret@example.org/", BadAddress::Credentials),
            ("https://me@example.org/", BadAddress::Credentials),
            ("https://example.org/#x", BadAddress::Fragment),
            ("http://example.org/", BadAddress::Unencrypted),
            ("https://127.0.0.1/", BadAddress::Private),
            ("https://2130706433/", BadAddress::Private),
            ("https://0x7f.1/", BadAddress::Private),
            ("https://[::1]:8000/", BadAddress::Private),
            ("https://169.254.169.254/latest", BadAddress::Private),
            ("https://localhost/x", BadAddress::Private),
            ("https://hooks.LocalHost.:8000/x", BadAddress::Private),
        ] {
            assert_eq!(parse(text, false, none), Err(why), "{text}");
        }
        let long = format!("https://example.org/{}", "x".repeat(MAX_URL_CHARS));
        assert_eq!(parse(&long, false, none), Err(BadAddress::TooLong));
        assert!(parse("https://hooks.example.org/T1/x?y=1", false, none).is_ok());
    }

    #[test]
    fn plain_http_is_for_allowed_networks_only() {
        let ours = |address: IpAddr| address.is_loopback();
        assert!(parse("http://127.0.0.1:9/", true, ours).is_ok());
        assert!(parse("http://localhost:9/", true, ours).is_ok());
        assert_eq!(parse("http://10.0.0.1/", true, ours), Err(BadAddress::Private));
        assert_eq!(parse("http://1.1.1.1/", true, ours), Err(BadAddress::Unencrypted));
        let url = parse("http://hooks.example.org/", true, ours).unwrap();
        assert_eq!(
            check(&url, "1.1.1.1".parse().unwrap(), ours),
            Err(BadAddress::Unencrypted)
        );
    }

    #[test]
    fn the_secret_part_of_an_address_is_not_shown() {
        let shown = |text: &str| shown(&Url::parse(text).unwrap());
        assert_eq!(
            shown("https://hooks.slack.com/services/T0/B0/secret"),
            "https://hooks.slack.com/…"
        );
        assert_eq!(shown("https://example.org/?key=secret"), "https://example.org/…");
        assert_eq!(
            shown("https://matrix.example.org:8448"),
            "https://matrix.example.org:8448"
        );
    }
}
