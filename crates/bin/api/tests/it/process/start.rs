//! Starting: settings, schema, sockets.

use super::harness::{PROGRAM, Server, Setup, exchange, get, text, url};
use crate::support::PASSWORD;
use sqlx::PgPool;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

#[sqlx::test(migrations = false)]
async fn a_schema_that_does_not_fit_is_refused_with_the_cure(pool: PgPool) {
    slipway_testkit::empty(&pool).await;
    let migrations = slipway_store::schema::MIGRATOR.iter().count();
    let mut server = Setup::new(url(&pool, None)).serve();
    assert_eq!(server.exit(Duration::from_secs(20)), 1);
    let log = server.log();
    assert!(
        log.contains(&format!("refusing to serve: {migrations} migrations are missing")),
        "{log}"
    );
    assert!(log.contains("run `slipway-api migrate`"), "{log}");

    let setup = Setup::new(url(&pool, None));
    let first = setup.run(&["migrate"]);
    assert!(
        first.status.success() && text(&first.stdout).matches("applied ").count() == migrations,
        "{first:?}"
    );
    // With one role it works, and says what that costs.
    assert!(
        text(&first.stdout).contains("could change the audit log"),
        "{first:?}"
    );
    let second = setup.run(&["migrate"]);
    assert!(text(&second.stdout).contains("nothing was applied"), "{second:?}");

    let row = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (20990101000000, 'later', true, '', 0)";
    sqlx::query(row).execute(&pool).await.unwrap();
    let newer = Setup::new(url(&pool, None));
    let nothing = newer.run(&["migrate"]);
    assert!(nothing.status.success(), "{nothing:?}");
    let server = newer.serve();
    server.until_ready();
    server.until_logged("the schema is newer than this program");
    drop(server);

    // Newer, but without one that this program needs.
    let gap = "DELETE FROM _sqlx_migrations
               WHERE version = (SELECT max(version) FROM _sqlx_migrations WHERE version < 20990101000000)";
    sqlx::query(gap).execute(&pool).await.unwrap();
    let mut server = Setup::new(url(&pool, None)).serve();
    assert_eq!(server.exit(Duration::from_secs(20)), 1);
    let log = server.log();
    assert!(
        log.contains("the database has migrations that this program does not know"),
        "{log}"
    );
    assert!(
        log.contains("run the version that the database belongs to"),
        "{log}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn no_core_of_a_process_holds_its_secrets(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let most: Vec<&str> = line["Max core file size".len()..]
        .split_whitespace()
        .take(2)
        .collect();
    assert!(most.iter().all(|most| ["0", "1"].contains(most)), "{line}");
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn sockets_come_from_systemd(pool: PgPool) {
    let setup = Setup::new(url(&pool, None));
    let socket = setup.dir.path().join("api.sock");
    let log = std::fs::File::create(setup.log()).unwrap();
    let child = setup
        .command("systemd-socket-activate")
        .arg(format!("--listen=127.0.0.1:{}", setup.port))
        .arg(format!("--listen={}", socket.display()))
        .args([
            "-E",
            "DATABASE_URL",
            "-E",
            "SECRET_KEY",
            "-E",
            "ADMIN_PASSWORD",
            "-E",
            "API_PORT=1",
        ])
        .args(["-E", "DATABASE_ACQUIRE_TIMEOUT_SECONDS", PROGRAM, "serve"])
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server { setup, child };
    server.until_ready();
    let request = "GET /api/v1/monitoring/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert_eq!(
        exchange(UnixStream::connect(&socket).unwrap(), request)
            .unwrap()
            .0,
        200
    );
    let check = server
        .setup
        .run(&["healthcheck", "--socket", socket.to_str().unwrap()]);
    assert!(check.status.success(), "{check:?}");
    let check = server.setup.run(&["healthcheck", "--ready"]);
    assert!(check.status.success(), "{check:?}");
    assert!(
        server.log().contains(&format!("unix:{}", socket.display())),
        "{}",
        server.log()
    );
}

#[test]
fn wrong_settings_are_all_told_at_once() {
    let setup = Setup::new("nonsense".to_owned())
        .with("API_KEEPALIVE_SECONDS", "0")
        .with("SECRET_KEY", "abc");
    for command in ["serve", "config"] {
        let output = setup.run(&[command]);
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        for variable in ["DATABASE_URL", "API_KEEPALIVE_SECONDS", "SECRET_KEY"] {
            assert!(told.contains(variable), "{command}: {told}");
        }
        assert!(!told.contains("nonsense"), "{told}");
    }
    let good = Setup::new("postgres://slipway:hunter2@127.0.0.1/slipway".to_owned()).run(&["config"]);
    assert!(good.status.success(), "{good:?}");
    let shown = text(&good.stdout);
    assert!(
        shown.contains("API_KEEPALIVE_SECONDS=5") && !shown.contains("hunter2") && !shown.contains(PASSWORD),
        "{shown}"
    );
}

#[test]
fn a_healthcheck_without_a_server_fails_in_time() {
    let setup = Setup::new("postgres://slipway@127.0.0.1/slipway".to_owned());
    let refused = setup.run(&["healthcheck"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("is the server running there?"),
        "{refused:?}"
    );
    // Somebody who accepts and says nothing.
    let silent = TcpListener::bind(("127.0.0.1", setup.port)).unwrap();
    let begin = Instant::now();
    let output = setup.run(&["healthcheck"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("did not answer within 3 s"),
        "{output:?}"
    );
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(silent);
}

#[test]
fn a_port_in_use_is_told() {
    let setup = Setup::new("postgres://slipway@127.0.0.1/slipway".to_owned());
    let taken = TcpListener::bind(("127.0.0.1", setup.port)).unwrap();
    let output = setup.run(&["serve"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.contains(&format!("cannot listen on {}", taken.local_addr().unwrap())),
        "{told}"
    );
    assert!(told.contains("API_PORT"), "{told}");
}

/// A proxy passes a 503 on, while it sends what was refused at the door to another replica.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn its_first_answer_is_that_it_is_ready(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    let first = slipway_testkit::wait_until("an answer", Duration::from_secs(20), async || {
        get(server.address(), "/api/v1/monitoring/ready")
    });
    assert_eq!(first.await.0, 200, "{}", server.log());
}
