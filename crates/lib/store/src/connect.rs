//! From settings to a pool.

use std::time::Duration;

use secrecy::ExposeSecret;
use slipway_settings::{DatabaseHost, DatabaseSettings, SslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::time::timeout;
use tracing::{error, info};

use crate::pool::is_doubtful;

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

/// Whether no transaction is open: within one, its beginning and that of a statement are two instants.
const CLEAN: &str = "SELECT transaction_timestamp() = statement_timestamp()";
/// A connection that was idle for less was asked by sqlx, when it came back, whether it is alive. Under load a check before
/// each statement took a third of Postgres' time.
const FRESH: Duration = Duration::from_millis(100);
/// How long a connection whose call was cut off has to answer.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A pool that opens connections when they are needed, up to pool size and overflow.
///
/// Before it passes on one that was idle, one query checks that the connection is alive and clean. It also checks each that is
/// given back within a second after a call was cut off. This check has a bound. sqlx's own has none, and a dead connection would
/// keep its place.
pub(crate) fn pool(settings: &DatabaseSettings, application: &str) -> PgPool {
    PgPoolOptions::new()
        .min_connections(0)
        .test_before_acquire(false)
        .before_acquire(|connection, was| {
            Box::pin(async move { Ok(was.idle_for < FRESH || is_fit(connection).await) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                if !is_doubtful() {
                    return Ok(true);
                }
                match timeout(ANSWER_WITHIN, is_fit(connection)).await {
                    Ok(fit) => Ok(fit),
                    // An error closes it without a word to the server, which may be gone.
                    Err(_) => Err(sqlx::Error::PoolTimedOut),
                }
            })
        })
        .max_connections(settings.max_connections())
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(IDLE)
        .max_lifetime(LIFETIME)
        .connect_lazy_with(options(settings, application).options(SESSION))
}

async fn is_fit(connection: &mut PgConnection) -> bool {
    let answer = connection.fetch_one(CLEAN).await;
    match answer.and_then(|row| row.try_get(0)) {
        Ok(true) => true,
        // No code here leaves one open. If it still happens, the next caller's write must not be lost.
        Ok(false) => {
            error!("closed a connection to the database that somebody had left in an open transaction");
            false
        }
        Err(error) => {
            info!(%error, "closed a connection to the database that was no good any more");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use slipway_testkit::wait_until;
    use sqlx::Connection;

    use super::*;

    /// The settings that lead to a test's own database, for one connection.
    fn settings(connect: &PgConnectOptions) -> DatabaseSettings {
        DatabaseSettings {
            host: DatabaseHost::Tcp(connect.get_host().to_owned()),
            port: connect.get_port(),
            name: connect.get_database().unwrap().to_owned(),
            user: connect.get_username().to_owned(),
            password: slipway_testkit::database_password(connect).map(SecretString::from),
            process_role: None,
            ssl_mode: SslMode::Disable,
            ssl_root_cert: None,
            pool_size: 1,
            max_overflow: 0,
            acquire_timeout: Duration::from_secs(30),
        }
    }

    /// Until the only connection is asked before it is passed on: it has been back for so long.
    async fn rest(pool: &PgPool) {
        let is_back = async || (pool.num_idle() == 1).then_some(());
        wait_until("the connection is back", Duration::from_secs(30), is_back).await;
        tokio::time::sleep(FRESH).await;
    }

    #[sqlx::test]
    async fn a_connection_in_an_open_transaction_is_handed_to_nobody(
        _: PgPoolOptions,
        connect: PgConnectOptions,
    ) {
        let pool = pool(&settings(&connect), "left-open");
        assert_eq!(pool.options().get_max_connections(), 1);
        let mut other = PgConnection::connect_with(&connect).await.unwrap();
        other.execute("CREATE TABLE kept (n int)").await.unwrap();
        for (n, leave) in ["BEGIN", "BEGIN; SAVEPOINT one", "SELECT 1"]
            .into_iter()
            .enumerate()
        {
            pool.execute(leave).await.unwrap();
            rest(&pool).await;
            let written = pool.execute("INSERT INTO kept VALUES (1)").await.unwrap();
            let kept = other.fetch_all("SELECT FROM kept").await.unwrap().len();
            assert_eq!((written.rows_affected(), kept), (1, n + 1), "{leave}");
        }
        // One in which a statement failed, too.
        let broken = pool.execute("BEGIN; SELECT 1 / 0").await;
        assert!(broken.is_err());
        rest(&pool).await;
        pool.execute("INSERT INTO kept VALUES (1)").await.unwrap();
        assert_eq!(other.fetch_all("SELECT FROM kept").await.unwrap().len(), 4);
        assert_eq!(pool.size(), 1);
    }

    #[sqlx::test]
    async fn a_connection_that_is_as_new_is_used_again(_: PgPoolOptions, connect: PgConnectOptions) {
        let pool = pool(&settings(&connect), "used-again");
        let mut before: Option<i32> = None;
        for _ in 0..20 {
            let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                .fetch_one(&pool)
                .await
                .unwrap();
            assert_eq!(*before.get_or_insert(pid), pid);
        }
    }
}
