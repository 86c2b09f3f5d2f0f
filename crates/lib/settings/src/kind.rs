//! What values a variable takes: checked here, described here, so that the reference page cannot drift.

use std::net::IpAddr;

use url::Url;

use crate::sections::{DatabaseUrl, RedisUrl, SecretKey, TrustedProxies, parse_sentinels};

/// What is wrong with a value, and what to do. Never repeats the value, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) problem: String,
    pub(crate) cure: String,
}

impl Wrong {
    pub(crate) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            cure: cure.into(),
        }
    }
}

/// What values a variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text without control characters.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number within bounds.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// A TCP port.
    Port,
    /// An IP address to bind.
    Address,
    /// A host's name.
    Host,
    /// A name, an IP address, or an absolute path to a socket or its folder.
    HostOrFolder,
    /// An absolute path.
    Path,
    /// An `http` or `https` address without credentials.
    Url,
    /// A Postgres connection.
    DatabaseUrl,
    /// A Redis connection.
    RedisUrl,
    /// A list of `host[:port]`.
    Sentinels,
    /// A list of IP networks.
    Networks,
    /// Log levels by target.
    LogLevels,
    /// A Sentry DSN.
    SentryDsn,
    /// At least so many hex digits, an even number of them.
    HexKey {
        /// The least number of digits.
        digits: usize,
    },
    /// Hex keys of at least so many digits each, separated by commas.
    HexKeys {
        /// The least number of digits of each.
        digits: usize,
    },
    /// A Slipway token.
    Token,
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Kind {
    pub(crate) const fn number(min: u64, max: u64, unit: &'static str) -> Self {
        Self::Number { min, max, unit }
    }

    /// What values it takes, as words for the reference page and for cures.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::Number { min, max, unit } => format!("{min} to {max} {unit}"),
            Self::Port => "1 to 65535".to_owned(),
            Self::Address => "an IP address".to_owned(),
            Self::Host => "1 to 63 lower-case letters, digits and `-`".to_owned(),
            Self::HostOrFolder => "a name, an IP address or an absolute path".to_owned(),
            Self::Path => "an absolute path without `..`".to_owned(),
            Self::Url => "an http:// or https:// address without credentials".to_owned(),
            Self::DatabaseUrl => "postgres://user:password@host:port/name".to_owned(),
            Self::RedisUrl => "redis://user:password@host:port/db or unix:///path?db=0".to_owned(),
            Self::Sentinels => "host:port, separated by commas".to_owned(),
            Self::Networks => "IP networks, separated by commas, or `none`".to_owned(),
            Self::LogLevels => "info, or info,target=level".to_owned(),
            Self::SentryDsn => "https://key@host/project".to_owned(),
            Self::HexKey { digits } => format!("{digits} hex digits or more, an even number"),
            Self::HexKeys { digits } => format!("keys of {digits} hex digits or more, separated by commas"),
            Self::Token => "slw_ and 64 hex digits".to_owned(),
        }
    }

    /// Checks a value that is not empty.
    pub(crate) fn check(&self, value: &str) -> Result<(), Wrong> {
        if value.chars().any(char::is_control) {
            return Err(Wrong::new(
                "contains a control character",
                "remove line breaks, tabs and the like",
            ));
        }
        match self {
            Self::Text => Ok(()),
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(_) => Err(self.wrong("is not one of the words that it takes", "set it to one of")),
            Self::Number { min, max, .. } => match value.parse::<u64>() {
                Ok(number) if (*min..=*max).contains(&number) => Ok(()),
                Ok(_) => Err(self.wrong("is out of range", "give")),
                Err(_) => Err(self.wrong("is not a whole number", "give")),
            },
            Self::Port => check_port(value),
            Self::Address => match value.parse::<IpAddr>() {
                Ok(_) => Ok(()),
                Err(_) => Err(Wrong::new(
                    "is not an IP address",
                    "give 127.0.0.1 for this machine only, 0.0.0.0 or :: for every interface",
                )),
            },
            Self::Host if is_label(value) => Ok(()),
            Self::HostOrFolder if is_name(value) || value.parse::<IpAddr>().is_ok() => Ok(()),
            Self::HostOrFolder | Self::Path if is_plain_path(value) => Ok(()),
            Self::Host | Self::HostOrFolder | Self::Path => Err(self.wrong("has the wrong form", "give")),
            Self::Url => check_url(value),
            Self::DatabaseUrl => DatabaseUrl::parse(value).map(drop),
            Self::RedisUrl => RedisUrl::parse(value).map(drop),
            Self::Sentinels => parse_sentinels(value).map(drop),
            Self::Networks => TrustedProxies::parse(value).map(drop),
            Self::LogLevels => check_levels(value),
            Self::SentryDsn => check_dsn(value),
            Self::HexKey { digits } => check_hex(value, *digits),
            Self::HexKeys { digits } => value
                .split(',')
                .try_for_each(|key| check_hex(key.trim(), *digits)),
            Self::Token => match value.strip_prefix("slw_") {
                Some(rest) if rest.len() == 64 && is_hex(rest) => Ok(()),
                _ => Err(Wrong::new(
                    "is not a Slipway token",
                    "a token is slw_ and 64 hex digits, as printed once by `slipway host create`",
                )),
            },
        }
    }

    fn wrong(&self, problem: &str, verb: &str) -> Wrong {
        Wrong::new(problem, format!("{verb} {}", self.describe()))
    }
}

