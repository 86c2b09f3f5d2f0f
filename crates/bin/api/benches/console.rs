//! What the console's pages cost, for docs/console.md: `cargo bench -p slipway-api --bench console` with `DATABASE_URL` of a
//! superuser. It takes some minutes, in a database of its own, with the real program before it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "whoever starts it reads what it prints, and a step that fails must end it"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slipway_domain::event::Actor;
use slipway_domain::snapshot::CommandKind;
use slipway_store::{EventAuthor, NewCommand, NewToken, TokenHash, TokenOwner};
use slipway_testkit::{Fleet, free_port, measure_in, store};
use sqlx::PgPool;

const DATABASE: &str = "slipway_bench_console";
const HOSTS: usize = 1000;
const ROUNDS: usize = 300;
const BROWSERS: usize = 200;
/// The key of [`slipway_testkit::audit_key`].
const SECRET_KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A fleet of which most hosts are well, some drift, wait for a reboot or are offline.
const FLEET: [&str; 5] = [
    "UPDATE steps SET state = 'committed'",
    "UPDATE rollouts SET state = 'succeeded', finished_at = now()",
    "UPDATE hosts h SET live = c.closure, boot_default = c.closure, last_seen_at = now() + interval '1 day', drift = '[]',
            agent_version = '1.0.0', boot_counter = 1
     FROM release_closures c WHERE c.host_id = h.id",
    "UPDATE hosts SET pending_reboot = '{kernel}' WHERE name LIKE '%7'",
    "UPDATE hosts SET last_seen_at = now() - interval '1 hour' WHERE name LIKE '%13'",
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    measure_in(DATABASE, measure).await;
}

async fn measure(pool: &PgPool) {
    let fleet = Fleet::of(HOSTS).seed(&store(pool)).await;
    fleet.rollout(1).await;
    for statement in FLEET {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
    let watched = fleet.rollout(2).await;
    // Last, since no rollout begins for a host whose labels no event decided.
    sqlx::query("UPDATE hosts SET labels = '{\"role\": \"web\", \"rack\": \"r12\"}'")
        .execute(pool)
        .await
        .unwrap();
    sqlx::raw_sql("ANALYZE").execute(pool).await.unwrap();
    let server = Server::start(pool);
    // At most a hundred open pages are one person's.
    let people = [token(&fleet, "a", true).await, token(&fleet, "9", false).await];
    let people = people.map(|token| server.sign_in(&token));
    for path in [
        "/",
        "/hosts",
        "/hosts?q=role%3Dweb&page=5",
        "/environments/prod",
        "/rollouts/2",
    ] {
        server.time(path, &people[0]);
    }

    let before = server.memory();
    let page = server.page("/rollouts/2", &people[0]);
    let (_, live) = page.split_once("data-live=\"").unwrap();
    let live = live.split('"').next().unwrap();
    let mut browsers: Vec<TcpStream> = (0..BROWSERS)
        .map(|n| server.open(live, &people[n % people.len()]))
        .collect();
    for browser in &mut browsers {
        wait_for(browser, ": alive");
    }
    let after = server.memory();
    println!(
        "{BROWSERS} browsers on one rollout: {} KiB before, {} KiB with them, {} KiB each",
        before,
        after,
        after.saturating_sub(before) / BROWSERS as u64
    );
    let start = Instant::now();
    let author = fleet.author.id;
    fleet
        .store
        .request_command(NewCommand::new(watched, CommandKind::Pause, author), &fleet.key)
        .await
        .unwrap();
    for browser in &mut browsers {
        wait_for(browser, "event: news");
    }
    println!("all of them told after {} ms", start.elapsed().as_millis());
}

/// A token of `ada`, or of `grace`.
async fn token(fleet: &Fleet, digit: &str, ada: bool) -> String {
    let token = format!("slw_{}", digit.repeat(64));
    let owner = if ada { fleet.author.id } else { fleet.approver.id };
    let new = NewToken {
        owner: TokenOwner::Principal(owner),
        label: "bench".to_owned(),
        hash: TokenHash::of(&token),
        expires_in_seconds: None,
        parent: None,
        limits: slipway_domain::TokenLimits::default(),
        idle_seconds: None,
    };
    let by = EventAuthor::new(Actor::Console, &fleet.key);
    fleet.store.create_token(&new, &by).await.unwrap();
    token
}

/// The program, ended with the measurement.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(pool: &PgPool) -> Self {
        let port = free_port();
        let child = Command::new(env!("CARGO_BIN_EXE_slipway-api"))
            .arg("serve")
            .env_clear()
            .env(
                "DATABASE_URL",
                slipway_testkit::database_url(&pool.connect_options(), None).as_str(),
            )
            .env("SECRET_KEY", SECRET_KEY)
            .env("ADMIN_PASSWORD", "a password of a measurement")
            .env("API_PORT", port.to_string())
            .env("LOG_LEVEL", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            address: ([127, 0, 0, 1], port).into(),
        };
        let begin = Instant::now();
        while TcpStream::connect(server.address).is_err() {
            assert!(begin.elapsed() < Duration::from_mins(1), "the api does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The cookie of a new session.
    fn sign_in(&self, token: &str) -> String {
        let body = format!("token={token}");
        let request = format!(
            "POST /sign-in HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{body}",
            body.len()
        );
        let answer = self.ask(&request);
        let (_, cookie) = answer.split_once("set-cookie: ").expect(&answer);
        cookie.split(';').next().unwrap().to_owned()
    }

    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn page(&self, path: &str, cookie: &str) -> String {
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n"
        ))
    }

    /// Prints how long a page takes, from the connection to its last byte.
    fn time(&self, path: &str, cookie: &str) {
        for _ in 0..20 {
            self.page(path, cookie);
        }
        let mut size = 0;
        let mut taken: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                let page = self.page(path, cookie);
                let taken = start.elapsed();
                assert!(page.starts_with("HTTP/1.1 200"), "{page}");
                size = page.len();
                taken
            })
            .collect();
        taken.sort();
        let at = |percent: usize| taken.get(ROUNDS * percent / 100).unwrap().as_secs_f64() * 1000.0;
        println!(
            "{path}: {} KB, p50 {:.1} ms, p99 {:.1} ms",
            size / 1000,
            at(50),
            at(99)
        );
    }

    /// A stream of news, still unread.
    fn open(&self, path: &str, cookie: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\ncookie: {cookie}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// What the process holds in memory, in KiB.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the stream until this was said.
fn wait_for(stream: &mut TcpStream, what: &str) {
    let (mut said, mut some) = (String::new(), [0; 4096]);
    while !said.contains(what) {
        let read = stream.read(&mut some).unwrap();
        assert!(read > 0, "the stream ended: {said}");
        said.push_str(&String::from_utf8_lossy(&some[..read]));
    }
}
