//! The archive and base backups: back to a moment between two transactions.

use std::time::Duration;

use serde_json::json;

use crate::cluster::{Cluster, archive};

const SETTINGS: &str = "archive_mode = on\narchive_timeout = 0\nwal_level = replica";

fn archived() -> Cluster {
    let mut cluster = Cluster::start_with(SETTINGS);
    archive(&mut cluster);
    cluster.sql(
        "shop",
        "CREATE TABLE events (n int, at timestamptz DEFAULT clock_timestamp())",
    );
    cluster
}

/// A moment after what is committed, and before what comes next.
fn moment(cluster: &Cluster) -> String {
    std::thread::sleep(Duration::from_millis(50));
    let at = cluster.sql(
        "shop",
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    );
    std::thread::sleep(Duration::from_millis(50));
    at
}

#[test]
fn the_server_goes_back_to_a_moment_between_two_transactions() {
    let mut cluster = archived();
    let printed = cluster.good(&["prepare"]);
    assert!(printed.contains("(full)"), "{printed}");
    assert!(
        cluster.good(&["prepare"]).contains("are there"),
        "again it does nothing"
    );
    cluster.sql("shop", "INSERT INTO events VALUES (1)");
    // Base backups are finished to the second.
    std::thread::sleep(Duration::from_secs(1));
    let between = moment(&cluster);
    cluster.sql("shop", "INSERT INTO events VALUES (2)");
    cluster.sql("shop", "DROP TABLE events");

    let into = cluster.path("beside");
    let printed = cluster.good(&["restore", "--to", &between, "--into", into.to_str().unwrap()]);
    assert!(
        printed.contains("Nothing live was touched") && printed.contains("pg_dump -h"),
        "{printed}"
    );
    let printed = cluster.bad(&["restore", "--to", &between, "--replace"]);
    assert!(
        printed.contains("nothing is written over a running one"),
        "{printed}"
    );

    cluster.halt(false);
    std::fs::remove_dir_all(cluster.path("data/base")).unwrap();
    let printed = cluster.good(&["restore", "--to", &between, "--replace"]);
    assert!(
        printed.contains("is kept as") && printed.contains("systemctl start"),
        "{printed}"
    );
    cluster.boot();
    assert_eq!(
        cluster.sql("shop", "SELECT string_agg(n::text, ',') FROM events"),
        "1"
    );

    // Life goes on, on a timeline of its own, and the first one can still be returned to.
    cluster.sql("shop", "INSERT INTO events VALUES (3)");
    cluster.good(&["now", "--kind", "wal-base"]);
    assert_eq!(
        cluster.sql("shop", "SELECT timeline_id FROM pg_control_checkpoint()"),
        "2"
    );
    let into = cluster.path("latest");
    cluster.good(&["restore", "--to", "latest", "--into", into.to_str().unwrap()]);
    let old = cluster.path("old");
    let old = old.to_str().unwrap();
    cluster.good(&[
        "restore",
        "--to",
        &between,
        "--into",
        old,
        "--timeline",
        "current",
        "--pause",
    ]);
}

#[test]
fn moments_that_cannot_be_reached_are_refused_with_the_window() {
    let cluster = archived();
    let printed = cluster.bad(&["restore", "--to", "latest"]);
    assert!(printed.contains("no base backup to begin from"), "{printed}");
    let printed = cluster.bad(&["drill"]);
    assert!(printed.contains("there is no dump yet"), "{printed}");
    cluster.good(&["now", "--kind", "wal-base"]);
    let printed = cluster.bad(&["restore", "--to", "2020-01-01T00:00:00Z"]);
    assert!(
        printed.contains("before the oldest base backup") && printed.contains("from 20"),
        "{printed}"
    );
    let printed = cluster.bad(&["restore", "--to", "2100-01-01T00:00:00Z"]);
    assert!(printed.contains("has not come yet"), "{printed}");
    let taken = cluster.make_folder("taken");
    std::fs::write(taken.join("file"), "").unwrap();
    let printed = cluster.bad(&["restore", "--to", "latest", "--into", taken.to_str().unwrap()]);
    assert!(printed.contains("is not empty"), "{printed}");
}