fn check_port(value: &str) -> Result<(), Wrong> {
    // Kubernetes sets <SERVICE>_PORT=tcp://10.0.0.1:8000 for a service named api, redis or database.
    if value.starts_with("tcp://") || value.starts_with("udp://") {
        return Err(Wrong::new(
            "is a Kubernetes service link, not a port",
            "set `enableServiceLinks: false` in the pod, or set the variable yourself",
        ));
    }
    match value.parse::<u16>() {
        Ok(port) if port > 0 => Ok(()),
        _ => Err(Kind::Port.wrong("is not a port", "give a number from")),
    }
}

/// A host's name in Slipway: a lower-case DNS label.
fn is_label(value: &str) -> bool {
    is_name(value)
        && !value
            .bytes()
            .any(|b| b.is_ascii_uppercase() || b == b'.' || b == b'_')
}

fn is_plain_path(value: &str) -> bool {
    value.starts_with('/') && !value.split('/').any(|part| part == "..")
}

/// A DNS name, loosely: what the resolver might know.
pub(crate) fn is_name(value: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    value.len() <= 253 && value.split('.').all(label)
}

fn check_url(value: &str) -> Result<(), Wrong> {
    let url = Url::parse(value).map_err(|error| Wrong::new(format!("is not a URL ({error})"), URL_CURE))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Wrong::new("is neither http nor https", URL_CURE));
    }
    if value.contains('@') {
        return Err(Wrong::new(
            "carries credentials, which would be shown and logged",
            URL_CURE,
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Wrong::new("has a query or a fragment", URL_CURE));
    }
    Ok(())
}

const URL_CURE: &str = "give an address such as https://slipway.example.org";

fn check_levels(value: &str) -> Result<(), Wrong> {
    let level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    let target = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'))
    };
    let fine = value
        .split(',')
        .map(str::trim)
        .all(|part| match part.split_once('=') {
            Some((name, word)) => target(name) && level(word),
            None => level(part),
        });
    if fine {
        return Ok(());
    }
    Err(Wrong::new(
        "is not a list of levels",
        format!("give one of {}, or `info,target=debug`", LEVELS.join(", ")),
    ))
}

fn check_dsn(value: &str) -> Result<(), Wrong> {
    let cure = "copy it from the project's settings: https://key@host/project";
    let url = Url::parse(value).map_err(|_| Wrong::new("is not a URL", cure))?;
    let project = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || url.username().is_empty() || project.is_empty() {
        return Err(Wrong::new("is not a Sentry DSN", cure));
    }
    Ok(())
}

fn is_hex(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_hexdigit())
}

fn check_hex(value: &str, digits: usize) -> Result<(), Wrong> {
    let cure = format!("make one with: openssl rand -hex {}", digits / 2);
    if !is_hex(value) {
        return Err(Wrong::new("is not made of hex digits", cure));
    }
    if value.len() < digits {
        return Err(Wrong::new(format!("is shorter than {digits} hex digits"), cure));
    }
    if SecretKey::from_hex(value).is_none() {
        return Err(Wrong::new("has an odd number of hex digits", cure));
    }
    Ok(())
}
