//! How long it takes to come back, for docs/backup-and-restore.md: `cargo bench -p slipway-backup`. It takes minutes, and 6 GB
//! in /tmp.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "whoever starts it reads what it prints, and a step that fails must end it"
)]

#[expect(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../tests/it/cluster.rs"]
mod cluster;

use std::time::Instant;

use cluster::{Cluster, archive, postgres_bin};

/// Of pgbench; 64 are about 1 GB.
const SCALE: &str = "64";

fn main() {
    let mut cluster = Cluster::start_with("archive_mode = on\nwal_level = replica\nmax_wal_size = 4GB");
    archive(&mut cluster);
    cluster.sql("postgres", "ALTER SYSTEM SET archive_command = 'true'");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    let filled = cluster
        .command(&postgres_bin().join("pgbench"))
        .args(["-q", "-i", "-s", SCALE, "-U", "postgres", "-h"])
        .arg(cluster.folder.path())
        .arg("shop")
        .output()
        .unwrap();
    assert!(filled.status.success(), "{}", cluster::text(&filled));
    archive(&mut cluster);
    let size = cluster.sql("shop", "SELECT pg_size_pretty(pg_database_size('shop'))");
    println!(
        "| {size}, {} cores | seconds |\n|---|---|",
        std::thread::available_parallelism().unwrap()
    );
    let timed = |cluster: &Cluster, what: &str, arguments: &[&str]| {
        let start = Instant::now();
        cluster.good(arguments);
        println!("| {what} | {:.1} |", start.elapsed().as_secs_f64());
    };
    timed(
        &cluster,
        "dump, with counts and checksums",
        &["now", "--kind", "dump"],
    );
    timed(&cluster, "full base backup", &["now", "--kind", "wal-base"]);
    timed(&cluster, "drill of both", &["drill"]);
    timed(&cluster, "verify both", &["verify"]);
    timed(
        &cluster,
        "lost row: dump into a database beside",
        &["restore", "--dump", "latest"],
    );
    timed(
        &cluster,
        "lost row: the whole server beside, recovered",
        &["restore", "--to", "latest"],
    );
    cluster.sql("postgres", "DROP DATABASE shop");
    timed(
        &cluster,
        "lost database: from the dump",
        &["restore", "--dump", "latest", "--into", "shop"],
    );
    cluster.sql(
        "shop",
        "INSERT INTO pgbench_history (tid) SELECT generate_series(1, 1000000)",
    );
    cluster.sql("postgres", "SELECT pg_switch_wal()");
    cluster.halt(true);
    let start = Instant::now();
    cluster.good(&["restore", "--to", "latest", "--replace"]);
    cluster.boot();
    println!(
        "| lost disk: base backup in place, archive replayed, server up | {:.1} |",
        start.elapsed().as_secs_f64()
    );
    assert_eq!(
        cluster.sql("shop", "SELECT count(*) FROM pgbench_history"),
        "1000000"
    );
}
