//! `REDIS_*`: the server for wake-ups; optional.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::value_kind::ValueKind;
use crate::values::{Nodes, RedisServer};
use crate::variable::{PLANE, section};

section! {
    /// The variables as they are given.
    pub(crate) struct RedisParts("Redis (optional)", Some("REDIS_"), PLANE)
    from {
        /// The whole connection in one: `redis://[user:password@]host[:port][/db]`, the same with `rediss://` for TLS,
        /// or `unix:///run/redis/redis.sock[?db=0]`. Without any of `REDIS_URL`, `REDIS_HOST` and `REDIS_SENTINELS`
        /// Slipway runs without Redis: nothing is lost, wake-ups take up to 2 s.
        REDIS_URL: ValueKind::RedisUrl, { secret: true, example: Some("redis://:slipway@127.0.0.1:6379") };
    }
    {
        /// The server's name or address, or the path of its socket.
        host: Option<String> = REDIS_HOST: ValueKind::HostOrFolder, {
            example: Some("127.0.0.1"),
            production: Some("/run/redis-slipway/redis.sock")
        };
        /// The server's port.
        port: u16 = REDIS_PORT: ValueKind::Port, { default: Some("6379") };
        /// The ACL user to log in as; the server's default user without it.
        username: Option<String> = REDIS_USER: ValueKind::Text, { example: Some("shop") };
        /// The server's password.
        password: Option<SecretString> = REDIS_PASSWORD: ValueKind::Text, { secret: true, example: Some("slipway") };
        /// Sentinels that know where the master is, instead of `REDIS_HOST`; the port defaults to 26379.
        sentinels: Option<Nodes> = REDIS_SENTINELS: ValueKind::Sentinels, {
            example: Some("10.0.0.1:26379,10.0.0.2:26379,10.0.0.3:26379")
        };
        /// The name that the sentinels know the master by.
        sentinel_master: String = REDIS_SENTINEL_MASTER: ValueKind::Text, { default: Some("mymaster") };
        /// The password of the sentinels themselves, which is not asked for unless they have one.
        sentinel_password: Option<SecretString> = REDIS_SENTINEL_PASSWORD: ValueKind::Text, {
            secret: true,
            example: Some("slipway")
        };
        /// Whether Redis and its sentinels are spoken to over TLS, as `rediss://` in `REDIS_URL` says as well. Their
        /// certificates are always checked, with their names.
        tls: String = REDIS_TLS: ValueKind::OneOf(&["off", "on"]), { default: Some("off"), example: Some("on") };
        /// A PEM file of authorities to trust instead of the system's. It is read when the process starts, as is
        /// `REDIS_TLS_CERTIFICATE`.
        tls_ca: Option<PathBuf> = REDIS_TLS_CA: ValueKind::Path, { example: Some("/etc/ssl/redis-ca.pem") };
        /// The name that the certificates of Redis and its sentinels must be for. Without it that is the name or address that
        /// each is reached by. Sentinels tell addresses, which a certificate seldom has.
        tls_name: Option<String> = REDIS_TLS_NAME: ValueKind::Name, { example: Some("redis.internal") };
        /// A PEM file with a certificate to show, for servers that ask for one.
        tls_certificate: Option<PathBuf> = REDIS_TLS_CERTIFICATE: ValueKind::Path, {
            example: Some("/etc/ssl/redis-client.pem")
        };
        /// The private key of that certificate, as PEM. It has several lines: give it as a file or a credential.
        tls_key: Option<SecretString> = REDIS_TLS_KEY: ValueKind::PrivateKey, {
            secret: true,
            example: Some("-----BEGIN PRIVATE KEY-----")
        };
        /// The most connections that a process of a stack opens. Slipway's own processes share one for commands
        /// and have one for each subscription, which is always within it.
        pool_size: u32 = REDIS_POOL_SIZE: ValueKind::Number(3, 1000, "connections"), { default: Some("10") };
    }
    and {
        #[serde(default)]
        database: u32;
    }
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
    /// The password of the sentinels.
    pub sentinel_password: Option<SecretString>,
    /// How TLS is spoken, to the sentinels as well; `None` means without.
    pub tls: Option<RedisTls>,
    /// The database number.
    pub database: u32,
    /// The most connections that this process opens.
    pub pool_size: u32,
}

/// What is believed and shown over TLS. The files have not been read yet.
#[derive(Debug, Clone, Default)]
pub struct RedisTls {
    /// A PEM file of authorities, in the place of the system's.
    pub ca: Option<PathBuf>,
    /// The name that certificates must be for, in the place of the one that was connected to.
    pub name: Option<String>,
    /// A PEM file with the own certificate, and its key as PEM.
    pub identity: Option<(PathBuf, SecretString)>,
}

impl From<RedisParts> for Option<RedisSettings> {
    fn from(parts: RedisParts) -> Self {
        let server = match (parts.sentinels, parts.host) {
            (Some(nodes), _) => RedisServer::Sentinels {
                master: parts.sentinel_master,
                nodes: nodes.0,
            },
            (None, Some(path)) if path.starts_with('/') => RedisServer::Unix(PathBuf::from(path)),
            (None, Some(host)) => RedisServer::Tcp {
                host,
                port: parts.port,
            },
            (None, None) => return None,
        };
        Some(RedisSettings {
            server,
            username: parts.username,
            password: parts.password,
            sentinel_password: parts.sentinel_password,
            tls: (parts.tls == "on").then_some(RedisTls {
                ca: parts.tls_ca,
                name: parts.tls_name,
                identity: parts.tls_certificate.zip(parts.tls_key),
            }),
            database: parts.database,
            pool_size: parts.pool_size,
        })
    }
}
