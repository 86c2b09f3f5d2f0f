//! The program as a process: start, health, sockets, signals, and a database that goes and comes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::{HASH, PASSWORD, SECRET_KEY};

const PROGRAM: &str = env!("CARGO_BIN_EXE_slipway-api");

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn url(pool: &PgPool, port: Option<u16>) -> String {
    let options = pool.connect_options();
    format!(
        "postgres://{}@{}:{}/{}",
        options.get_username(),
        options.get_host(),
        port.unwrap_or(options.get_port()),
        options.get_database().unwrap()
    )
}

/// Settings and a folder of their own, so that nothing of the tests' surroundings gets in.
struct Setup {
    dir: TempDir,
    port: u16,
    database: String,
    more: Vec<(&'static str, String)>,
}

impl Setup {
    fn new(database: String) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            database,
            more: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.more.push((name, value.to_string()));
        self
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(&self.dir)
            .env_clear()
            .env("DATABASE_URL", &self.database)
            .env("SECRET_KEY", SECRET_KEY)
            .env("ADMIN_PASSWORD", PASSWORD)
            .env("API_PORT", self.port.to_string())
            .env("DATABASE_ACQUIRE_TIMEOUT_SECONDS", "1")
            .envs(self.more.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(PROGRAM).args(arguments).output().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn serve(self) -> Server {
        let log = std::fs::File::create(self.log()).unwrap();
        let child = self
            .command(PROGRAM)
            .arg("serve")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Server { setup: self, child }
    }
}

/// A running server, killed at the end of the test.
struct Server {
    setup: Setup,
    child: Child,
}

impl Server {
    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.setup.port).into()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.setup.log()).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit status; the test fails when it takes longer than this.
    fn exit(&mut self, within: Duration) -> i32 {
        let begin = Instant::now();
        while begin.elapsed() < within {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running after {within:?}:\n{}", self.log());
    }

    fn until_ready(&self) {
        self.until("/api/v1/monitoring/ready", 200);
    }

    #[track_caller]
    fn until(&self, path: &str, status: u16) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            if let Some((got, _)) = get(self.address(), path)
                && got == status
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{path} is not {status}:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<(u16, String)> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text
        .get(9..12)
        .and_then(|status| status.parse().ok())
        .ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((status, text))
}

fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let stream = TcpStream::connect(address).ok()?;
    exchange(
        stream,
        &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
    )
    .ok()
}

