//! `DATABASE_*`: the Postgres server and the pool.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::database_url::DatabaseUrl;
use super::seconds;
use crate::reader::{Check, Section};
use crate::registry;

/// Where Postgres listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseHost {
    /// A name or an address.
    Tcp(String),
    /// The folder of the server's socket, such as `/run/postgresql`.
    Socket(PathBuf),
}

impl DatabaseHost {
    /// An absolute path is a socket folder, anything else a name or an address.
    pub(crate) fn parse(text: &str) -> Self {
        if text.starts_with('/') {
            Self::Socket(PathBuf::from(text))
        } else {
            Self::Tcp(text.to_owned())
        }
    }
}

/// How the connection to Postgres is protected, with libpq's names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only if the server insists.
    Allow,
    /// TLS if the server offers it; protects from nobody who can interfere.
    #[default]
    Prefer,
    /// TLS always, with any certificate.
    Require,
    /// TLS, and the certificate must come from a trusted authority.
    VerifyCa,
    /// TLS, and the certificate must come from a trusted authority and carry the host's name.
    VerifyFull,
}

impl SslMode {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let modes = [
            ("disable", Self::Disable),
            ("allow", Self::Allow),
            ("prefer", Self::Prefer),
            ("require", Self::Require),
            ("verify-ca", Self::VerifyCa),
            ("verify-full", Self::VerifyFull),
        ];
        modes
            .into_iter()
            .find(|(name, _)| *name == text)
            .map(|(_, mode)| mode)
    }

    /// True when the server's certificate is checked.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

/// The Postgres server and the pool.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// Where the server listens.
    pub host: DatabaseHost,
    /// Its port; also part of a socket's name.
    pub port: u16,
    /// The database.
    pub name: String,
    /// The role to log in as.
    pub user: String,
    /// The role's password; `None` with peer or trust authentication.
    pub password: Option<SecretString>,
    /// The role of api and worker, when it is another: `slipway-api migrate` gives it what they need and no more.
    pub process_role: Option<String>,
    /// How the connection is protected.
    pub ssl_mode: SslMode,
    /// A PEM file of authorities to trust instead of the system's; only with a verifying mode.
    pub ssl_root_cert: Option<PathBuf>,
    /// Connections kept open when idle.
    pub pool_size: u32,
    /// Connections beyond `pool_size` under load.
    pub max_overflow: u32,
    /// How long a caller waits for a connection.
    pub acquire_timeout: Duration,
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

#[derive(Deserialize)]
pub(crate) struct Raw {
    url: Option<SecretString>,
    host: Option<String>,
    port: u16,
    name: String,
    user: String,
    password: Option<SecretString>,
    process_role: Option<String>,
    ssl_mode: SslMode,
    ssl_root_cert: Option<PathBuf>,
    pool_size: u32,
    max_overflow: u32,
    #[serde(rename = "acquire_timeout_seconds", deserialize_with = "seconds")]
    acquire_timeout: Duration,
}

const PARTS: [&str; 5] = [
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_USER",
    "DATABASE_PASSWORD",
];

impl Section for DatabaseSettings {
    const SECTION: registry::Section = registry::Section::Database;
    type Raw = Raw;

    fn check(check: &mut Check<'_>) {
        check.one_form("DATABASE_URL", &PARTS);
        if check.is_set("DATABASE_URL") {
            check_url(check);
        } else if !check.is_set("DATABASE_HOST") {
            check.fail(
                "DATABASE_HOST",
                "is not set, and neither is DATABASE_URL",
                "set one of them; a socket folder such as /run/postgresql will do",
            );
        } else if check.env().is_production()
            && !check.is_set("DATABASE_PASSWORD")
            && check
                .value("DATABASE_HOST")
                .is_some_and(|host| !host.starts_with('/'))
        {
            check.fail(
                "DATABASE_PASSWORD",
                "is not set, and the database is reached over the network",
                "set DATABASE_PASSWORD_FILE, or DATABASE_HOST to the socket's folder",
            );
        }
        if check.is_set("DATABASE_SSL_ROOT_CERT") && !mode(check).is_some_and(SslMode::verifies) {
            check.fail(
                "DATABASE_SSL_ROOT_CERT",
                "has no effect, because certificates are not verified",
                "set DATABASE_SSL_MODE=verify-full, or remove it",
            );
        }
    }

    fn build(raw: Raw, _: &mut Check<'_>) -> Option<Self> {
        let mut settings = Self {
            host: DatabaseHost::parse(raw.host.as_deref().unwrap_or_default()),
            port: raw.port,
            name: raw.name,
            user: raw.user,
            password: raw.password,
            process_role: raw.process_role,
            ssl_mode: raw.ssl_mode,
            ssl_root_cert: raw.ssl_root_cert,
            pool_size: raw.pool_size,
            max_overflow: raw.max_overflow,
            acquire_timeout: raw.acquire_timeout,
        };
        if let Some(url) = raw.url {
            let url = DatabaseUrl::parse(url.expose_secret()).ok()?;
            settings.host = url.host;
            settings.port = url.port;
            settings.name = url.name;
            settings.user = url.user;
            settings.password = url.password.map(SecretString::from);
            if let Some(mode) = url.ssl_mode {
                settings.ssl_mode = mode;
            }
            settings.ssl_root_cert = settings.ssl_root_cert.or(url.ssl_root_cert.map(PathBuf::from));
        }
        Some(settings)
    }
}

/// What can only be said of the URL together with other variables.
fn check_url(check: &mut Check<'_>) {
    let Some(Ok(url)) = check.value("DATABASE_URL").map(|text| DatabaseUrl::parse(&text)) else {
        return;
    };
    if url.ssl_mode.is_some() {
        check.one_form("DATABASE_URL", &["DATABASE_SSL_MODE"]);
    }
    if url.ssl_root_cert.is_some() {
        check.one_form("DATABASE_URL", &["DATABASE_SSL_ROOT_CERT"]);
        if !url
            .ssl_mode
            .or_else(|| variable_mode(check))
            .is_some_and(SslMode::verifies)
        {
            check.fail(
                "DATABASE_URL",
                "has an sslrootcert without effect, because certificates are not verified",
                "add sslmode=verify-full, or remove it",
            );
        }
    }
}

fn variable_mode(check: &Check<'_>) -> Option<SslMode> {
    check
        .value("DATABASE_SSL_MODE")
        .and_then(|text| SslMode::parse(&text))
}

/// The mode in force: the URL's, or else the variable's.
fn mode(check: &Check<'_>) -> Option<SslMode> {
    let url = check
        .value("DATABASE_URL")
        .and_then(|text| DatabaseUrl::parse(&text).ok());
    url.and_then(|url| url.ssl_mode).or_else(|| variable_mode(check))
}
