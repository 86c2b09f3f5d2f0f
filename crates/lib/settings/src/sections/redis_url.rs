//! `REDIS_URL`, taken apart. What is not understood is refused, never ignored.

use std::net::IpAddr;
use std::path::PathBuf;

use url::Url;

use super::redis::RedisServer;
use crate::kind::{Wrong, is_name};
use crate::percent;

const CURE: &str = "give redis://user:password@host:port/db or unix:///path?db=0, with special characters in the \
                    password percent-encoded (@ is %40, / is %2F)";

/// The parts of a Redis URL.
pub(crate) struct RedisUrl {
    pub(crate) server: RedisServer,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: u32,
}

impl RedisUrl {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let wrong = |problem: &str| Wrong::new(problem, CURE);
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if url.fragment().is_some() {
            return Err(wrong("contains an unencoded #"));
        }
        if url.path().contains('@') {
            return Err(wrong("contains an unencoded / or @"));
        }
        match url.scheme() {
            "redis" => tcp(&url, wrong),
            "unix" | "redis+unix" => unix(&url, wrong),
            "rediss" => Err(Wrong::new(
                "asks for TLS, which Slipway does not speak to Redis",
                "use a socket, a private network or a tunnel such as stunnel, with redis:// or unix://",
            )),
            _ => Err(wrong("begins neither with redis:// nor with unix://")),
        }
    }
}

fn tcp(url: &Url, wrong: impl Fn(&str) -> Wrong) -> Result<RedisUrl, Wrong> {
    let decode = |part: &str| percent::decode(part).ok_or_else(|| wrong("is badly percent-encoded"));
    if url.query().is_some() {
        return Err(wrong("has parameters after a question mark"));
    }
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| wrong("names no host"))?;
    if url.password().unwrap_or_default().is_empty() && !url.username().is_empty() {
        return Err(Wrong::new(
            "has a user and no password, which Redis does not know",
            "a password alone needs a colon before it: redis://:password@host",
        ));
    }
    let database = match url.path().trim_start_matches('/') {
        "" => 0,
        text => number(text, &wrong)?,
    };
    if url.port() == Some(0) {
        return Err(wrong("has port 0"));
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    if !is_name(&host) && host.parse::<IpAddr>().is_err() {
        return Err(wrong("names no host"));
    }
    Ok(RedisUrl {
        server: RedisServer::Tcp {
            host,
            port: url.port().unwrap_or(6379),
        },
        username: Some(decode(url.username())?).filter(|user| !user.is_empty()),
        password: url
            .password()
            .map(decode)
            .transpose()?
            .filter(|password| !password.is_empty()),
        database,
    })
}

fn unix(url: &Url, wrong: impl Fn(&str) -> Wrong) -> Result<RedisUrl, Wrong> {
    let path = percent::decode(url.path()).ok_or_else(|| wrong("is badly percent-encoded"))?;
    if url.host_str().is_some_and(|host| !host.is_empty()) || path.len() < 2 {
        return Err(wrong("needs an absolute path after unix://"));
    }
    let mut parts = RedisUrl {
        server: RedisServer::Unix(PathBuf::from(path)),
        username: None,
        password: None,
        database: 0,
    };
    for (key, value) in url.query_pairs() {
        match &*key {
            "db" => parts.database = number(&value, &wrong)?,
            "user" => parts.username = Some(value.into_owned()),
            "pass" => parts.password = Some(value.into_owned()),
            _ => {
                return Err(Wrong::new(
                    "has a parameter that Slipway does not know",
                    "keep only db, user and pass after the question mark",
                ));
            }
        }
    }
    Ok(parts)
}

fn number(text: &str, wrong: &impl Fn(&str) -> Wrong) -> Result<u32, Wrong> {
    text.parse()
        .map_err(|_| wrong("has a database that is no number"))
}
