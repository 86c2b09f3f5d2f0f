//! Connections of tests to their own database without sqlx's pool.

use slipway_store::MIGRATOR;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Transaction};
use url::Url;

fn given_url() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "what `sqlx::test` reads too; nothing is set"
    )]
    std::env::var("DATABASE_URL").unwrap()
}

/// The URL of these options' database, through this port if given. The password comes from `DATABASE_URL`,
/// since the options do not give it away.
///
/// # Panics
/// When `DATABASE_URL` is not set or is not a URL; then no test with a database gets this far.
#[must_use]
pub fn database_url(options: &PgConnectOptions, port: Option<u16>) -> Url {
    let mut url: Url = given_url().parse().unwrap();
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

/// Measures in a database of this name, which is made for it and dropped at its end. Another one of this name goes.
///
/// # Panics
/// When `DATABASE_URL` is not that of a superuser.
pub async fn measure_in(database: &str, work: impl AsyncFnOnce(&PgPool)) {
    let server: PgConnectOptions = given_url().parse().unwrap();
    let mut owner = PgConnection::connect_with(&server).await.unwrap();
    let drop = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
    let create = format!("CREATE DATABASE {database} TEMPLATE template0");
    for statement in [&drop, &create] {
        sqlx::raw_sql(statement).execute(&mut owner).await.unwrap();
    }
    let pool = PgPoolOptions::new().connect_with(server.database(database));
    let pool = pool.await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    work(&pool).await;
    pool.close().await;
    sqlx::raw_sql(&drop).execute(&mut owner).await.unwrap();
}

/// Leaves the database without tables, as Postgres itself makes one. That of `./dev test` gives every new database the
/// migrated schema at once, which is for all other tests.
///
/// # Panics
/// When the database does not let it.
pub async fn empty(pool: &PgPool) {
    let anew = "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;
                GRANT USAGE ON SCHEMA public TO PUBLIC";
    sqlx::raw_sql(anew).execute(pool).await.unwrap();
}

/// A transaction for the test itself.
///
/// # Panics
/// When the database does not let it begin.
pub async fn begin(pool: &PgPool) -> Transaction<'static, Postgres> {
    #[expect(clippy::disallowed_methods, reason = "no test goes away while it waits")]
    pool.begin().await.unwrap()
}
