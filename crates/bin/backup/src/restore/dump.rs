//! Restores a dump into a separate database and compares it with its manifest. On request it replaces the live
//! one.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::time::sleep;

use super::draft::{self, Guest};
use crate::clock;
use crate::config::Config;
use crate::content::{self, Table};
use crate::database::{DatabaseLogin, MAINTENANCE, check_program, query_failed, quoted, server_version};
use crate::dumps::{Dumps, Manifest};
use crate::failure::{BackupFailure, Result};
use crate::program::Program;
use crate::verify;

const LIMIT: Duration = Duration::from_hours(24);
/// A name in Postgres has at most 63 bytes.
const LONGEST_NAME: usize = 63;
/// The suffix of a database's name until it is complete, so that a killed restore's leftover is recognized.
const UNFINISHED: &str = "_unfinished";
/// Between two looks for sessions that are to end.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) async fn run(config: &Config, id: &str, into: Option<String>, swap: bool) -> Result<String> {
    let section = config.need(config.dump.as_ref(), "dump", "dump.enable")?;
    let dumps = Dumps::new(&section.directory);
    let manifest = dumps.get(id)?;
    let live = &config.database.name;
    let name = into.unwrap_or_else(|| default_name(live, &manifest.id));
    let mut admin = DatabaseLogin::admin(config, MAINTENANCE)?.connect().await?;
    if swap && !exists(&mut admin, live).await? {
        return Err(BackupFailure::new(format!(
            "the database {live} is not there, so nothing can be swapped"
        ))
        .cure(format!("slipway-backup restore --dump {id} --into {live}")));
    }
    if exists(&mut admin, &name).await? {
        let cure = if name == *live {
            "to put the dump in its place, keeping the old one under another name, say --swap and no --into"
        } else {
            "name another one with --into, or drop that one first"
        };
        return Err(
            BackupFailure::new(format!("the database {name} exists, and nothing is written over")).cure(cure),
        );
    }
    if let Some(why) = verify::dump(config, &dumps, &manifest).await? {
        tracing::warn!(id = manifest.id, "the dump is marked bad: {why}");
    }
    let (_, major) = server_version(&mut admin).await?;
    check_program(config, "pg_restore", major).await?;

    let start = std::time::Instant::now();
    take_turn(&mut admin).await?;
    let draft = suffixed(&name, UNFINISHED);
    // Of a restore that was killed: who lives has the turn.
    draft::drop_database(&mut admin, &draft).await?;
    let owner = owner_of(&mut admin, live).await?;
    let rows = match fill(config, &dumps, &manifest, &draft, owner.as_deref(), &mut admin).await {
        Ok(rows) => rows,
        Err(failure) => {
            let _ = draft::drop_database(&mut admin, &draft).await;
            let _ = draft::clear(&mut admin).await;
            return Err(failure);
        }
    };
    let kept = if swap {
        Some(swap_in(config, &mut admin, &draft, &name, live).await?)
    } else {
        rename(&mut admin, &draft, &name).await?;
        None
    };
    let place = if swap { live } else { &name };
    let done = format!(
        "Dump {} is in the database {place}: {} tables and {rows} rows, as recorded when it was made ({}).",
        manifest.id,
        manifest.tables.len(),
        crate::text::duration(start.elapsed())
    );
    if let Some(kept) = kept {
        return Ok(format!(
            "{done}\nWhat was live is kept as {kept}. Drop it when you are sure."
        ));
    }
    if name == *live {
        return Ok(done);
    }
    Ok(format!(
        "{done}\nNothing live was touched. Look into it:     psql -d {name}\n\
         To take single rows from it: pg_dump --data-only --table=TABLE {name} | psql -d {live}\n\
         To put the dump in the live one's place (sessions are ended, the old one is kept):\n  \
         slipway-backup restore --dump {} --swap",
        manifest.id
    ))
}

fn default_name(live: &str, id: &str) -> String {
    suffixed(
        live,
        &format!("_restored_{}", id.to_lowercase().replace('-', "_")),
    )
}

