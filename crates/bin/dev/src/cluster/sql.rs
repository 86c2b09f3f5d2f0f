//! Postgres' clients: through a member's proxy as a stack, and past it straight to a member.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context as _, Result};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::files::Shared;
use super::writer::{Write, in_network};

/// The role, the database and the table of all writers.
pub(super) const LEDGER: &str = "ledger";
/// Returns the timeline, which tells one leader from the next.
const INSERT: &str = "INSERT INTO ledger (writer, number) VALUES ($1, $2) \
                      RETURNING substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
const READ: Duration = Duration::from_mins(1);

/// How a member's Postgres or proxy is reached.
pub(super) fn options(shared: &Shared, host: &str, port: u16, password: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(host)
        .port(port)
        .username(LEDGER)
        .password(password)
        .database(LEDGER)
        .ssl_mode(PgSslMode::VerifyFull)
        .ssl_root_cert(&shared.ca)
        .application_name("slipway-dev")
        .disable_statement_logging()
}

/// Writes numbers into the ledger under a name.
pub(super) struct SqlWriter {
    name: String,
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl SqlWriter {
    pub(super) fn new(name: &str, options: PgConnectOptions) -> Self {
        Self {
            name: name.to_owned(),
            options,
            connection: None,
        }
    }
}

impl Write for SqlWriter {
    async fn write(&mut self, number: i64) -> Result<String> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await.context("cannot connect")?),
        };
        let row = sqlx::query_scalar(INSERT).bind(&self.name).bind(number);
        Ok(row.fetch_one(connection).await?)
    }

    fn disconnect(&mut self) {
        self.connection = None;
    }
}

/// All rows of the ledger, read in a member's network.
pub(super) async fn read(network: &File, options: PgConnectOptions) -> Result<Vec<(String, i64)>> {
    let (send, receive) = tokio::sync::oneshot::channel();
    in_network("reader", network, async move || {
        let numbers = tokio::time::timeout(READ, async {
            let mut connection = options.connect().await?;
            let rows = sqlx::query_as("SELECT writer, number FROM ledger");
            let rows = rows.fetch_all(&mut connection).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(rows)
        });
        let _ = send.send(numbers.await);
    })?;
    let numbers = receive.await.context("the reader ended")?;
    Ok(numbers.context("the ledger cannot be read in time")??)
}
