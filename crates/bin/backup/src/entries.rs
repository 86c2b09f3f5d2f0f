//! A dump's table of contents, split by who restores what.
//!
//! A dump holds code of the service that it comes from, such as the function of a materialized view. A session that
//! restores it runs that code, and `RESET ROLE` gives the code every right of the session's login. So the login is a role
//! without rights. A superuser restores only kinds that are listed here, which hold no code of the service. That happens before
//! any of the dump's code is there, or after it can no longer run.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::config::Config;
use crate::database::{DatabaseLogin, query_failed, quoted};
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::program::Program;
use crate::toc::{self, Entry};

/// Only a superuser may make these, and the dump's tables need them. Their code is the server's own.
const BEFORE: [&str; 2] = ["EXTENSION", "SERVER"];
/// Rights are the owners' to give, and most of the others only a superuser may make. None of them holds rows.
const AFTER: [&str; 9] = [
    "ACL",
    "DEFAULT ACL",
    "EVENT TRIGGER",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION",
    "SUBSCRIPTION TABLE",
    "USER MAPPING",
];
/// The dump does not make the tables of extensions: it has only the rows that were added to them.
const ROWS: [&str; 2] = ["TABLE DATA", "SEQUENCE SET"];
const MADE: [&str; 3] = ["TABLE", "FOREIGN TABLE", "SEQUENCE"];
/// What is on these is theirs to restore who restored them.
const NOTES: [&str; 2] = ["COMMENT", "SECURITY LABEL"];
/// Extensions' schemas, which may be closed, and what else the dump's tables name.
const NEEDED: &str = "
    SELECT format('USAGE ON SCHEMA %I', n.nspname)
    FROM pg_depend d JOIN pg_namespace n ON n.oid = d.objid
    WHERE d.classid = 'pg_namespace'::regclass AND d.deptype = 'e'
    UNION SELECT format('USAGE ON FOREIGN SERVER %I', srvname) FROM pg_foreign_server
    UNION SELECT format('CREATE ON TABLESPACE %I', spcname) FROM pg_tablespace WHERE spcname = ANY ($1)";

/// The entries by who restores them, in the dump's order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// Of the unprivileged role, empty: extensions may go into them.
    pub(crate) schemas: Vec<Entry>,
    /// Of the superuser, first. Also the rows of extensions' own tables, which may say what the server is to run.
    pub(crate) before: Vec<Entry>,
    /// Of the unprivileged role.
    pub(crate) rest: Vec<Entry>,
    /// Of the superuser, last.
    after: Vec<Entry>,
}

impl Entries {
    fn sort(all: Vec<Entry>) -> Self {
        let mut entries = Self::default();
        let made: BTreeSet<(String, String)> = all
            .iter()
            .filter(|entry| MADE.contains(&entry.kind.as_str()))
            .map(|entry| (entry.schema.clone(), entry.name.clone()))
            .collect();
        for entry in all {
            let kind = entry.kind.as_str();
            // The name of a note begins with the kind of what it is on.
            let on = |kinds: &[&str]| {
                NOTES.contains(&kind)
                    && entry.schema.is_empty()
                    && kinds.iter().any(|kind| {
                        entry
                            .name
                            .strip_prefix(kind)
                            .is_some_and(|rest| rest.starts_with(' '))
                    })
            };
            let of_extension =
                ROWS.contains(&kind) && !made.contains(&(entry.schema.clone(), entry.name.clone()));
            let part = if BEFORE.contains(&kind) || of_extension {
                &mut entries.before
            } else if AFTER.contains(&kind) || on(&BEFORE) || on(&AFTER) {
                &mut entries.after
            } else if kind == "SCHEMA" {
                &mut entries.schemas
            } else {
                &mut entries.rest
            };
            part.push(entry);
        }
        entries
    }

    /// Those that have an owner who is set at the end. The public schema's is the database's owner, whoever that is.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &Entry> {
        let all = self.schemas.iter().chain(&self.before).chain(&self.rest);
        all.filter(|entry| {
            !matches!(entry.owner.as_str(), "" | "pg_database_owner") && !entry.owned_objects().is_empty()
        })
    }
}

/// A restore of a dump into an empty database that the unprivileged role owns.
#[derive(Debug)]
pub(crate) struct Restore<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dump: PathBuf,
    /// Where the lists of entries are written.
    pub(crate) folder: &'a Path,
    pub(crate) superuser: &'a DatabaseLogin,
    /// Owns the database, and may do nothing else.
    pub(crate) owner: &'a DatabaseLogin,
    pub(crate) owner_role: &'a str,
    pub(crate) jobs: u32,
    pub(crate) limit: Duration,
}

/// Whether a part sets owners itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owners {
    /// Everything belongs to the role that restores it, and nobody else has rights to it.
    Own,
    /// Owners and rights as in the dump; only a superuser may set them.
    AsDumped,
}