/// The name with something behind it, shortened to what Postgres takes: longer ones it would cut, and meet another's.
fn suffixed(stem: &str, suffix: &str) -> String {
    let mut room = LONGEST_NAME.saturating_sub(suffix.len()).min(stem.len());
    while !stem.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{suffix}", &stem[..room])
}

/// One restore at a time in a server. The turn ends with the session, so also with a process that is killed.
async fn take_turn(admin: &mut PgConnection) -> Result<()> {
    let free: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('slipway-backup'), hashtext('restore'))")
            .fetch_one(admin)
            .await
            .map_err(query_failed("take the turn to restore"))?;
    if free {
        return Ok(());
    }
    Err(
        BackupFailure::new("another restore of a dump is under way in this server")
            .cure("wait for its end, then try again"),
    )
}

async fn rename(admin: &mut PgConnection, from: &str, to: &str) -> Result<()> {
    sqlx::query(&format!(
        "ALTER DATABASE {} RENAME TO {}",
        quoted(from),
        quoted(to)
    ))
    .execute(admin)
    .await
    .map(drop)
    .map_err(query_failed(&format!("rename the database {from}")))
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(admin)
        .await
        .map_err(query_failed("look for the database"))
}

/// Who owned the database that is there, or the role of its name.
async fn owner_of(admin: &mut PgConnection, live: &str) -> Result<Option<String>> {
    sqlx::query_scalar(
        "SELECT rolname FROM pg_roles WHERE oid = (SELECT datdba FROM pg_database WHERE datname = $1)
         UNION ALL SELECT rolname FROM pg_roles WHERE rolname = $1 LIMIT 1",
    )
    .bind(live)
    .fetch_optional(admin)
    .await
    .map_err(query_failed("look for the database's owner"))
}

async fn create(
    admin: &mut PgConnection,
    manifest: &Manifest,
    name: &str,
    owner: Option<&str>,
) -> Result<()> {
    let locale = &manifest.locale;
    let mut statement = format!(
        "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
        quoted(name),
        literal(&locale.encoding),
        literal(&locale.collate),
        literal(&locale.ctype)
    );
    match (locale.provider.as_str(), &locale.rules) {
        ("icu", Some(icu)) => {
            let _ = write!(statement, " LOCALE_PROVIDER icu ICU_LOCALE {}", literal(icu));
        }
        ("builtin", Some(builtin)) => {
            let _ = write!(
                statement,
                " LOCALE_PROVIDER builtin BUILTIN_LOCALE {}",
                literal(builtin)
            );
        }
        _ => {}
    }
    if let Some(owner) = owner {
        let _ = write!(statement, " OWNER {}", quoted(owner));
    }
    sqlx::query(&statement)
        .execute(admin)
        .await
        .map(drop)
        .map_err(query_failed("make the database"))
}

/// Restores the dump into the new database `name`, and compares it with the dump's manifest. Returns the number of rows.
async fn fill(
    config: &Config,
    dumps: &Dumps,
    manifest: &Manifest,
    name: &str,
    owner: Option<&str>,
    admin: &mut PgConnection,
) -> Result<u64> {
    let id = &manifest.id;
    let (superuser, user): (bool, String) =
        sqlx::query_as("SELECT rolsuper, rolname FROM pg_roles WHERE rolname = current_user")
            .fetch_one(&mut *admin)
            .await
            .map_err(query_failed("ask what this role may do"))?;
    let filled = if superuser {
        let guest = Guest::make(admin, LIMIT).await?;
        create(admin, manifest, name, Some(draft::ROLE)).await?;
        draft::close_to_others(admin, name).await?;
        let owner = owner.unwrap_or(&user);
        let filled = guest.fill(config, dumps, id, name, owner, LIMIT).await;
        if filled.is_ok() {
            draft::clear(admin).await?;
            draft::open(admin, name).await?;
        }
        filled
    } else {
        create(admin, manifest, name, owner).await?;
        fill_as_admin(config, dumps, id, name).await
    };
    let found = filled.map_err(|failure| {
        if failure.is_verdict() {
            failure.during(format!("the dump {id} does not restore")).cure(
                "roles and extensions that the dump names must be in the server first; on NixOS the stack's module \
                 makes them",
            )
        } else {
            failure.during(format!("the dump {id} could not be restored"))
        }
    })?;
    let differences = content::differences(&manifest.tables, &found);
    if differences.is_empty() {
        return Ok(found.iter().map(|table| table.rows).sum());
    }
    Err(BackupFailure::new(format!(
        "the dump {id} does not hold what was recorded when it was made"
    ))
    .printed(differences)
    .cure("restore an older one: `slipway-backup list`"))
}

