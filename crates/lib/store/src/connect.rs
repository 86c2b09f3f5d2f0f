//! From settings to a pool.

use std::time::Duration;

use secrecy::ExposeSecret;
use slipway_settings::{DatabaseHost, DatabaseSettings, SslMode};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};

/// An idle connection is closed after this long, so that load peaks do not hold connections for ever.
const IDLE: Duration = Duration::from_mins(5);
/// A connection is closed after this long, so that a restarted or moved server is found again.
const LIFETIME: Duration = Duration::from_mins(30);

/// Limits that the server itself keeps, so that they hold even when the client is gone.
///
/// The keep-alives find a client whose machine died within a minute and release its locks.
const SESSION: [(&str, &str); 6] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "60s"),
    ("tcp_keepalives_idle", "20"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

/// How to connect, without limits.
pub(crate) fn options(settings: &DatabaseSettings, application: &str) -> PgConnectOptions {
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(settings.port)
        .database(&settings.name)
        .username(&settings.user)
        .application_name(application)
        .ssl_mode(match settings.ssl_mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        });
    options = match &settings.host {
        DatabaseHost::Tcp(host) => options.host(host),
        DatabaseHost::Socket(folder) => options.socket(folder),
    };
    if let Some(password) = &settings.password {
        options = options.password(password.expose_secret());
    }
    if let Some(file) = &settings.ssl_root_cert {
        options = options.ssl_root_cert(file);
    }
    // Our own spans name every call; statements of the pool's own log would say it twice.
    options.disable_statement_logging()
}

/// A pool that opens connections when they are needed, up to pool size and overflow.
pub(crate) fn pool(settings: &DatabaseSettings, application: &str) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .max_connections(settings.max_connections())
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(IDLE)
        .max_lifetime(LIFETIME)
        .connect_lazy_with(options(settings, application).options(SESSION))
}
