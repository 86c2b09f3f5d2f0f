//! The table that all clients write into.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::member::Member;
use super::sql::LEDGER;
use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

const BOUND: Duration = Duration::from_mins(1);

/// Makes the role, the database and the table on the leader, as its administrator.
pub(super) async fn create(run: &Run, leader: &Member, password: &str) -> Result<()> {
    let sql = format!(
        "CREATE ROLE {LEDGER} LOGIN PASSWORD '{password}';\n\
         CREATE DATABASE {LEDGER} OWNER {LEDGER};\n\
         \\connect {LEDGER}\n\
         SET ROLE {LEDGER};\n\
         CREATE TABLE {LEDGER} (writer text, number bigint, PRIMARY KEY (writer, number));\n"
    );
    administer(run, leader, "ledger", &sql).await
}

/// Runs statements on a member over its socket, as its administrator.
pub(super) async fn administer(run: &Run, member: &Member, name: &str, sql: &str) -> Result<()> {
    let spec = Spec::new(format!("sql-{name}"), programs::postgres_bin()?.join("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-h",
        ])
        .args([member.folder.join("run")])
        .args(["-d", "postgres", "-f", "-"])
        .stdin(sql)
        .user(run.user.as_ref());
    let done = run.supervisor.run(spec, BOUND).await;
    done.with_context(|| format!("{} refuses statements", member.name))
}
