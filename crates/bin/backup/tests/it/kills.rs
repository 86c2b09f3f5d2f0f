//! Dumps and restores whose programs are missing, late or killed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, postgres_bin};
use crate::dump::shop;

/// A folder with the server's programs, of which one is another.
fn programs_with(cluster: &mut Cluster, name: &str, script: Option<&str>) {
    let folder = cluster.path("programs");
    let _ = std::fs::remove_dir_all(&folder);
    cluster.make_folder("programs");
    for entry in std::fs::read_dir(postgres_bin()).unwrap() {
        let path = entry.unwrap().path();
        std::os::unix::fs::symlink(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    std::fs::remove_file(folder.join(name)).unwrap();
    if let Some(script) = script {
        let path = cluster.write(&format!("programs/{name}"), &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    cluster.config["database"]["bin_dir"] = json!(folder);
}

#[test]
fn a_program_that_is_missing_killed_or_late_says_nothing_about_a_dump() {
    let mut cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let usual = cluster.config.clone();
    for (script, expected) in [
        (None, "cannot start pg_restore"),
        (Some("kill -KILL $$"), "was ended by a signal"),
        (Some("exec sleep 600"), "did not end within 1.0 s"),
        (Some("echo out of memory >&2; exit 1"), "out of memory"),
    ] {
        programs_with(&mut cluster, "pg_restore", script);
        cluster.config["dump"]["times"]["timeout_seconds"] = json!(1);
        let verified = cluster.bad(&["verify"]);
        assert!(
            verified.contains(expected) && !verified.contains("make a new dump"),
            "{expected}: {verified}"
        );
        let drilled = cluster.bad(&["drill"]);
        assert!(drilled.contains(expected), "{expected}: {drilled}");
        assert!(
            cluster.list()["dumps"][0]["bad"].is_null(),
            "{expected}: {}",
            cluster.list()
        );
        cluster.config = usual.clone();
    }
    cluster.good(&["restore", "--dump", "latest"]);
    cluster.good(&["verify"]);
}

#[test]
fn a_dump_whose_file_is_whole_again_counts_again() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let id = cluster.dumps().remove(0);
    let file = cluster.path("dumps").join(format!("{id}.dump"));
    let away = cluster.path("away");
    std::fs::rename(&file, &away).unwrap();
    assert!(
        cluster
            .bad(&["verify"])
            .contains("is gone, and its manifest is there")
    );
    assert!(
        cluster
            .bad(&["restore", "--dump", "latest"])
            .contains("no complete dump")
    );
    std::fs::rename(&away, &file).unwrap();
    cluster.good(&["verify"]);
    cluster.good(&["restore", "--dump", "latest"]);

    // What a drill has found is about the content: no look at the file takes it back.
    let path = cluster.path("dumps").join(format!("{id}.json"));
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    manifest["bad"] = json!("a drill found: public.customers has 500 rows instead of 501");
    cluster.write(&format!("dumps/{id}.json"), &manifest.to_string());
    assert!(cluster.bad(&["verify"]).contains("is marked bad: a drill found"));
    assert!(
        cluster
            .bad(&["restore", "--dump", "latest"])
            .contains("no complete dump")
    );
}

/// `psql` that stays in a database for as long as the answer is not read.
fn session(cluster: &Cluster, database: &str, sql: &str) -> std::process::Child {
    cluster
        .command(&postgres_bin().join("psql"))
        .args(["-qX", "-U", "postgres", "-d", database, "-h"])
        .arg(cluster.folder.path())
        .args(["-c", sql])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits until the query's answer is `t`.
pub(crate) fn wait_for(cluster: &Cluster, what: &str, query: &str) {
    let end = Instant::now() + Duration::from_mins(1);
    while cluster.sql("postgres", query) != "t" {
        assert!(Instant::now() < end, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn kill(run: &mut std::process::Child) {
    rustix::process::kill_process(
        rustix::process::Pid::from_child(run),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    run.wait().unwrap();
}

#[test]
fn a_table_that_a_migration_holds_does_not_hold_a_dump_for_ever() {
    let mut cluster = shop();
    cluster.config["dump"]["times"]["timeout_seconds"] = json!(3);
    let mut migration = session(
        &cluster,
        "shop",
        "BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)",
    );
    let held =
        "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL";
    wait_for(&cluster, "the lock", held);
    let mut run = cluster
        .backup_command(&["now", "--kind", "dump"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    let status = loop {
        if let Some(status) = run.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "the dump waits for ever");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(!status.success());
    let dump = cluster.status_of("dump");
    assert!(dump["error"].is_string() && dump["cure"].is_string(), "{dump}");
    kill(&mut migration);
    let asleep = "SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    cluster.sql(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()",
    );
    wait_for(&cluster, "the end of the migration", asleep);
    cluster.config["dump"]["times"]["timeout_seconds"] = json!(120);
    cluster.good(&["now", "--kind", "dump"]);
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_that_passes_for_a_database() {
    let cluster = shop();
    cluster.sql(
        "shop",
        "CREATE TABLE bulk AS SELECT n, md5(n::text) AS x FROM generate_series(1, 300000) n; CREATE INDEX ON bulk (x)",
    );
    cluster.good(&["now", "--kind", "dump"]);
    for _ in 0..2 {
        let mut run = cluster
            .backup_command(&["restore", "--dump", "latest", "--into", "back"])
            .spawn()
            .unwrap();
        wait_for(
            &cluster,
            "the restore",
            "SELECT count(*) > 0 FROM pg_database WHERE datname LIKE 'back%'",
        );
        kill(&mut run);
        assert_eq!(
            cluster.sql(
                "postgres",
                "SELECT datname FROM pg_database WHERE datname LIKE 'back%'"
            ),
            "back_unfinished"
        );
    }
    cluster.good(&["restore", "--dump", "latest", "--into", "back"]);
    assert_eq!(
        cluster.sql(
            "postgres",
            "SELECT datname FROM pg_database WHERE datname LIKE 'back%'"
        ),
        "back"
    );
    assert_eq!(cluster.sql("back", "SELECT count(*) FROM bulk"), "300000");
}

#[test]
fn a_swap_happens_whole_or_not_at_all() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    cluster.sql("shop", "DELETE FROM customers WHERE id <= 100");
    let draft = format!(
        "shop_restored_{}_unfinished",
        cluster.dumps().remove(0).to_lowercase()
    );
    // Somebody who connects again and again, as a pool does.
    let mut pool = cluster
        .command(std::path::Path::new("sh"))
        .args(["-c", "while :; do \"$@\"; done", "sh"])
        .arg(postgres_bin().join("psql"))
        .args([
            "-qX",
            "-U",
            "postgres",
            "-d",
            "shop",
            "-c",
            "SELECT pg_sleep(0.2)",
            "-h",
        ])
        .arg(cluster.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let databases =
        "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE 'shop%'";

    // A session in the restored one stops the swap behind its first rename, and it is killed there.
    let mut run = cluster
        .backup_command(&["restore", "--dump", "latest", "--swap"])
        .spawn()
        .unwrap();
    let there = format!("SELECT count(*) > 0 FROM pg_database WHERE datname = '{draft}'");
    wait_for(&cluster, "the restored database", &there);
    let mut guest = session(&cluster, &draft, "SELECT pg_sleep(600)");
    wait_for(
        &cluster,
        "the second rename",
        &format!(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE query = 'ALTER DATABASE \"{draft}\" RENAME TO \"shop\"'"
        ),
    );
    kill(&mut run);
    assert_eq!(
        cluster.sql("shop", "SELECT count(*) FROM customers"),
        "400",
        "the live one is as it was"
    );
    assert_eq!(cluster.sql("postgres", databases), format!("shop,{draft}"));

    // The guest is still there: the next restore sees it off.
    cluster.good(&["restore", "--dump", "latest", "--swap"]);
    assert_eq!(cluster.sql("shop", "SELECT count(*) FROM customers"), "500");
    let names = cluster.sql("postgres", databases);
    assert!(
        names.starts_with("shop,shop_before_") && !names.contains("restored"),
        "{names}"
    );
    let _ = guest.kill();
    guest.wait().unwrap();
    kill(&mut pool);
}
