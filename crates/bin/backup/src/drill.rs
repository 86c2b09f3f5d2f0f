//! The proof that backups restore. A drill restores the newest dump into a separate server and compares it with
//! its manifest. It also replays the archive to its end.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::Connection as _;

use crate::config::Config;
use crate::content;
use crate::database::{query_failed, quoted};
use crate::dumps::{DRILL_FOUND, Dumps, Manifest};
use crate::entries::Restore;
use crate::failure::{BackupFailure, Result};
use crate::files;
use crate::lock;
use crate::restore::time;
use crate::scratch::{GUEST, Scratch};
use crate::state::Done;
use crate::{turn, verify, wal};

const LOCK: &str = "drill";
const WAIT: Duration = Duration::from_mins(10);
const START: Duration = Duration::from_mins(5);
/// The superuser of the scratch server.
const USER: &str = "drill";
const DATABASE: &str = "drill";

/// Restores what there is, compares, and deletes the scratch servers.
pub(crate) async fn run(config: &Config) -> Result<Done> {
    let drill = config.need(config.drill.as_ref(), "drill", "drill.enable")?;
    let _lock = lock::take(&config.state_dir, LOCK, WAIT).await?;
    let folder = config.scratch_dir().join(LOCK);
    // What a drill that was killed left.
    files::remove(&folder)?;
    let work = async {
        let mut done = Done::default();
        if turn::drills_dump(config).await {
            done = of_dump(config, folder.join("dump")).await?;
        }
        if turn::drills_archive(config).await? {
            let replayed = of_archive(config, folder.join("wal")).await?;
            done.detail = [done.detail, replayed]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("; ");
        }
        Ok(done)
    };
    let result = tokio::time::timeout(drill.times.timeout, work)
        .await
        .unwrap_or_else(|_| {
            let limit = crate::text::duration(drill.times.timeout);
            Err(
                BackupFailure::new(format!("the drill did not end within {limit}"))
                    .cure("allow it more time with backup.drill.timeoutSeconds, or more jobs"),
            )
        });
    files::remove(&folder)?;
    result
}

async fn of_dump(config: &Config, folder: PathBuf) -> Result<Done> {
    let (Some(dump), Some(drill)) = (&config.dump, &config.drill) else {
        return Ok(Done::default());
    };
    let dumps = Dumps::new(&dump.directory);
    let manifest = newest(&dumps)?;
    // What an earlier drill found is looked for again.
    let _ = verify::dump(config, &dumps, &manifest).await?;
    files::folder(&folder)?;
    files::need_room(
        &folder,
        manifest.database_size + manifest.database_size / 2,
        "the drill",
    )?;
    crate::database::check_program(config, "postgres", manifest.server_major).await?;
    let scratch = Scratch::new(config, &folder, USER)?;
    scratch.init(&manifest.locale).await?;
    scratch.configure(false).await?;
    let server = scratch.start(START).await?;
    let compared = restore_and_compare(config, &dumps, &manifest, &scratch, drill.jobs).await;
    server.abandon().await;
    let rows = compared?;
    Ok(Done {
        detail: format!(
            "dump {}: {} tables and {rows} rows as recorded",
            manifest.id,
            manifest.tables.len()
        ),
        size: Some(manifest.size),
        subject: Some(manifest.id),
    })
}

/// The newest dump, even if it seems bad: the drill must judge it.
fn newest(dumps: &Dumps) -> Result<Manifest> {
    let (mut all, unreadable) = dumps.list()?;
    match (all.pop(), unreadable.into_iter().next()) {
        (Some(manifest), _) => Ok(manifest),
        (None, Some(failure)) => Err(failure),
        (None, None) => {
            Err(BackupFailure::new("there is no dump yet").cure("slipway-backup now --kind dump"))
        }
    }
}

