//! Dumps: made, kept, checked, drilled and restored.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, postgres_bin};

/// Types whose text depends on the session, a policy, a partition, a generated column, a large field.
const SHOP: &str = "
    CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, since timestamptz,
                            score double precision, span interval, raw bytea,
                            folded text GENERATED ALWAYS AS (lower(name)) STORED);
    INSERT INTO customers (name, since, score, span, raw)
      SELECT 'Ä customer ' || n, '2026-01-01 12:00+02'::timestamptz + n * interval '1 h', n / 3.0, n * interval '1 d',
             decode(md5(n::text), 'hex')
      FROM generate_series(1, 500) n;
    CREATE TABLE orders (at date NOT NULL, total numeric) PARTITION BY RANGE (at);
    CREATE TABLE orders_old PARTITION OF orders FOR VALUES FROM ('2020-01-01') TO ('2026-01-01');
    CREATE TABLE orders_new PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2030-01-01');
    INSERT INTO orders SELECT '2025-12-01'::date + n, n FROM generate_series(1, 100) n;
    CREATE TABLE notes (id int, body text);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    INSERT INTO notes SELECT n, repeat('x', 3000) FROM generate_series(1, 20) n;
    CREATE SCHEMA \"Odd schema\"; CREATE TABLE \"Odd schema\".\"a \"\"table\"\"\" (x json);
    INSERT INTO \"Odd schema\".\"a \"\"table\"\"\" VALUES ('{\"a\": 1}');";

pub(crate) fn shop() -> Cluster {
    let cluster = Cluster::start();
    cluster.sql("shop", SHOP);
    cluster
}

#[test]
fn a_destroyed_database_comes_back_row_for_row() {
    let cluster = shop();
    let before = cluster.sql(
        "shop",
        "SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM customers t",
    );
    let printed = cluster.good(&["now", "--kind", "dump"]);
    assert!(printed.contains("5 tables and 621 rows"), "{printed}");

    cluster.sql("postgres", "DROP DATABASE shop");
    let printed = cluster.good(&["restore", "--dump", "latest", "--into", "shop"]);
    assert!(
        printed.contains("5 tables and 621 rows, as recorded"),
        "{printed}"
    );
    let after = cluster.sql(
        "shop",
        "SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM customers t",
    );
    assert_eq!(before, after);
    assert!(cluster.status()["ok"].as_bool().unwrap(), "{}", cluster.status());
}

#[test]
fn a_restore_goes_beside_and_swaps_only_when_told() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let id = cluster.dumps().remove(0);
    cluster.sql("shop", "DELETE FROM customers WHERE id <= 100");

    let printed = cluster.bad(&["restore", "--dump", &id, "--into", "shop"]);
    assert!(
        printed.contains("nothing is written over") && printed.contains("--swap"),
        "{printed}"
    );
    let printed = cluster.good(&["restore", "--dump", &id]);
    let beside = format!("shop_restored_{}", id.to_lowercase());
    assert!(
        printed.contains(&beside) && printed.contains("--swap"),
        "{printed}"
    );
    assert_eq!(cluster.sql(&beside, "SELECT count(*) FROM customers"), "500");
    assert_eq!(
        cluster.sql("shop", "SELECT count(*) FROM customers"),
        "400",
        "the live one is as it was"
    );

    cluster.sql("postgres", &format!("DROP DATABASE {beside}"));
    let printed = cluster.good(&["restore", "--dump", &id, "--swap"]);
    assert!(printed.contains("is kept as shop_before_"), "{printed}");
    assert_eq!(cluster.sql("shop", "SELECT count(*) FROM customers"), "500");
    let kept = cluster.sql(
        "postgres",
        "SELECT datname FROM pg_database WHERE datname LIKE 'shop_before_%'",
    );
    assert_eq!(cluster.sql(&kept, "SELECT count(*) FROM customers"), "400");
}

