//! `REDIS_URL`, taken apart. What is not understood is refused, never ignored.

use std::path::PathBuf;

use url::Url;

use super::lists::bare_host;
use super::{Fields, percent_decode};
use crate::error::InvalidValue;

const CURE: &str = "give redis://user:password@host:port/db, rediss:// for TLS or unix:///path?db=0, with special \
                    characters in the password percent-encoded (@ is %40, / is %2F)";

/// Where Redis listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisServer {
    /// A name or an address, and a port.
    Tcp {
        /// The name or address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket's path.
    Unix(PathBuf),
    /// Sentinels that know where the master is.
    Sentinels {
        /// The name that the sentinels know the master by.
        master: String,
        /// Name or address and port of each sentinel; at least one.
        nodes: Vec<(String, u16)>,
    },
}

/// What the URL says, by the names of the section's fields.
pub(crate) fn parse(text: &str) -> Result<Fields, InvalidValue> {
    let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
    if url.fragment().is_some() {
        return Err(wrong("contains an unencoded #"));
    }
    if url.path().contains('@') {
        return Err(wrong("contains an unencoded / or @"));
    }
    match url.scheme() {
        "redis" => tcp(&url, "off"),
        "rediss" => tcp(&url, "on"),
        "unix" | "redis+unix" => unix(&url),
        _ => Err(wrong(
            "begins neither with redis:// or rediss:// nor with unix://",
        )),
    }
}

fn wrong(problem: &str) -> InvalidValue {
    InvalidValue::new(problem, CURE)
}

fn tcp(url: &Url, tls: &str) -> Result<Fields, InvalidValue> {
    if url.query().is_some() {
        return Err(wrong("has parameters after a question mark"));
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| wrong("names no host"))?;
    let password = url.password().unwrap_or_default();
    if password.is_empty() && !url.username().is_empty() {
        return Err(InvalidValue::new(
            "has a user and no password, which Redis does not know",
            "a password alone needs a colon before it: redis://:password@host",
        ));
    }
    let database = url.path().trim_start_matches('/');
    let database = if database.is_empty() {
        "0".to_owned()
    } else {
        number(database)?
    };
    if url.port() == Some(0) {
        return Err(wrong("has port 0"));
    }
    let host = bare_host(host).ok_or_else(|| wrong("names no host"))?.to_owned();
    let port = url.port().unwrap_or(6379).to_string();
    let mut fields = Fields::from([
        ("host", host),
        ("port", port),
        ("database", database),
        ("tls", tls.to_owned()),
    ]);
    for (field, part) in [("username", url.username()), ("password", password)] {
        let decoded = percent_decode(part).ok_or_else(|| wrong("is badly percent-encoded"))?;
        if !decoded.is_empty() {
            fields.insert(field, decoded);
        }
    }
    Ok(fields)
}

fn unix(url: &Url) -> Result<Fields, InvalidValue> {
    let path = percent_decode(url.path()).ok_or_else(|| wrong("is badly percent-encoded"))?;
    if url.host_str().is_some_and(|host| !host.is_empty()) || path.len() < 2 {
        return Err(wrong("needs an absolute path after unix://"));
    }
    let mut fields = Fields::from([("host", path), ("tls", "off".to_owned())]);
    for (key, value) in url.query_pairs() {
        match &*key {
            "db" => fields.insert("database", number(&value)?),
            "user" => fields.insert("username", value.into_owned()),
            "pass" => fields.insert("password", value.into_owned()),
            _ => {
                return Err(InvalidValue::new(
                    "has a parameter that Slipway does not know",
                    "keep only db, user and pass after the question mark",
                ));
            }
        };
    }
    Ok(fields)
}

/// The number as envy reads it.
fn number(text: &str) -> Result<String, InvalidValue> {
    let number: Result<u32, _> = text.parse();
    number
        .map(|number| number.to_string())
        .map_err(|_| wrong("has a database that is no number"))
}