impl Restore<'_> {
    /// The first part, without the dump's code: schemas, extensions and foreign servers.
    pub(crate) async fn begin(&self) -> Result<Entries> {
        let entries = Entries::sort(toc::read(&self.dump)?);
        self.part("schemas", &entries.schemas, self.owner, 1, Owners::Own)
            .await?;
        self.part("before", &entries.before, self.superuser, 1, Owners::Own)
            .await?;
        let mut superuser = self.superuser.connect().await?;
        for right in rights(&mut superuser, &entries).await? {
            execute(
                &mut superuser,
                &format!("GRANT {right} TO {}", quoted(self.owner_role)),
            )
            .await?;
        }
        Ok(entries)
    }

    /// The second part, with the dump's code.
    pub(crate) async fn fill(&self, entries: &Entries) -> Result<()> {
        self.part("rest", &entries.rest, self.owner, self.jobs, Owners::Own)
            .await
    }

    /// Takes back the rights that the unprivileged role had to what is not the dump's.
    pub(crate) async fn close(&self, superuser: &mut PgConnection, entries: &Entries) -> Result<()> {
        for right in rights(superuser, entries).await? {
            execute(
                superuser,
                &format!("REVOKE {right} FROM {}", quoted(self.owner_role)),
            )
            .await?;
        }
        Ok(())
    }

    /// The last part, once the dump's code can no longer run and everything has its owner.
    pub(crate) async fn finish(&self, entries: &Entries) -> Result<()> {
        self.part("after", &entries.after, self.superuser, 1, Owners::AsDumped)
            .await
    }

    async fn part(
        &self,
        name: &str,
        entries: &[Entry],
        login: &DatabaseLogin,
        jobs: u32,
        owners: Owners,
    ) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let list = self.folder.join(format!("{name}.list"));
        let mut lines = String::new();
        for entry in entries {
            let _ = writeln!(lines, "{};", entry.id);
        }
        files::write(&list, lines.as_bytes())?;
        let mut program = Program::new(self.config.database.bin_dir.join("pg_restore"), self.limit)
            .args(["--exit-on-error", "--no-password"])
            .arg(format!("--jobs={jobs}"))
            .path_arg("--use-list=", &list)
            .arg(format!("--dbname={}", login.name))
            .envs(&login.environment);
        if owners == Owners::Own {
            program = program.args(["--no-owner", "--no-privileges"]);
        }
        program
            .arg(&self.dump)
            .run()
            .await
            .map(drop)
            .map_err(|failure| forbidden(failure, name))
    }
}

/// What the unprivileged role needs besides its database, to fill the tables that a dump fills.
async fn rights(superuser: &mut PgConnection, entries: &Entries) -> Result<Vec<String>> {
    let tablespaces: Vec<&str> = entries
        .rest
        .iter()
        .map(|entry| entry.tablespace.as_str())
        .collect();
    sqlx::query_scalar(NEEDED)
        .bind(tablespaces)
        .fetch_all(superuser)
        .await
        .map_err(query_failed("list what the dump's tables need"))
}

async fn execute(superuser: &mut PgConnection, statement: &str) -> Result<()> {
    sqlx::query(statement)
        .execute(superuser)
        .await
        .map(drop)
        .map_err(query_failed("open what the dump's tables need"))
}

/// Explains a failure for want of a right.
fn forbidden(failure: BackupFailure, part: &str) -> BackupFailure {
    let denied = ["permission denied", "must be superuser", "must be owner"];
    if part == "rest" && denied.iter().any(|words| failure.mentions(words)) {
        failure.cure(
            "a dump is restored as a role without rights: take out of the database what needs more, or put it into an \
             extension; `pg_restore` by hand as the server's superuser gives the dump's code every right",
        )
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superuser_gets_what_holds_no_code() {
        let entry = |(id, kind, schema, name): (u32, &str, &str, &str)| Entry {
            id,
            kind: kind.to_owned(),
            schema: schema.to_owned(),
            name: name.to_owned(),
            ..Entry::default()
        };
        let entries = Entries::sort(
            [
                (2, "EXTENSION", "", "hstore"),
                (3, "COMMENT", "", "EXTENSION hstore"),
                (4, "SCHEMA", "", "EXTENSION tools"),
                (5, "TABLE", "public", "EXTENSION "),
                (6, "TABLE", "EXTENSION ", "EXTENSION"),
                (7, "COMMENT", "public", "TABLE a"),
                (8, "EVENT TRIGGER", "", "watching"),
                (9, "COMMENT", "", "EVENT TRIGGER watching"),
                (10, "PUBLICATION TABLE", "public", "everything a"),
                (11, "TABLE DATA", "public", "EXTENSION "),
                (12, "SERVER", "", "away"),
                (13, "ACL", "public", "TABLE a"),
                (14, "TRIGGER", "public", "a EVENT TRIGGER"),
                (15, "COMMENT", "public", "EXTENSION x"),
                (16, "TABLE DATA", "cron", "job"),
                (17, "SEQUENCE SET", "cron", "jobid_seq"),
            ]
            .map(entry)
            .to_vec(),
        );
        let ids = |entries: &[Entry]| -> Vec<u32> { entries.iter().map(|entry| entry.id).collect() };
        assert_eq!(ids(&entries.before), [2, 12, 16, 17]);
        assert_eq!(ids(&entries.schemas), [4]);
        assert_eq!(ids(&entries.rest), [5, 6, 7, 11, 14, 15]);
        assert_eq!(ids(&entries.after), [3, 8, 9, 10, 13]);
    }
}
