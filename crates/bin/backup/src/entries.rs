//! A dump's table of contents, split by who restores what.
//!
//! A dump holds code of the service that it comes from, such as the function of a materialized view. A session that
//! restores it runs that code, and `RESET ROLE` gives the code every right of the session's login. So the login is a role
//! without rights. A superuser restores only the extensions, before any of the dump's code is there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::config::Config;
use crate::database::{DatabaseLogin, query_failed, quoted};
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::program::Program;

/// Most of these only a superuser may make, and none of them holds rows.
const LEFT_OUT: [&str; 4] = ["EXTENSION", "EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION"];
/// Tables and sequences of extensions whose rows a dump carries; an extension's own schema may be closed.
const CARRIED: &str = "
    SELECT DISTINCT unnest(ARRAY[
             format('USAGE ON SCHEMA %I', n.nspname),
             format(CASE c.relkind WHEN 'S' THEN 'UPDATE ON SEQUENCE %I.%I' ELSE 'INSERT ON TABLE %I.%I' END,
                    n.nspname, c.relname)])
    FROM pg_extension e, unnest(e.extconfig) AS carried, pg_class c, pg_namespace n
    WHERE c.oid = carried AND n.oid = c.relnamespace";

/// The entries' lines, as `pg_restore --list` prints them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// Of the unprivileged role, empty: extensions may go into them.
    schemas: Vec<String>,
    /// Of the superuser.
    extensions: Vec<String>,
    /// Of the unprivileged role.
    rest: Vec<String>,
}

impl Entries {
    fn parse(printed: &str) -> Self {
        let mut entries = Self::default();
        for line in printed.lines().filter(|line| !line.starts_with(';')) {
            // `ID; CATALOG OID KIND SCHEMA NAME OWNER`, and the names may have spaces.
            let Some(kind) = line.splitn(4, ' ').nth(3) else {
                continue;
            };
            let is = |name: &str| kind.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
            // Of a comment the name begins with the kind of what it is on.
            let on = kind
                .strip_prefix("COMMENT - ")
                .or_else(|| kind.strip_prefix("SECURITY LABEL - "))
                .unwrap_or_default();
            if is("EXTENSION") {
                entries.extensions.push(line.to_owned());
            } else if is("SCHEMA") {
                entries.schemas.push(line.to_owned());
            } else if !LEFT_OUT
                .iter()
                .any(|name| is(name) || on.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
            {
                entries.rest.push(line.to_owned());
            }
        }
        entries
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

impl Restore<'_> {
    /// The first half, without the dump's code: schemas and extensions.
    pub(crate) async fn begin(&self) -> Result<Entries> {
        let printed = self.pg_restore().arg("--list").arg(&self.dump).run().await?;
        let entries = Entries::parse(&printed);
        self.part("schemas", &entries.schemas, self.owner, 1).await?;
        self.part("extensions", &entries.extensions, self.superuser, 1)
            .await?;
        open_extensions(&mut self.superuser.connect().await?, self.owner_role).await?;
        Ok(entries)
    }

    /// The second half, with the dump's code.
    pub(crate) async fn finish(&self, entries: &Entries) -> Result<()> {
        self.part("rest", &entries.rest, self.owner, self.jobs).await
    }

    async fn part(&self, name: &str, lines: &[String], login: &DatabaseLogin, jobs: u32) -> Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let list = self.folder.join(format!("{name}.list"));
        files::write(&list, (lines.join("\n") + "\n").as_bytes())?;
        self.pg_restore()
            .args([
                "--exit-on-error",
                "--no-owner",
                "--no-privileges",
                "--no-password",
            ])
            .arg(format!("--jobs={jobs}"))
            .path_arg("--use-list=", &list)
            .arg(format!("--dbname={}", login.name))
            .arg(&self.dump)
            .envs(&login.environment)
            .run()
            .await
            .map(drop)
            .map_err(|failure| forbidden(failure, name))
    }

    fn pg_restore(&self) -> Program {
        Program::new(self.config.database.bin_dir.join("pg_restore"), self.limit)
    }
}

/// Lets `role` fill the tables that a dump fills.
async fn open_extensions(superuser: &mut PgConnection, role: &str) -> Result<()> {
    let rights: Vec<String> = sqlx::query_scalar(CARRIED)
        .fetch_all(&mut *superuser)
        .await
        .map_err(query_failed("list the tables of extensions"))?;
    for right in rights {
        sqlx::query(&format!("GRANT {right} TO {}", quoted(role)))
            .execute(&mut *superuser)
            .await
            .map_err(query_failed("open an extension's table"))?;
    }
    Ok(())
}

/// Explains a failure for want of a right.
fn forbidden(failure: BackupFailure, part: &str) -> BackupFailure {
    let denied = ["permission denied", "must be superuser", "must be owner"];
    if part == "rest" && denied.iter().any(|words| failure.mentions(words)) {
        failure.cure(
            "a drill restores as a role without rights: take out of the database what needs more, or put it into an \
             extension",
        )
    } else {
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superuser_gets_extensions_only() {
        let printed = ";\n; Selected TOC Entries:\n;\n\
            2; 3079 16390 EXTENSION - hstore \n\
            3500; 0 0 COMMENT - EXTENSION hstore \n\
            7; 2615 16389 SCHEMA - EXTENSION tools app\n\
            8; 1259 16400 TABLE public EXTENSION  - evil app\n\
            9; 1259 16401 TABLE EXTENSION  EXTENSION app\n\
            10; 0 0 COMMENT public TABLE a app\n\
            11; 3466 16402 EVENT TRIGGER - watching postgres\n\
            12; 0 0 COMMENT - EVENT TRIGGER watching postgres\n\
            13; 6104 16403 PUBLICATION - everything postgres\n\
            14; 6106 16404 PUBLICATION TABLE public everything a postgres\n\
            15; 0 16405 TABLE DATA public a app\n";
        let entries = Entries::parse(printed);
        let numbers = |lines: &[String]| -> Vec<String> {
            lines
                .iter()
                .map(|line| line.split(';').next().unwrap_or_default().to_owned())
                .collect()
        };
        assert_eq!(numbers(&entries.extensions), ["2"]);
        assert_eq!(numbers(&entries.schemas), ["7"]);
        assert_eq!(numbers(&entries.rest), ["8", "9", "10", "15"]);
    }
}