#[test]
fn counts_and_checksums_are_of_the_dumps_own_snapshot() {
    let cluster = shop();
    // Rows come and go all the time; a count from another moment would differ.
    let mut writer = cluster
        .command(&postgres_bin().join("psql"))
        .args(["-qX", "-U", "postgres", "-d", "shop", "-h"])
        .arg(cluster.folder.path())
        .arg("-c")
        .arg("DO $$BEGIN LOOP INSERT INTO notes SELECT n, md5(random()::text) FROM generate_series(1, 50) n; COMMIT; DELETE FROM notes WHERE random() < 0.3; COMMIT; END LOOP; END$$")
        .spawn()
        .unwrap();
    for _ in 0..3 {
        cluster.good(&["now", "--kind", "dump"]);
        cluster.good(&["drill"]);
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
}

#[test]
fn a_drill_finds_a_corrupted_dump() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    cluster.good(&["drill"]);
    let id = cluster.dumps().remove(0);
    let file = cluster.path("dumps").join(format!("{id}.dump"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&file, &bytes).unwrap();

    let printed = cluster.bad(&["drill"]);
    assert!(
        printed.contains("its SHA-256 has changed") && printed.contains("cure: make a new dump"),
        "{printed}"
    );
    let drill = cluster.status_of("drill");
    assert!(
        drill["failed"].as_bool().unwrap() && drill["last_success"].is_string(),
        "{drill}"
    );
    let printed = cluster.bad(&["verify"]);
    assert!(printed.contains("its SHA-256 has changed"), "{printed}");
    assert!(cluster.bad(&["status"]).contains("NOT WELL"));
    assert!(!cluster.path("state/scratch/drill").exists(), "nothing is left");
    let printed = cluster.bad(&["restore", "--dump", "latest"]);
    assert!(printed.contains("no complete dump `latest`"), "{printed}");
}

#[test]
fn a_drill_finds_a_missing_row() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let id = cluster.dumps().remove(0);
    // A dump that restores well and lacks what was there: its manifest says one row more, its hash is right.
    let path = cluster.path("dumps").join(format!("{id}.json"));
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let tables = manifest["tables"].as_array_mut().unwrap();
    let customers = tables
        .iter_mut()
        .find(|table| table["name"] == "public.customers")
        .unwrap();
    customers["rows"] = json!(501);
    cluster.write(&format!("dumps/{id}.json"), &manifest.to_string());
    let printed = cluster.bad(&["drill"]);
    assert!(
        printed.contains("public.customers has 500 rows instead of 501"),
        "{printed}"
    );
    assert!(
        cluster.list()["dumps"][0]["bad"]
            .as_str()
            .unwrap()
            .contains("a drill found")
    );
}

