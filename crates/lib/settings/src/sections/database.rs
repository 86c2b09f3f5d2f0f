//! `DATABASE_*`: the Postgres server and the pool.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::seconds;
use crate::value_kind::ValueKind;
use crate::values::{DatabaseHost, SslMode};
use crate::variable::{API, PLANE, section};

section! {
    /// The Postgres server and the pool.
    pub struct DatabaseSettings("Postgres", Some("DATABASE_"), PLANE)
    from {
        /// The whole connection in one. Give either this or the variables below, not both.
        /// A socket: `postgres:///slipway?host=/run/postgresql&user=slipway`.
        DATABASE_URL: ValueKind::DatabaseUrl, {
            secret: true,
            example: Some("postgres://slipway:slipway@127.0.0.1:5432/slipway"),
            in_example: true
        };
    }
    {
        /// The server's name or address, or the folder of its socket.
        host: DatabaseHost = DATABASE_HOST: ValueKind::HostOrFolder, {
            example: Some("/run/postgresql"),
            production: Some("/run/postgresql")
        };
        /// The server's port; also part of a socket's name.
        port: u16 = DATABASE_PORT: ValueKind::Port, { default: Some("5432") };
        /// The database.
        name: String = DATABASE_NAME: ValueKind::Text, { default: Some("slipway") };
        /// The role to log in as.
        user: String = DATABASE_USER: ValueKind::Text, { default: Some("slipway") };
        /// The role's password. Not needed with peer authentication over the socket; required in production
        /// over TCP.
        password: Option<SecretString> = DATABASE_PASSWORD: ValueKind::Text, { secret: true, example: Some("slipway") };
        /// For `slipway-api migrate` alone: the role that api and worker log in as, when migrations come as another one,
        /// which owns the tables. It may then add events and read them, and cannot change or remove one.
        /// docs/database.md has more.
        process_role: Option<String> = DATABASE_PROCESS_ROLE: ValueKind::Text, { example: Some("slipway"), readers: API };
        /// How the connection is protected, with libpq's names. `prefer` protects from nobody who can interfere;
        /// over a network use `verify-full`. `verify-ca` checks the server's name as well, unlike libpq's.
        ssl_mode: SslMode = DATABASE_SSL_MODE: ValueKind::OneOf(SslMode::WORDS), {
            default: Some("prefer"),
            example: Some("verify-full")
        };
        /// A PEM file of authorities to trust instead of the system's. Only with `verify-ca` or `verify-full`.
        ssl_root_cert: Option<PathBuf> = DATABASE_SSL_ROOT_CERT: ValueKind::Path, {
            example: Some("/etc/ssl/postgres-ca.pem")
        };
        /// Connections that a process keeps. Every replica has a pool of its own: keep the sum below the
        /// server's `max_connections`.
        pool_size: u32 = DATABASE_POOL_SIZE: ValueKind::Number(3, 1000, "connections"), { default: Some("20") };
        /// Connections beyond the pool size under load.
        max_overflow: u32 = DATABASE_MAX_OVERFLOW: ValueKind::Number(0, 1000, "connections"), { default: Some("10") };
        /// How long a caller waits for a connection before it fails.
        #[serde(deserialize_with = "seconds")]
        acquire_timeout: Duration = DATABASE_ACQUIRE_TIMEOUT_SECONDS: ValueKind::Number(1, 300, "seconds"), {
            default: Some("5")
        };
    }
}

impl DatabaseSettings {
    /// The most connections that this process ever opens: pool and overflow.
    #[must_use]
    pub fn max_connections(&self) -> u32 {
        self.pool_size.saturating_add(self.max_overflow)
    }

    /// Where the server is looked for, for people: `db.internal:5432`, or a socket's path.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.host {
            DatabaseHost::Tcp(host) if host.contains(':') => format!("[{host}]:{}", self.port),
            DatabaseHost::Tcp(host) => format!("{host}:{}", self.port),
            DatabaseHost::Socket(folder) => format!("{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}