async fn restore_and_compare(
    config: &Config,
    dumps: &Dumps,
    manifest: &Manifest,
    scratch: &Scratch,
    jobs: u32,
) -> Result<u64> {
    let limit = drill_time(config);
    let mut superuser = scratch.login("postgres").connect().await?;
    scratch.make_guest(&mut superuser).await?;
    sqlx::query(&format!(
        "CREATE DATABASE {DATABASE} OWNER {GUEST} TEMPLATE template0"
    ))
    .execute(&mut superuser)
    .await
    .map_err(query_failed("make the scratch database"))?;
    let guest = scratch.guest(DATABASE);
    let restore = Restore {
        config,
        dump: dumps.file(&manifest.id),
        folder: scratch.folder(),
        superuser: &scratch.login(DATABASE),
        owner: &guest,
        owner_role: GUEST,
        jobs,
        limit,
    };
    let restored = async {
        let entries = restore.begin().await?;
        // From here on nobody is superuser in this server, whatever the dump's code finds.
        sqlx::query(&format!("ALTER ROLE {USER} NOLOGIN"))
            .execute(&mut superuser)
            .await
            .map_err(query_failed("close the scratch server"))?;
        let _ = superuser.close().await;
        restore.fill(&entries).await
    };
    restored.await.map_err(|failure| {
        if failure.is_verdict() {
            failure
                .during(format!("the dump {} does not restore", manifest.id))
                .cure("an older dump may: slipway-backup restore --dump ID; make a new one and drill again")
        } else {
            failure.during(format!(
                "the dump {} could not be restored for the drill",
                manifest.id
            ))
        }
    })?;
    let mut connection = guest.connect().await?;
    content::prepare(&mut connection, limit).await?;
    let found = content::read(&mut connection, limit).await?;
    let differences = content::differences(&manifest.tables, &found);
    if differences.is_empty() {
        return Ok(found.iter().map(|table| table.rows).sum());
    }
    let why = format!(
        "the dump {} does not hold what was in the database when it was made",
        manifest.id
    );
    dumps.condemn(manifest, &format!("{DRILL_FOUND}{}", differences.join("; ")))?;
    Err(BackupFailure::new(why).printed(differences).cure(
        "make a new dump at once and drill again; if it differs too, look at the disk (dmesg, smartctl) and at who \
         writes to the folder of dumps",
    ))
}

fn drill_time(config: &Config) -> Duration {
    config.drill.as_ref().map_or(START, |drill| drill.times.timeout)
}

/// Restores the newest base backup, replays the archive to its end, and reads every table.
async fn of_archive(config: &Config, folder: PathBuf) -> Result<String> {
    let Some(wal) = &config.wal else {
        return Ok(String::new());
    };
    let stanza = wal::info(wal).await?;
    let Some(base) = stanza.as_ref().and_then(|stanza| stanza.backup.last()) else {
        return Err(
            BackupFailure::new("there is no base backup yet").cure("slipway-backup now --kind wal-base")
        );
    };
    files::folder(&folder)?;
    files::need_room(&folder, base.size() + base.size() / 5, "the drill")?;
    let scratch = Scratch::new(
        config,
        &folder,
        config.database.admin.as_deref().unwrap_or("postgres"),
    )?;
    time::files(
        config,
        wal,
        &scratch.data(),
        &time::Target::Latest,
        drill_time(config),
    )
    .await?;
    scratch.configure(false).await?;
    let mut server = time::recover(&scratch, drill_time(config)).await?;
    let read = async {
        let_in(&scratch, &config.database.name).await?;
        let mut connection = scratch.guest(&config.database.name).connect().await?;
        content::prepare(&mut connection, drill_time(config)).await?;
        let tables = content::read(&mut connection, drill_time(config)).await;
        let _ = connection.close().await;
        tables
    }
    .await;
    let ended = server.ended();
    server.abandon().await;
    let tables = read.map_err(|failure| {
        if ended {
            failure.printed(scratch.log())
        } else {
            failure
        }
        .during("the recovered cluster cannot be read")
    })?;
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    Ok(format!(
        "base {} and its archive: {} tables and {rows} rows read",
        base.label,
        tables.len()
    ))
}

/// Makes a role that may read the recovered database and no more: to plan a query may run code of the service.
async fn let_in(scratch: &Scratch, database: &str) -> Result<()> {
    let mut superuser = scratch.login("postgres").connect().await?;
    scratch.make_guest(&mut superuser).await?;
    for statement in [
        format!("GRANT pg_read_all_data TO {GUEST}"),
        format!("GRANT CONNECT ON DATABASE {} TO {GUEST}", quoted(database)),
    ] {
        sqlx::query(&statement)
            .execute(&mut superuser)
            .await
            .map_err(query_failed("let a role read the recovered database"))?;
    }
    let _ = superuser.close().await;
    Ok(())
}