#[test]
fn a_run_that_is_killed_leaves_nothing_that_counts_as_a_dump() {
    let cluster = shop();
    cluster.sql(
        "shop",
        "CREATE TABLE bulk AS SELECT n, md5(n::text) FROM generate_series(1, 400000) n",
    );
    cluster.good(&["now", "--kind", "dump"]);
    let mut killed = 0;
    for wait in [150, 300, 600, 900] {
        let mut run = cluster
            .backup_command(&["now", "--kind", "dump"])
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        // The account's setpriv became the program, so this is the program itself.
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&run),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        killed += usize::from(!run.wait().unwrap().success());
    }
    assert!(killed > 0, "none was killed in the middle");
    // pg_dump dies with its parent.
    let end = Instant::now() + Duration::from_secs(10);
    while cluster.sql(
        "shop",
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'",
    ) != "0"
    {
        assert!(Instant::now() < end, "pg_dump goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
    let whole = cluster.dumps().len();
    cluster.good(&["verify"]);
    cluster.good(&["now", "--kind", "dump"]);
    assert_eq!(cluster.dumps().len(), whole + 1);
    let files = std::fs::read_dir(cluster.path("dumps")).unwrap().count();
    assert_eq!(files, 2 * (whole + 1), "leftovers are cleaned up");
    cluster.good(&["drill"]);
}

#[test]
fn only_one_dumps_at_a_time_and_old_ones_go() {
    let cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let old = cluster.dumps().remove(0);
    let path = cluster.path("dumps").join(format!("{old}.json"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest: Value = serde_json::from_str(&text).unwrap();
    for field in ["started", "finished"] {
        manifest[field] = json!("2020-01-01T00:00:00Z");
    }
    cluster.write(&format!("dumps/{old}.json"), &manifest.to_string());
    assert!(cluster.list().to_string().contains("2020-01-01"));

    let runs: Vec<_> = (0..3)
        .map(|_| {
            cluster
                .backup_command(&["now", "--kind", "dump"])
                .spawn()
                .unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    let list = cluster.list();
    assert_eq!(cluster.dumps().len(), 3, "{list}");
    // Not by its name, which a new one may have got if it began within the same second.
    assert!(!list.to_string().contains("2020-01-01"), "{list}");
}

#[test]
fn what_a_run_makes_is_for_both_accounts_whatever_its_umask() {
    let cluster = shop();
    let state = cluster.path("state");
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o2770)).unwrap();
    let command = cluster.backup_command(&["now", "--kind", "dump"]);
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(ToOwned::to_owned)
        .collect();
    let run = std::process::Command::new("sh")
        .args(["-c", "umask 077; exec \"$@\"", "sh"])
        .args(words)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", crate::cluster::text(&run));
    for (path, mode) in [
        ("locks", 0o2770),
        ("locks/dump", 0o660),
        ("locks/run-dump", 0o660),
        ("runs", 0o2770),
        ("runs/dump.json", 0o660),
    ] {
        let found = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(state.join(path)).unwrap());
        assert_eq!(found & 0o7777, mode, "{path}");
    }
}

#[test]
fn another_versions_pg_dump_is_refused_before_it_begins() {
    let mut cluster = shop();
    let other = cluster.make_folder("other");
    for program in ["pg_dump", "pg_restore", "postgres"] {
        let script = format!("#!/bin/sh\necho '{program} (PostgreSQL) 12.4 (Debian 12.4-1)'\n");
        let path = cluster.write(&format!("other/{program}"), &script);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    cluster.config["database"]["bin_dir"] = json!(other);
    let printed = cluster.bad(&["now", "--kind", "dump"]);
    assert!(
        printed.contains("is pg_dump (PostgreSQL) 12.4")
            && printed.contains("services.slipway.database.package"),
        "{printed}"
    );
    assert!(cluster.dumps().is_empty());
}

#[test]
fn a_full_disk_is_reported_and_cleaned_up() {
    let mut cluster = shop();
    cluster.good(&["now", "--kind", "dump"]);
    let usual = cluster.path("dumps");
    cluster.sql(
        "shop",
        "CREATE TABLE bulk AS SELECT n, md5(n::text) AS x FROM generate_series(1, 300000) n",
    );
    // A file system of its own needs root or a user namespace; unshare gives either.
    let small = cluster.make_folder("small");
    cluster.config["dump"]["directory"] = json!(small.join("dumps"));
    let config = cluster.write("config.json", &cluster.config.to_string());
    let run = |before: &str| {
        let script = format!(
            "mount -t tmpfs -o size=4m,mode=0777 tmpfs {small} && mkdir -m 0777 {small}/dumps && {before}; \
             {run} --config {config} now --kind dump; echo status $?; \
             printf 'left:%s\\n' \"$(ls -A {small}/dumps | wc -l)\"",
            small = small.display(),
            config = config.display(),
            run = cluster.path("slipway-backup").display(),
        );
        let mut command = cluster.command(std::path::Path::new("unshare"));
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        crate::cluster::text(&command.output().unwrap())
    };
    let early = run("true");
    assert!(
        early.contains("not enough room for a dump") && early.contains("cure: free space"),
        "{early}"
    );
    assert!(
        early.contains("status 1") && early.contains("left:0\n"),
        "{early}"
    );
    let status = cluster.status_of("dump");
    assert!(
        status["failed"].as_bool().unwrap() && status["last_success"].is_string(),
        "{status}"
    );

    // After the small dump of before the room seems enough, and pg_dump itself meets the end of the disk.
    let late = run(&format!("cp {}/* {}/dumps/", usual.display(), small.display()));
    assert!(
        late.contains("pg_dump ended with status 1") && late.contains("cure: free space"),
        "{late}"
    );
    assert!(late.contains("status 1") && late.contains("left:2\n"), "{late}");
}

#[test]
fn a_server_that_is_away_is_named_with_its_cure() {
    let mut cluster = shop();
    cluster.halt(true);
    let printed = cluster.bad(&["now", "--kind", "dump"]);
    assert!(
        printed.contains("cannot connect to shop on") && printed.contains("systemctl status postgresql"),
        "{printed}"
    );
    cluster.boot();
    cluster.good(&["now", "--kind", "dump"]);
    assert!(cluster.status_of("dump")["ok"].as_bool().unwrap());
}
