//! Backups of a cluster of three, and back in time with all its members.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use crate::cluster::text;
use crate::members::{Members, NAMES};

#[test]
fn a_cluster_is_backed_up_by_its_leader_and_goes_back_in_time_with_all_members() {
    let mut members = Members::start();
    let (leaders, others) = members.roles();
    let (leader, standby) = (leaders[0], others[0]);
    members.sql(
        leader,
        "postgres",
        // As the module's setup makes it.
        "SET synchronous_commit = local; SET client_min_messages = warning; CREATE SCHEMA slipway_backup;
         CREATE TABLE slipway_backup.runs (stack text, kind text, record jsonb NOT NULL, PRIMARY KEY (stack, kind))",
    );
    members.sql(leader, "postgres", "CREATE DATABASE shop");
    members.sql(
        leader,
        "shop",
        "CREATE TABLE events (n int); INSERT INTO events SELECT generate_series(1, 10)",
    );

    one_makes_it_and_all_know(&members, leader, standby);
    drills_are_shared(&members, leader, standby);
    a_standby_restores_nothing_live(&members, leader, standby);
    all_go_back(&members, leader);
    let next = the_next_leader_goes_on(&mut members, leader);
    one_older_than_the_archive_says_so(&mut members, leader, next);
}

fn one_makes_it_and_all_know(members: &Members, leader: &str, standby: &str) {
    let printed = members.good(standby, &["now", "--kind", "all"]);
    assert!(
        printed.contains(&format!(
            "dump: nothing to do on {standby}: {leader} leads and makes it"
        )),
        "{printed}"
    );
    assert!(members.good(leader, &["prepare"]).contains("(full)"));
    members.good(leader, &["now", "--kind", "dump"]);
    members.until("the standby has the record", |members| {
        members.kind(standby, "dump")["maker"] == leader
    });
    let status = members.status(standby);
    assert!(status["ok"].as_bool().unwrap(), "{status}");
    assert_eq!(status["cluster"]["leader"], leader);
    assert_eq!(members.kind(standby, "wal-base")["watched_by"], leader);
    assert!(members.kind(leader, "wal-base")["watched_by"].is_null());
}

/// The archive is drilled on a standby, and the dump where it is.
fn drills_are_shared(members: &Members, leader: &str, standby: &str) {
    let printed = members.good(standby, &["drill"]);
    assert!(
        printed.contains("and its archive: 1 tables and 10 rows read"),
        "{printed}"
    );
    let printed = members.good(leader, &["drill"]);
    assert!(
        printed.contains("10 rows as recorded") && !printed.contains("its archive"),
        "{printed}"
    );
}

fn a_standby_restores_nothing_live(members: &Members, leader: &str, standby: &str) {
    for arguments in [
        ["restore", "--dump", "latest"].as_slice(),
        &["restore", "--to", "latest", "--replace"],
    ] {
        let printed = members.bad(standby, arguments);
        assert!(
            printed.contains(&format!("{leader} leads the cluster main")),
            "{printed}"
        );
        assert!(printed.contains(&format!("run it on {leader}")), "{printed}");
    }
}

/// Back to before a mistake. The run is killed at two moments, after which Patroni is paused.
fn all_go_back(members: &Members, leader: &str) {
    std::thread::sleep(Duration::from_secs(1));
    let moment = members.sql(
        leader,
        "shop",
        "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
    );
    std::thread::sleep(Duration::from_millis(100));
    members.sql(leader, "shop", "DELETE FROM events");
    let back = ["restore", "--to", &moment, "--replace"];
    for word in ["Patroni is paused", "leads with the restored data"] {
        let mut run = members
            .backup(leader, &back)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let said = lines.find(|line| line.contains(word));
        // Another one would end its pause, or remove what it is about to put in place.
        if run.try_wait().unwrap().is_none() {
            for second in [["restore", "--resume"].as_slice(), &back] {
                assert!(
                    members
                        .bad(leader, second)
                        .contains("another run holds the lock `restore`")
                );
            }
        }
        run.kill().unwrap();
        let output = run.wait_with_output().unwrap();
        assert!(
            said.is_some(),
            "the restore did not say that {word}: {}",
            text(&output)
        );
        let status = members.status(leader);
        assert!(
            !status["ok"].as_bool().unwrap()
                && status["cluster"]["cure"]
                    .as_str()
                    .unwrap()
                    .contains("slipway-backup restore --resume"),
            "{status}"
        );
        assert!(members.bad(leader, &back).contains("is not finished"));
        let printed = members.good(leader, &["restore", "--resume"]);
        members.until("all members are back", Members::is_whole);
        assert!(
            members
                .bad(leader, &["restore", "--resume"])
                .contains("no restore")
        );
        let rows = members.rows(leader);
        assert_eq!(
            rows,
            if printed.contains("Nothing was restored") {
                "0"
            } else {
                "10"
            },
            "{printed}"
        );
        if rows == "10" {
            break;
        }
    }
    members.until("the standbys have the restored rows", |members| {
        NAMES.iter().all(|name| members.rows(name) == "10")
    });
    members.good(leader, &["now", "--kind", "all"]);
}

/// The leader dies, and the next one goes on in the same archive.
fn the_next_leader_goes_on(members: &mut Members, leader: &str) -> &'static str {
    members.cut(leader);
    members.until("another member leads", |members| !members.roles().0.is_empty());
    let next = members.roles().0[0];
    let printed = members.good(next, &["prepare"]);
    assert!(
        printed.contains("wal-base: 20"),
        "a new timeline has its base backup: {printed}"
    );
    assert!(members.good(next, &["prepare"]).contains("are there"));
    let status = members.status(next);
    assert!(status["ok"].as_bool().unwrap(), "{status}");
    assert_eq!(members.kind(next, "dump")["maker"], leader);
    assert_eq!(members.kind(next, "wal-base")["maker"], next);
    next
}

/// The dead leader comes back as a standby that follows nobody, after the archive let go of what it needs.
fn one_older_than_the_archive_says_so(members: &mut Members, old: &str, leader: &str) {
    for _ in 0..3 {
        members.sql(
            leader,
            "shop",
            "INSERT INTO events VALUES (0); SELECT pg_switch_wal()",
        );
        members.full_backup(leader);
    }
    members.start_alone(old);
    members.until("the old member answers", |members| {
        members.roles().1.contains(&old)
    });
    let status = members.status(old);
    let archive = &status["archive"];
    assert!(
        archive["error"]
            .as_str()
            .unwrap()
            .contains(&format!("{old} is older than the archive")),
        "{status}"
    );
    let cure = format!("copy {leader} anew: slipway-cluster-patronictl reinit main {old}");
    assert!(archive["cure"].as_str().unwrap().contains(&cure), "{status}");
}