fn post(address: SocketAddr, path: &str, token: &str, headers: &str, body: &str) -> (u16, serde_json::Value) {
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{headers}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (status, text) = exchange(TcpStream::connect(address).unwrap(), &request).unwrap();
    let body = text.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// Logs in and makes a host; gives both tokens.
fn one_host(address: SocketAddr) -> (String, String) {
    let login = post(
        address,
        "/api/v1/login",
        "",
        "",
        &json!({ "name": "admin", "password": PASSWORD }).to_string(),
    );
    let admin = login.1["token"].as_str().unwrap().to_owned();
    post(address, "/api/v1/environments", &admin, "", r#"{"name":"prod"}"#);
    let host = post(
        address,
        "/api/v1/hosts",
        &admin,
        "",
        r#"{"name":"web-1","environment":"prod"}"#,
    );
    let token = host.1["token"]["token"].as_str().unwrap().to_owned();
    (admin, token)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[sqlx::test(migrations = false)]
async fn a_schema_that_does_not_fit_is_refused_with_the_cure(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None)).serve();
    assert_eq!(server.exit(Duration::from_secs(20)), 1);
    let log = server.log();
    assert!(
        log.contains("refusing to serve: 10 migrations are missing"),
        "{log}"
    );
    assert!(log.contains("run `slipway-api migrate`"), "{log}");

    let setup = Setup::new(url(&pool, None));
    let first = setup.run(&["migrate"]);
    assert!(
        first.status.success() && text(&first.stdout).lines().count() == 10,
        "{first:?}"
    );
    let second = setup.run(&["migrate"]);
    assert!(text(&second.stdout).contains("nothing was applied"), "{second:?}");

    let row = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
               VALUES (20990101000000, 'later', true, '', 0)";
    sqlx::query(row).execute(&pool).await.unwrap();
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
async fn a_server_drains(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let address = server.address();
    let (_, host) = one_host(address);
    let seen = crate::support::observation("web-1").to_string();
    let parked = std::thread::spawn(move || {
        let begin = Instant::now();
        (
            post(address, "/api/v1/agent/sync", &host, "prefer: wait=30\r\n", &seen),
            begin.elapsed(),
        )
    });
    // Somebody who sends one request after the other loses none: the last answer says that it is the last.
    let busy = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut buffer = [0; 2048];
        loop {
            stream
                .write_all(b"GET /api/v1/monitoring/live HTTP/1.1\r\nhost: x\r\n\r\n")
                .unwrap();
            let count = stream.read(&mut buffer).unwrap();
            let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            if answer.contains("connection: close") {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut idle = TcpStream::connect(address).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_millis(150));
    // Still answering, and no longer ready.
    assert_eq!(get(address, "/api/v1/monitoring/live").unwrap().0, 200);
    let (status, head) = get(address, "/api/v1/monitoring/ready").unwrap();
    assert_eq!(
        (status, head.contains("connection: close")),
        (503, true),
        "{head}"
    );
    busy.join().unwrap();
    let ((status, body), took) = parked.join().unwrap();
    assert_eq!((status, &body["do"]), (200, &json!("idle")));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(server.exit(Duration::from_secs(10)), 0);
    assert_eq!(idle.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(server.log().contains("stopped"), "{}", server.log());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_second_signal_ends_it_at_once(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    // A request that never ends: its body does not come.
    let mut stuck = TcpStream::connect(server.address()).unwrap();
    stuck
        .write_all(b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    server.signal("-TERM");
    std::thread::sleep(Duration::from_secs(2));
    assert!(
        server.child.try_wait().unwrap().is_none(),
        "it did not wait for the request under way"
    );
    server.signal("-INT");
    server.exit(Duration::from_secs(5));
    assert!(server.log().contains("stopping at once"), "{}", server.log());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_grace_that_is_over_ends_it(pool: PgPool) {
    let mut server = Setup::new(url(&pool, None))
        .with("API_SHUTDOWN_GRACE_SECONDS", 1)
        .serve();
    server.until_ready();
    let mut stuck = TcpStream::connect(server.address()).unwrap();
    stuck
        .write_all(b"POST /api/v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    server.signal("-TERM");
    server.exit(Duration::from_secs(8));
    assert!(
        begin.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begin.elapsed()
    );
    assert!(server.log().contains("the grace is over"), "{}", server.log());
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn idle_and_dribbling_connections_are_closed(pool: PgPool) {
    let server = Setup::new(url(&pool, None))
        .with("API_KEEPALIVE_SECONDS", 1)
        .serve();
    server.until_ready();
    let mut kept = TcpStream::connect(server.address()).unwrap();
    let request = b"GET /api/v1/monitoring/live HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut buffer = [0; 2048];
    kept.write_all(request).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0);
    std::thread::sleep(Duration::from_millis(400));
    kept.write_all(request).unwrap();
    assert!(kept.read(&mut buffer).unwrap() > 0, "closed before its time");
    let begin = Instant::now();
    kept.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(kept.read(&mut buffer).unwrap(), 0);
    assert!(
        (Duration::from_millis(900)..Duration::from_secs(4)).contains(&begin.elapsed()),
        "{:?}",
        begin.elapsed()
    );
    // A header over the limit is refused and not gathered for ever.
    let mut large = TcpStream::connect(server.address()).unwrap();
    let header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    let _ = large.write_all(header.as_bytes());
    let mut answer = String::new();
    let _ = large.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    server.until("/api/v1/monitoring/live", 200);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn a_large_body_is_answered_over_a_real_connection(pool: PgPool) {
    let server = Setup::new(url(&pool, None)).serve();
    server.until_ready();
    let (admin, _) = one_host(server.address());
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    let (status, problem) = post(server.address(), "/api/v1/environments", &admin, "", &body);
    assert_eq!(
        (status, &problem["type"]),
        (413, &json!("urn:slipway:problem:body-too-large"))
    );
    // The length that was announced is a lie in both directions.
    let token =
        format!("authorization: Bearer {admin}\r\ncontent-type: application/json\r\nconnection: close\r\n");
    let lie =
        format!("POST /api/v1/environments HTTP/1.1\r\nhost: x\r\n{token}content-length: 17\r\n\r\n{body}");
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let _ = stream.write_all(lie.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
        "{answer}"
    );
    let head = format!(
        "POST /api/v1/environments HTTP/1.1\r\nhost: x\r\n{token}content-length: 99999999\r\nexpect: 100-continue\r\n\r\n"
    );
    let (status, text) = exchange(TcpStream::connect(server.address()).unwrap(), &head).unwrap();
    assert_eq!(status, 413, "{text}");
    server.until("/api/v1/monitoring/live", 200);
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

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn the_database_may_go_and_come(pool: PgPool) {
    let gate = Gate::new(pool.connect_options().get_port());
    gate.close();
    let server = Setup::new(url(&pool, Some(gate.port))).serve();
    // Live at once, ready only when the database is there.
    server.until("/api/v1/monitoring/live", 200);
    server.until("/api/v1/monitoring/ready", 503);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(
        server
            .log()
            .contains("the database cannot be reached; trying again every second"),
        "{}",
        server.log()
    );
    gate.open();
    server.until_ready();
    let (admin, host) = one_host(server.address());
    let seen = crate::support::observation("web-1").to_string();
    let release = json!({ "closures": { "web-1": format!("/nix/store/{HASH}-a") } }).to_string();

    gate.close();
    let (status, problem) = post(server.address(), "/api/v1/agent/sync", &host, "", &seen);
    assert_eq!(
        (status, &problem["type"]),
        (503, &json!("urn:slipway:problem:unavailable"))
    );
    let id = problem["request_id"].as_str().unwrap();
    let cause = server
        .log()
        .lines()
        .find(|line| line.contains(id) && line.contains("the database is not available"))
        .map(str::len);
    assert!(
        cause.is_some(),
        "the cause is not in the log under {id}:\n{}",
        server.log()
    );
    assert_eq!(
        post(server.address(), "/api/v1/releases", &admin, "", &release).0,
        503
    );
    server.until("/api/v1/monitoring/ready", 503);
    let (status, health) = get(server.address(), "/api/v1/monitoring/health").unwrap();
    assert!(
        status == 503 && health.contains(r#""database":{"status":"down""#),
        "{health}"
    );
    assert!(!health.contains("127.0.0.1"), "{health}");

    gate.open();
    server.until_ready();
    assert_eq!(
        post(server.address(), "/api/v1/releases", &admin, "", &release).0,
        201
    );
    assert_eq!(
        post(server.address(), "/api/v1/agent/sync", &host, "", &seen).0,
        200
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn redis_may_be_gone_from_the_start(pool: PgPool) {
    let server = Setup::new(url(&pool, None))
        .with("REDIS_URL", format!("redis://127.0.0.1:{}", free_port()))
        .serve();
    server.until_ready();
    one_host(server.address());
    let (status, health) = get(server.address(), "/api/v1/monitoring/health").unwrap();
    assert_eq!(status, 200);
    assert!(
        health.contains(r#""status":"degraded""#) && health.contains("Redis is away"),
        "{health}"
    );
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn metrics_are_on_a_listener_of_their_own(pool: PgPool) {
    let metrics = free_port();
    let server = Setup::new(url(&pool, None)).with("METRICS_PORT", metrics).serve();
    server.until_ready();
    get(server.address(), "/api/v1/hosts/secret-name").unwrap();
    let (status, text) = get(([127, 0, 0, 1], metrics).into(), "/metrics").unwrap();
    assert_eq!(status, 200);
    for wanted in [
        r#"http_requests_total{method="GET",route="/api/v1/hosts/{name}",status="401"} 1"#,
        "http_request_duration_seconds_bucket",
        "http_requests_in_flight",
        "slipway_authentication_failures_total 1",
        "slipway_parked_requests",
    ] {
        assert!(text.contains(wanted), "no {wanted}:\n{text}");
    }
    assert!(!text.contains("secret-name") && !server.log().contains("secret-name"));
    assert_eq!(get(server.address(), "/metrics").unwrap().0, 404);
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn nothing_secret_is_logged(pool: PgPool) {
    let database = url(&pool, None).replace("postgres://postgres@", "postgres://postgres:hunter2@");
    let server = Setup::new(database).with("LOG_LEVEL", "trace").serve();
    server.until_ready();
    let (admin, host) = one_host(server.address());
    let seen = crate::support::observation("web-1").to_string();
    assert_eq!(
        post(server.address(), "/api/v1/agent/sync", &host, "", &seen).0,
        200
    );
    get(server.address(), "/api/v1/hosts?environment=needle").unwrap();
    let log = server.log();
    assert!(log.contains("/api/v1/agent/sync"), "{log}");
    for secret in [&admin[..], &host, PASSWORD, SECRET_KEY, "hunter2", "needle"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn waiting_agents_leave_room_for_others(pool: PgPool) {
    let setup = Setup::new(url(&pool, None))
        .with("DATABASE_POOL_SIZE", 4)
        .with("DATABASE_MAX_OVERFLOW", 0)
        .with("DATABASE_ACQUIRE_TIMEOUT_SECONDS", 20);
    let log = std::fs::File::create(setup.log()).unwrap();
    let child = setup
        .command("/bin/sh")
        .args(["-c", &format!("ulimit -n 64 && exec {PROGRAM} serve")])
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server { setup, child };
    server.until_ready();
    let address = server.address();
    let (admin, _) = one_host(address);
    let agents: Vec<_> = (10..50)
        .map(|n| {
            let body = json!({ "name": format!("web-{n}"), "environment": "prod" }).to_string();
            let made = post(address, "/api/v1/hosts", &admin, "", &body).1;
            (n, made["token"]["token"].as_str().unwrap().to_owned())
        })
        .map(|(n, token)| {
            std::thread::spawn(move || {
                let seen = crate::support::observation(&format!("web-{n}")).to_string();
                post(address, "/api/v1/agent/sync", &token, "prefer: wait=8\r\n", &seen)
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    // Everybody else is served meanwhile.
    assert_eq!(get(address, "/api/v1/monitoring/ready").unwrap().0, 200);
    assert_eq!(
        post(
            address,
            "/api/v1/principals",
            &admin,
            "",
            r#"{"name":"ci","role":"viewer"}"#
        )
        .0,
        201
    );
    let answers: Vec<_> = agents.into_iter().map(|agent| agent.join().unwrap()).collect();
    let sent_away = answers
        .iter()
        .filter(|(status, problem)| *status == 503 && problem["type"] == "urn:slipway:problem:unavailable")
        .count();
    let idle = answers
        .iter()
        .filter(|(status, body)| *status == 200 && body["do"] == "idle")
        .count();
    assert!(
        sent_away >= 8 && sent_away + idle == 40,
        "{sent_away} sent away, {idle} idle:\n{answers:#?}"
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

/// A way to Postgres that can be cut.
struct Gate {
    port: u16,
    open: std::sync::Arc<tokio::sync::watch::Sender<bool>>,
}

impl Gate {
    /// Must be called within a runtime of several threads, or one that is not blocked: it has a thread of its own.
    fn new(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = std::sync::Arc::new(tokio::sync::watch::channel(true).0);
        let state = std::sync::Arc::clone(&open);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((mut client, _)) = listener.accept().await {
                    let mut state = state.subscribe();
                    tokio::spawn(async move {
                        if !*state.borrow() {
                            return;
                        }
                        let mut server = tokio::net::TcpStream::connect(("127.0.0.1", target))
                            .await
                            .unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                            _ = state.wait_for(|open| !open) => {}
                        }
                    });
                }
            });
        });
        Self { port, open }
    }

    fn close(&self) {
        self.open.send_replace(false);
    }

    fn open(&self) {
        self.open.send_replace(true);
    }
}
