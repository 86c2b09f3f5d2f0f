//! Connections of tests to their own database without sqlx's pool.

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgPool, Postgres, Transaction};
use url::Url;

/// The URL of these options' database, through this port if given. The password comes from `DATABASE_URL`,
/// since the options do not give it away.
///
/// # Panics
/// When `DATABASE_URL` is not set or is not a URL; then no test with a database gets this far.
#[must_use]
pub fn database_url(options: &PgConnectOptions, port: Option<u16>) -> Url {
    #[expect(
        clippy::disallowed_methods,
        reason = "what `sqlx::test` reads too; nothing is set"
    )]
    let url = std::env::var("DATABASE_URL").unwrap();
    let mut url: Url = url.parse().unwrap();
    url.set_host(Some(options.get_host())).unwrap();
    url.set_port(Some(port.unwrap_or(options.get_port()))).unwrap();
    url.set_path(options.get_database().unwrap());
    url
}

/// The password in that URL, if it has one.
///
/// # Panics
/// As [`database_url`].
#[must_use]
pub fn database_password(options: &PgConnectOptions) -> Option<String> {
    database_url(options, None).password().map(ToOwned::to_owned)
}

/// A transaction for the test itself.
///
/// # Panics
/// When the database does not let it begin.
pub async fn begin(pool: &PgPool) -> Transaction<'static, Postgres> {
    #[expect(clippy::disallowed_methods, reason = "no test goes away while it waits")]
    pool.begin().await.unwrap()
}
