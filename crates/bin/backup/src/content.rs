//! The content of a database, table by table: the number of rows and a checksum that does not depend on their
//! order.
//!
//! To plan a query, the server may run functions of the table's owner, such as in the condition of an index. So whoever
//! reads has few rights, and reads in a transaction that cannot write.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use crate::database::query_failed;
use crate::failure::{BackupFailure, Result};

/// Tables that a dump carries: all but those of the server itself and of extensions.
const TABLES: &str = "
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence <> 't'
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY 1";

/// How long to wait for a table that a migration holds, unless the whole work may take less.
const LOCK_WAIT: Duration = Duration::from_mins(10);
/// The server ends a statement that takes too long; this limit is for a vanished server.
const VANISHED: Duration = Duration::from_mins(1);

/// How values become text: the same in the server and in the scratch server.
const AS_TEXT: [&str; 8] = [
    "SET search_path = pg_catalog",
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET idle_in_transaction_session_timeout = 0",
    // Rows that a policy hides must be an error, or they would be missing silently.
    "SET row_security = off",
];

/// One table's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// The sum of a 64-bit hash of every row's text.
    pub(crate) checksum: String,
}

/// How long a table is waited for, of work that may take `limit`.
pub(crate) fn lock_wait(limit: Duration) -> Duration {
    LOCK_WAIT.min(limit)
}

/// Sets the session up for [`read`], of which no statement may take longer than `limit`; before the transaction begins.
pub(crate) async fn prepare(connection: &mut PgConnection, limit: Duration) -> Result<()> {
    let bounds = [
        format!("SET statement_timeout = '{}s'", limit.as_secs()),
        format!("SET lock_timeout = '{}s'", lock_wait(limit).as_secs()),
    ];
    for statement in AS_TEXT.into_iter().chain(bounds.iter().map(String::as_str)) {
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .map_err(query_failed("set the session up"))?;
    }
    Ok(())
}

/// Every table's rows and checksum, as the connection's transaction sees them, all within `limit`.
pub(crate) async fn read(connection: &mut PgConnection, limit: Duration) -> Result<Vec<Table>> {
    timeout(limit + VANISHED, read_all(connection))
        .await
        .unwrap_or_else(|_| {
            Err(BackupFailure::new(format!(
                "the tables were not read within {}",
                crate::text::duration(limit)
            ))
            .cure(
                "see that the server answers and what it is busy with (pg_stat_activity), or allow more time",
            ))
        })
}

async fn read_all(connection: &mut PgConnection) -> Result<Vec<Table>> {
    let names: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&mut *connection)
        .await
        .map_err(query_failed("list the tables"))?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        // Not `t::text`, which is what a cast of the table's owner makes of it.
        let statement = format!(
            "SELECT count(*), coalesce(sum(hashtextextended(record_out(t)::text, 0)::numeric), 0)::text \
             FROM ONLY {name} AS t"
        );
        let (rows, checksum): (i64, String) = sqlx::query_as(&statement)
            .fetch_one(&mut *connection)
            .await
            .map_err(query_failed(&format!("read the table {name}")))?;
        tables.push(Table {
            name,
            rows: u64::try_from(rows).unwrap_or_default(),
            checksum,
        });
    }
    Ok(tables)
}

/// The differences between the found and the recorded content, as sentences.
pub(crate) fn differences(recorded: &[Table], found: &[Table]) -> Vec<String> {
    let mut others: BTreeMap<&str, &Table> = found.iter().map(|table| (table.name.as_str(), table)).collect();
    let mut sentences = Vec::new();
    for table in recorded {
        match others.remove(table.name.as_str()) {
            None => sentences.push(format!("{} is missing; it had {} rows", table.name, table.rows)),
            Some(other) if other.rows != table.rows => sentences.push(format!(
                "{} has {} rows instead of {}",
                table.name, other.rows, table.rows
            )),
            Some(other) if other.checksum != table.checksum => {
                sentences.push(format!(
                    "{} has other content in its {} rows",
                    table.name, table.rows
                ));
            }
            Some(_) => {}
        }
    }
    sentences.extend(
        others
            .values()
            .map(|table| format!("{} was not there before", table.name)),
    );
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, checksum: &str) -> Table {
        Table {
            name: name.to_owned(),
            rows,
            checksum: checksum.to_owned(),
        }
    }

    #[test]
    fn every_difference_is_a_sentence() {
        let recorded = [
            table("a", 2, "5"),
            table("b", 1, "1"),
            table("c", 1, "1"),
            table("d", 0, "0"),
        ];
        let found = [
            table("a", 1, "5"),
            table("b", 1, "2"),
            table("d", 0, "0"),
            table("e", 0, "0"),
        ];
        assert_eq!(
            differences(&recorded, &found),
            [
                "a has 1 rows instead of 2",
                "b has other content in its 1 rows",
                "c is missing; it had 1 rows",
                "e was not there before"
            ]
        );
        assert!(differences(&recorded, &recorded).is_empty());
    }
}
