//! A dump into a database of its own, compared with what was recorded, and on request put in the live one's place.

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::postgres::PgConnection;

use crate::clock;
use crate::config::Config;
use crate::content;
use crate::database::{Way, asked, check_program, server_version};
use crate::dumps::{Dumps, Manifest};
use crate::failure::{Failure, Result};
use crate::program::Program;
use crate::verify;

/// The database that others are made from.
const MAINTENANCE: &str = "postgres";
const LIMIT: Duration = Duration::from_hours(24);
/// A name in Postgres has at most 63 bytes.
const LONGEST_NAME: usize = 63;

pub(crate) async fn run(config: &Config, id: &str, into: Option<String>, swap: bool) -> Result<String> {
    let section = config.need(config.dump.as_ref(), "dump", "dump.enable")?;
    let dumps = Dumps::new(&section.directory);
    let manifest = dumps.get(id)?;
    let live = &config.database.name;
    let name = into.unwrap_or_else(|| default_name(live, &manifest.id));
    let mut admin = Way::admin(config, MAINTENANCE)?.connect().await?;
    if exists(&mut admin, &name).await? {
        let cure = if name == *live {
            "to put the dump in its place, keeping the old one under another name, say --swap and no --into"
        } else {
            "name another one with --into, or drop that one first"
        };
        return Err(
            Failure::new(format!("the database {name} exists, and nothing is written over")).cure(cure),
        );
    }
    verify::dump(config, &dumps, &manifest).await?;
    let (_, major) = server_version(&mut admin).await?;
    check_program(config, "pg_restore", major).await?;

    let start = std::time::Instant::now();
    create(&mut admin, &manifest, &name, live).await?;
    let rows = match fill(config, &dumps, &manifest, &name, &mut admin).await {
        Ok(rows) => rows,
        Err(failure) => {
            // Half a database would be taken for a whole one.
            let _ = sqlx::query(&format!("DROP DATABASE IF EXISTS {}", quoted(&name)))
                .execute(&mut admin)
                .await;
            return Err(failure);
        }
    };
    let done = format!(
        "Dump {} is in the database {name}: {} tables and {rows} rows, as recorded when it was made ({}).",
        manifest.id,
        manifest.tables.len(),
        crate::text::duration(start.elapsed())
    );
    if swap {
        let kept = swap_in(&mut admin, &name, live).await?;
        return Ok(format!(
            "{done}\nIt now is {live}; what was live is kept as {kept}. Drop it when you are sure."
        ));
    }
    if name == *live {
        return Ok(done);
    }
    Ok(format!(
        "{done}\nNothing live was touched. Look into it:     psql -d {name}\n\
         To take single rows from it: pg_dump --data-only --table=TABLE {name} | psql -d {live}\n\
         To put it in the live one's place, as the server's superuser (sessions are ended, the old one is kept):\n  \
         ALTER DATABASE {live} ALLOW_CONNECTIONS false;\n  \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{live}';\n  \
         ALTER DATABASE {live} RENAME TO {live}_before;\n  \
         ALTER DATABASE {name} RENAME TO {live};\n\
         or restore and swap in one go: slipway-backup restore --dump {} --swap",
        manifest.id
    ))
}

fn default_name(live: &str, id: &str) -> String {
    let suffix = format!("_restored_{}", id.to_lowercase().replace('-', "_"));
    let room = LONGEST_NAME.saturating_sub(suffix.len());
    let stem: String = live.chars().take(room).collect();
    stem + &suffix
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(admin)
        .await
        .map_err(asked("look for the database"))
}

async fn create(admin: &mut PgConnection, manifest: &Manifest, name: &str, live: &str) -> Result<()> {
    let owner: Option<String> = sqlx::query_scalar(
        "SELECT rolname FROM pg_roles WHERE oid = (SELECT datdba FROM pg_database WHERE datname = $1)
         UNION ALL SELECT rolname FROM pg_roles WHERE rolname = $1 LIMIT 1",
    )
    .bind(live)
    .fetch_optional(&mut *admin)
    .await
    .map_err(asked("look for the database's owner"))?;
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
        let _ = write!(statement, " OWNER {}", quoted(&owner));
    }
    sqlx::query(&statement)
        .execute(admin)
        .await
        .map(drop)
        .map_err(asked("make the database"))
}

async fn fill(
    config: &Config,
    dumps: &Dumps,
    manifest: &Manifest,
    name: &str,
    admin: &mut PgConnection,
) -> Result<u64> {
    let superuser: bool = sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        .fetch_one(admin)
        .await
        .map_err(asked("ask what this role may do"))?;
    let way = Way::admin(config, name)?;
    let mut program = Program::new(config.database.bin_dir.join("pg_restore"), LIMIT)
        .args(["--exit-on-error", "--no-password", "--jobs=2"])
        .arg(format!("--dbname={name}"))
        .envs(&way.environment);
    if !superuser {
        program = program.args(["--no-owner", "--no-privileges"]);
    }
    program.arg(dumps.file(&manifest.id)).run().await.map_err(|failure| {
        failure.during(format!("the dump {} does not restore", manifest.id)).cure(
            "roles and extensions that the dump names must be in the server first; on NixOS the stack's module makes \
             them",
        )
    })?;
    let mut connection = way.connect().await?;
    content::prepare(&mut connection).await?;
    let found = content::read(&mut connection).await?;
    let differences = content::differences(&manifest.tables, &found);
    if differences.is_empty() {
        return Ok(found.iter().map(|table| table.rows).sum());
    }
    Err(Failure::new(format!(
        "the dump {} does not hold what was recorded when it was made",
        manifest.id
    ))
    .said(differences)
    .cure("restore an older one: `slipway-backup list`"))
}

/// Renames the live database away and the restored one into its place. Returns the old one's new name.
async fn swap_in(admin: &mut PgConnection, restored: &str, live: &str) -> Result<String> {
    let stamp = clock::now().format("_before_%Y%m%dt%H%M%Sz").to_string();
    let stem: String = live.chars().take(LONGEST_NAME - stamp.len()).collect();
    let kept = stem + &stamp;
    let (live, restored, old) = (quoted(live), quoted(restored), quoted(&kept));
    let close = format!("ALTER DATABASE {live} ALLOW_CONNECTIONS false");
    let end = format!(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = {}",
        literal(live.trim_matches('"'))
    );
    let mut result = Ok(());
    for statement in [
        close,
        end,
        format!("ALTER DATABASE {live} RENAME TO {old}"),
        format!("ALTER DATABASE {restored} RENAME TO {live}"),
    ] {
        result = sqlx::query(&statement)
            .execute(&mut *admin)
            .await
            .map(drop)
            .map_err(asked("swap the databases"));
        if result.is_err() {
            break;
        }
    }
    for name in [&live, &old] {
        // Whichever is the old one by now: it may be looked into again.
        let _ = sqlx::query(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
            .execute(&mut *admin)
            .await;
    }
    result.map(|()| kept).map_err(|failure| {
        failure.cure(format!(
            "the restored database is {restored}; rename by hand once no session is left"
        ))
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
