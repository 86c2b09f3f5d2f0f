//! One dump: the server's own `pg_dump`, with every table's rows and checksum from the same snapshot.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::clock;
use crate::config::{Config, Dump};
use crate::content;
use crate::database::{DatabaseLogin, check_program, query_failed, server_version};
use crate::dumps::{Dumps, Locale, Manifest};
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::lock;
use crate::program::Program;
use crate::state::Done;

/// Dumps are short compared with the time between them: a second run waits this long for the first.
const WAIT: Duration = Duration::from_mins(10);
const DAY: u64 = 24 * 60 * 60;

pub(crate) const LOCK: &str = "dump";

/// Makes a dump, then deletes those whose time is over.
pub(crate) async fn make(config: &Config) -> Result<Done> {
    let dump = config.need(config.dump.as_ref(), "dump", "dump.enable")?;
    files::folder(&dump.directory)?;
    let _lock = lock::take(&config.state_dir, LOCK, WAIT).await?;
    let dumps = Dumps::new(&dump.directory);
    let left = dumps.clean()?;
    if left > 0 {
        tracing::warn!(files = left, "removed what a run that was cut short had left");
    }
    let made = write(config, dump, &dumps).await;
    if made.is_err() {
        // The disk may be full, so unfinished files are deleted before anything is recorded.
        let _ = dumps.clean();
    }
    let manifest = made?;
    let keep = Duration::from_secs(u64::from(dump.keep_days) * DAY);
    let expired = dumps.expire(keep, clock::now())?;
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    Ok(Done {
        detail: format!(
            "{}: {} of {} tables and {rows} rows; {} deleted after {} days",
            manifest.id,
            crate::text::size(manifest.size),
            manifest.tables.len(),
            expired.len(),
            dump.keep_days
        ),
        size: Some(manifest.size),
        subject: Some(manifest.id),
    })
}

async fn write(config: &Config, dump: &Dump, dumps: &Dumps) -> Result<Manifest> {
    let login = DatabaseLogin::reader(config)?;
    let mut connection = login.connect().await?;
    let (server_version, server_major) = server_version(&mut connection).await?;
    for program in ["pg_dump", "pg_restore"] {
        check_program(config, program, server_major).await?;
    }
    let (database_size, locale) = facts(&mut connection).await?;
    let started = clock::now();
    let id = dumps.new_id(started);
    // The last one's size says how large this one will be; a first one is rarely larger than the database.
    let expected = dumps
        .list()?
        .0
        .last()
        .map_or(database_size, |last| last.size + last.size / 5);
    files::need_room(&dump.directory, expected, "a dump")?;

    content::prepare(&mut connection, dump.times.timeout).await?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the connection is this dump's own and is closed after it"
    )]
    let mut transaction = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
        .map_err(query_failed("begin a transaction"))?;
    let snapshot: String = sqlx::query_scalar("SELECT pg_export_snapshot()")
        .fetch_one(&mut *transaction)
        .await
        .map_err(query_failed("export a snapshot"))?;
    let temporary = files::partial(&dumps.file(&id));
    let program = Program::new(config.database.bin_dir.join("pg_dump"), dump.times.timeout)
        .args(["--format=custom", "--no-password"])
        .arg(format!(
            "--lock-wait-timeout={}s",
            content::lock_wait(dump.times.timeout).as_secs()
        ))
        .arg(format!("--snapshot={snapshot}"))
        .path_arg("--file=", &temporary)
        .envs(&login.environment);
    let dumped = async {
        let printed = program.run().await;
        printed.map_err(|failure| failure.during(format!("cannot dump {}", login.shown)))
    };
    // The first that fails ends the other.
    let (_, tables) = tokio::try_join!(dumped, content::read(&mut transaction, dump.times.timeout))?;
    drop(transaction);

    read_back(config, &temporary, dump.times.timeout, tables.len()).await?;
    let (sha256, size) = files::digest(&temporary)?;
    files::commit(&temporary, &dumps.file(&id))?;
    let manifest = Manifest {
        id,
        database: config.database.name.clone(),
        server_version,
        server_major,
        started,
        finished: clock::now(),
        size,
        sha256,
        database_size,
        locale,
        tables,
        bad: None,
    };
    dumps.record(&manifest)?;
    Ok(manifest)
}

/// Reads the table of contents of a dump, which must have the data of so many tables at least.
pub(crate) async fn read_back(
    config: &Config,
    file: &std::path::Path,
    limit: Duration,
    tables: usize,
) -> Result<()> {
    let printed = Program::new(config.database.bin_dir.join("pg_restore"), limit)
        .arg("--list")
        .arg(file)
        .run()
        .await
        .map_err(|failure| {
            let name = file.display();
            if failure.is_verdict() {
                failure.during(format!("{name} is no readable dump"))
            } else {
                failure.during(format!("{name} could not be read back"))
            }
        })?;
    let found = printed
        .lines()
        .filter(|line| line.contains(" TABLE DATA "))
        .count();
    if found >= tables {
        return Ok(());
    }
    Err(BackupFailure::new(format!(
        "{} has the data of {found} tables, and the database has {tables}",
        file.display()
    ))
    .cure(
        "see whether the backup's role may read every table; make a new dump: slipway-backup now --kind dump",
    ))
}

async fn facts(connection: &mut PgConnection) -> Result<(u64, Locale)> {
    // The column of the locale was renamed in 17.
    let row: (i64, String, String, String, String, Option<String>) = sqlx::query_as(
        "SELECT pg_database_size(d.oid), pg_encoding_to_char(d.encoding),
                CASE d.datlocprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
                d.datcollate, d.datctype,
                coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
         FROM pg_database d WHERE d.datname = current_database()",
    )
    .fetch_one(connection)
    .await
    .map_err(query_failed("ask for the database's size and locale"))?;
    let (size, encoding, provider, collate, ctype, rules) = row;
    Ok((
        u64::try_from(size).unwrap_or_default(),
        Locale {
            encoding,
            provider,
            collate,
            ctype,
            rules,
        },
    ))
}