#[test]
fn base_backups_follow_one_another_and_a_drill_replays_the_archive() {
    let cluster = archived();
    cluster.sql("shop", "INSERT INTO events SELECT generate_series(1, 1000)");
    cluster.good(&["now", "--kind", "all"]);
    let printed = cluster.good(&["now", "--kind", "wal-base"]);
    assert!(printed.contains("(incr)"), "{printed}");
    let printed = cluster.good(&["drill"]);
    assert!(
        printed.contains("1 tables and 1000 rows as recorded"),
        "{printed}"
    );
    assert!(printed.contains("1 tables and 1000 rows read"), "{printed}");
    cluster.good(&["verify"]);
    let status = cluster.status();
    assert!(status["ok"].as_bool().unwrap(), "{status}");
    assert_eq!(status["archive"]["waiting_segments"], json!(0));
}

#[test]
fn an_archive_that_fails_shows_in_the_status() {
    let mut cluster = archived();
    cluster.good(&["now", "--kind", "wal-base"]);
    cluster.config["wal"]["archive_late_after_seconds"] = json!(1);
    cluster.sql("postgres", "ALTER SYSTEM SET archive_command = 'false'");
    cluster.sql("postgres", "SELECT pg_reload_conf()");
    cluster.sql("shop", "INSERT INTO events VALUES (1)");
    cluster.sql("postgres", "SELECT pg_switch_wal()");
    std::thread::sleep(Duration::from_secs(3));
    let status = cluster.status();
    assert!(!status["ok"].as_bool().unwrap());
    let archive = &status["archive"];
    assert!(
        archive["error"]
            .as_str()
            .unwrap()
            .contains("wait for the archive"),
        "{archive}"
    );
    assert!(
        archive["cure"]
            .as_str()
            .unwrap()
            .contains("journalctl -u postgresql"),
        "{archive}"
    );
    assert!(archive["lag_seconds"].as_f64().unwrap() > 1.0, "{archive}");
}

#[test]
fn an_empty_cluster_beside_anothers_archive_is_not_well() {
    let mut cluster = archived();
    cluster.good(&["now", "--kind", "all"]);
    assert!(cluster.status()["ok"].as_bool().unwrap(), "{}", cluster.status());
    cluster.halt(true);
    std::fs::rename(cluster.path("data"), cluster.path("lost")).unwrap();
    cluster.initialise(SETTINGS);
    cluster.boot();
    cluster.sql("postgres", "CREATE DATABASE shop");

    let printed = cluster.bad(&["verify"]);
    assert!(
        printed.contains("the archive is of another database cluster")
            && printed.contains("restore --to latest --replace"),
        "{printed}"
    );
    let status = cluster.status();
    assert!(!status["ok"].as_bool().unwrap() && !status["archive"]["ok"].as_bool().unwrap());
    assert!(
        status["archive"]["error"]
            .as_str()
            .unwrap()
            .contains("nothing of this server is kept"),
        "{status}"
    );
    // What runs at boot says so as well, to those who do not read its log.
    cluster.bad(&["prepare"]);
    let base = cluster.status_of("wal-base");
    assert!(
        base["failed"].as_bool().unwrap() && base["cure"].as_str().unwrap().contains("stanza-upgrade"),
        "{base}"
    );

    cluster.halt(true);
    let printed = cluster.good(&["restore", "--to", "latest", "--replace"]);
    assert!(printed.contains("what was there is kept as"), "{printed}");
    cluster.boot();
    cluster.good(&["now", "--kind", "all"]);
    cluster.good(&["verify"]);
    assert!(cluster.status()["ok"].as_bool().unwrap(), "{}", cluster.status());
}

#[test]
fn a_replacement_that_is_killed_never_leaves_the_server_without_its_cluster() {
    let mut cluster = archived();
    cluster.good(&["now", "--kind", "wal-base"]);
    cluster.sql("shop", "INSERT INTO events VALUES (1)");
    cluster.sql("postgres", "SELECT pg_switch_wal()");
    cluster.halt(true);
    for pause in [0, 20, 50, 100, 200, 400, 800] {
        let mut run = cluster
            .backup_command(&["restore", "--to", "latest", "--replace"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&run),
            rustix::process::Signal::KILL,
        );
        run.wait().unwrap();
        assert!(
            cluster.path("data/global/pg_control").exists(),
            "killed after {pause} ms, no cluster is there"
        );
    }
    cluster.good(&["restore", "--to", "latest", "--replace"]);
    assert!(!cluster.path("data.restoring").exists() && !cluster.path("data.restored").exists());
    cluster.boot();
    assert_eq!(cluster.sql("shop", "SELECT count(*) FROM events"), "1");
}