/// For a server elsewhere, whose administrator is no superuser: the dump's code has that role's rights, and everything
/// belongs to it.
async fn fill_as_admin(config: &Config, dumps: &Dumps, id: &str, name: &str) -> Result<Vec<Table>> {
    let login = DatabaseLogin::admin(config, name)?;
    Program::new(config.database.bin_dir.join("pg_restore"), LIMIT)
        .args([
            "--exit-on-error",
            "--no-password",
            "--jobs=2",
            "--no-owner",
            "--no-privileges",
        ])
        .arg(format!("--dbname={name}"))
        .envs(&login.environment)
        .arg(dumps.file(id))
        .run()
        .await?;
    let mut connection = login.connect().await?;
    content::prepare(&mut connection, LIMIT).await?;
    let found = content::read(&mut connection, LIMIT).await;
    // A database with a session in it cannot be renamed.
    let _ = connection.close().await;
    found
}

/// Puts the restored database in the live one's place, all of it or nothing. Returns the old one's new name.
///
/// The first rename holds the database against new sessions until the transaction ends, while another connection ends those
/// that are there. So nothing has to be closed beforehand that a killed process would leave closed.
async fn swap_in(
    config: &Config,
    admin: &mut PgConnection,
    draft: &str,
    name: &str,
    live: &str,
) -> Result<String> {
    let kept = suffixed(live, &clock::now().format("_before_%Y%m%dt%H%M%Sz").to_string());
    let mut other = DatabaseLogin::admin(config, MAINTENANCE)?.connect().await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection is this restore's own, and nothing ends the wait but the server"
    )]
    let mut transaction = admin
        .begin()
        .await
        .map_err(query_failed("begin to swap the databases"))?;
    let renamed = async {
        rename(&mut transaction, live, &kept).await?;
        rename(&mut transaction, draft, live).await
    };
    let renamed = tokio::select! {
        result = renamed => result,
        failure = end_sessions(&mut other, live) => Err(failure),
    };
    let swapped = match renamed {
        Ok(()) => transaction
            .commit()
            .await
            .map_err(query_failed("swap the databases")),
        Err(failure) => {
            drop(transaction);
            Err(failure)
        }
    };
    let Err(failure) = swapped else {
        return Ok(kept);
    };
    // The answer to a commit can be lost on its way.
    if exists(&mut other, &kept).await.unwrap_or(false) {
        return Ok(kept);
    }
    // It is whole, and took long: it stays for another try.
    let _ = rename(admin, draft, name).await;
    Err(failure.cure(format!(
        "nothing was swapped, and the restored database is {name}. End what holds {live} (pg_stat_activity, \
         pg_prepared_xacts), drop {name} and try again"
    )))
}

/// Ends the sessions of a database, also new ones, until it is dropped.
async fn end_sessions(other: &mut PgConnection, database: &str) -> BackupFailure {
    loop {
        let ended = sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1")
            .bind(database)
            .execute(&mut *other)
            .await;
        if let Err(error) = ended {
            return query_failed("end the sessions of the live database")(error);
        }
        sleep(PAUSE).await;
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_quoted() {
        assert_eq!(
            default_name("shop", "20261122T234533Z-2"),
            "shop_restored_20261122t234533z_2"
        );
        assert_eq!(
            default_name(&"x".repeat(63), "20261122T234533Z").len(),
            LONGEST_NAME
        );
        assert_eq!(suffixed(&"ü".repeat(40), "_x"), format!("{}_x", "ü".repeat(30)));
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
