//! Part `backup`: a dump and its restore by `slipway-backup`, beside Postgres' own programs alone.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use slipway_dev::programs;
use slipway_dev::run::Run;
use slipway_dev::run_dir::write_private;
use slipway_dev::say::say;
use slipway_dev::spec::Spec;
use slipway_dev::stack::DevStack;

use crate::figures::{Figure, Figures, median};

const PART: &str = "backup";
const DATABASE: &str = "bench_backup";
const SUPERUSER: &str = "postgres";
/// Each is measured so often, in turns, and the median counts.
const ROUNDS: usize = 3;
const LIMIT: Duration = Duration::from_hours(1);
/// A row of the table below with what Postgres keeps of it.
const ROW_BYTES: u64 = 216;

pub(crate) async fn measure(run: &Run, stack: &DevStack, mib: u64, figures: &mut Figures) -> Result<()> {
    say(&format!("filling a database with {mib} MiB"));
    fill(stack, mib * 1024 * 1024 / ROW_BYTES).await?;
    let folder = run.dir.folder("backup", None)?;
    let config = configure(stack, &folder)?;
    let ours = |name: &str| {
        let spec = Spec::new(name, stack.binaries.backup()?);
        anyhow::Ok(spec.args(["--config".as_ref(), config.as_os_str()]))
    };
    let bin = programs::postgres_bin()?;
    let theirs = |name: &str| {
        let spec = Spec::new(name, bin.join(name));
        spec.env("PGPASSWORD", &stack.postgres.admin_password)
            .args(["--host=127.0.0.1", &format!("--port={}", stack.postgres.port)])
            .args([format!("--username={SUPERUSER}")])
    };
    let file = folder.join("alone.dump");
    let mut took: [(&str, Vec<f64>); 4] = [
        ("dump by pg_dump", Vec::new()),
        ("dump by slipway-backup", Vec::new()),
        ("restore by pg_restore", Vec::new()),
        ("restore by slipway-backup", Vec::new()),
    ];
    for round in 1..=ROUNDS {
        let restored = format!("restored_{round}");
        let again = format!("again_{round}");
        query(stack, SUPERUSER, &format!("CREATE DATABASE {again}")).await?;
        let works = [
            theirs("pg_dump")
                .args(["--format=custom", "--file"])
                .args([file.as_os_str(), DATABASE.as_ref()]),
            ours("backup-dump")?.args(["now", "--here", "--kind", "dump"]),
            theirs("pg_restore")
                .args(["--exit-on-error", &format!("--dbname={again}")])
                .args([&file]),
            ours("backup-restore")?.args(["restore", "--dump", "latest", "--into", &restored]),
        ];
        for (work, (name, took)) in works.into_iter().zip(&mut took) {
            let start = Instant::now();
            run.supervisor.run(work, LIMIT).await.context(*name)?;
            let seconds = start.elapsed().as_secs_f64();
            say(&format!("{name}, round {round}: {seconds:.1} s"));
            took.push(seconds);
        }
        for database in [restored, again] {
            query(stack, SUPERUSER, &format!("DROP DATABASE {database}")).await?;
        }
    }
    for (name, took) in took {
        figures.add(
            PART,
            &format!("{mib} MiB: {name}"),
            Figure::cost(median(took), "s"),
        );
    }
    Ok(())
}

/// Rows that compress about as badly as those of real tables: half of each is random.
async fn fill(stack: &DevStack, rows: u64) -> Result<()> {
    query(stack, SUPERUSER, &format!("CREATE DATABASE {DATABASE}")).await?;
    let table = "CREATE TABLE orders (id bigint, at timestamptz, customer text, note text, amount numeric)";
    query(stack, DATABASE, table).await?;
    // One statement for all would be cut off as too long.
    for first in (0..rows).step_by(1_000_000) {
        let last = rows.min(first + 1_000_000);
        let some = format!(
            "INSERT INTO orders
             SELECT n, now() - n * interval '1 second', md5(n::text) || md5((n + 1)::text),
                    repeat('abcd', 16) || (n % 1000), n * 1.25
             FROM generate_series({first} + 1, {last}) AS n"
        );
        query(stack, DATABASE, &some).await?;
    }
    query(stack, DATABASE, "ALTER TABLE orders ADD PRIMARY KEY (id)").await?;
    query(stack, DATABASE, "VACUUM ANALYZE orders").await
}

async fn query(stack: &DevStack, database: &str, sql: &str) -> Result<()> {
    let asked = tokio::time::timeout(LIMIT, stack.postgres.query(SUPERUSER, database, sql));
    asked.await.context("Postgres takes too long")?.map(drop)
}

fn configure(stack: &DevStack, folder: &Path) -> Result<std::path::PathBuf> {
    let url = folder.join("url");
    write_private(&url, &stack.postgres.admin_url_of(DATABASE), None)?;
    let times = json!({ "timeout_seconds": LIMIT.as_secs(), "late_after_seconds": 93_600 });
    let content = json!({
        "stack": "bench",
        "state_dir": folder.join("state"),
        "database": {
            "name": DATABASE, "url_file": { "path": url }, "admin": SUPERUSER, "bin_dir": programs::postgres_bin()?,
        },
        "dump": { "directory": folder.join("dumps"), "keep_days": 7, "times": times },
    });
    for part in ["state", "dumps"] {
        std::fs::create_dir(folder.join(part))?;
    }
    let config = folder.join("config.json");
    write_private(&config, &content.to_string(), None)?;
    Ok(config)
}
