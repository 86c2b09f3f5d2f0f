//! `REDIS_*`: the server for wake-ups; optional.

use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::redis_url::RedisUrl;
use crate::kind::{Wrong, is_name};
use crate::reader::{Check, Section};
use crate::registry;

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

/// How to reach Redis. Its absence is no error: everything goes on without it, only slower.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it listens.
    pub server: RedisServer,
    /// The ACL user; `None` means the default user.
    pub username: Option<String>,
    /// The password of the server (not of the sentinels).
    pub password: Option<SecretString>,
    /// The database number.
    pub database: u32,
    /// The most connections that this process opens.
    pub pool_size: u32,
}

#[derive(Deserialize)]
pub(crate) struct Raw {
    url: Option<SecretString>,
    host: Option<String>,
    port: u16,
    password: Option<SecretString>,
    sentinels: Option<String>,
    sentinel_master: String,
    pool_size: u32,
}

const PARTS: [&str; 5] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_PASSWORD",
    "REDIS_SENTINELS",
    "REDIS_SENTINEL_MASTER",
];

impl Section for Option<RedisSettings> {
    const SECTION: registry::Section = registry::Section::Redis;
    type Raw = Raw;

    fn check(check: &mut Check<'_>) {
        check.one_form("REDIS_URL", &PARTS);
        check.one_form("REDIS_SENTINELS", &["REDIS_HOST", "REDIS_PORT"]);
        if check.is_set("REDIS_URL") || check.is_set("REDIS_SENTINELS") {
            return;
        }
        if check.is_set("REDIS_HOST") {
            if check.is_set("REDIS_SENTINEL_MASTER") {
                check.fail(
                    "REDIS_SENTINEL_MASTER",
                    "has no effect without REDIS_SENTINELS",
                    "remove it",
                );
            }
        } else {
            // Somebody who sets a password means to use Redis; running without it would hide the mistake.
            for name in PARTS.into_iter().chain(["REDIS_POOL_SIZE"]) {
                if check.is_set(name) {
                    let cure = "set one of them, or remove it to run without Redis";
                    check.fail(
                        name,
                        "has no effect without REDIS_URL, REDIS_HOST or REDIS_SENTINELS",
                        cure,
                    );
                }
            }
        }
    }

    fn build(raw: Raw, _: &mut Check<'_>) -> Option<Self> {
        let parts = |server| RedisSettings {
            server,
            username: None,
            password: raw.password.clone(),
            database: 0,
            pool_size: raw.pool_size,
        };
        if let Some(url) = &raw.url {
            let url = RedisUrl::parse(url.expose_secret()).ok()?;
            return Some(Some(RedisSettings {
                username: url.username,
                password: url.password.map(SecretString::from),
                database: url.database,
                ..parts(url.server)
            }));
        }
        if let Some(nodes) = &raw.sentinels {
            let nodes = parse_nodes(nodes).ok()?;
            return Some(Some(parts(RedisServer::Sentinels {
                master: raw.sentinel_master.clone(),
                nodes,
            })));
        }
        Some(raw.host.as_ref().map(|host| {
            parts(if host.starts_with('/') {
                RedisServer::Unix(PathBuf::from(host))
            } else {
                RedisServer::Tcp {
                    host: host.clone(),
                    port: raw.port,
                }
            })
        }))
    }
}

/// `host[:port]` separated by commas; the port defaults to 26379, a version 6 address with a port is in brackets.
pub(crate) fn parse_nodes(text: &str) -> Result<Vec<(String, u16)>, Wrong> {
    let cure = "give host:port, separated by commas; an IPv6 address in brackets";
    text.split(',')
        .map(|node| {
            let node = node.trim();
            let (host, port) = match node.rsplit_once(':') {
                Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                    let port = port.parse().ok().filter(|port| *port > 0);
                    (
                        host,
                        port.ok_or_else(|| Wrong::new("has a sentinel whose port is no number", cure))?,
                    )
                }
                _ => (node, 26379),
            };
            let host = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'))
                .unwrap_or(host);
            if is_name(host) || host.parse::<IpAddr>().is_ok() {
                Ok((host.to_owned(), port))
            } else {
                Err(Wrong::new(
                    "has a sentinel that is neither a name nor an address",
                    cure,
                ))
            }
        })
        .collect()
}
