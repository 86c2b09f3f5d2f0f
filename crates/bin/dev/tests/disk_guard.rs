//! When a member says that its disk fills, and when a leader hands over because of it. `./dev cluster` fills real disks.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const BOUND: Duration = Duration::from_mins(1);

/// What Patroni says, how it answers a switchover, and what it was asked: path, body and when.
#[derive(Default)]
struct Patroni {
    cluster: Value,
    refuses: bool,
    asked: Vec<(String, String, Instant)>,
}

fn serve(patroni: &Mutex<Patroni>, connection: TcpStream) {
    let mut reader = BufReader::new(connection);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut patroni = patroni.lock().unwrap();
    let (status, text) = match path.as_str() {
        "/cluster" => ("200 OK", patroni.cluster.to_string()),
        "/switchover" if patroni.refuses => ("412 No", "no good candidates have been found".to_owned()),
        _ => ("200 OK", "done".to_owned()),
    };
    let body = String::from_utf8(body).unwrap();
    patroni.asked.push((path, body, Instant::now()));
    let length = text.len();
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}");
    let _ = reader.into_inner().write_all(answer.as_bytes());
}

/// The guard of member `a`, with a disk and a Patroni that the test decides about.
struct Guard {
    folder: tempfile::TempDir,
    patroni: Arc<Mutex<Patroni>>,
    child: Child,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Guard {
    fn start(free: u32, members: &Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let patroni = Arc::new(Mutex::new(Patroni {
            cluster: json!({ "members": members }),
            ..Patroni::default()
        }));
        let served = Arc::clone(&patroni);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                serve(&served, connection);
            }
        });
        for name in ["bin", "conf", "data"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let df = root.join("bin/df");
        let script = format!(
            "#!/bin/sh\necho Avail\necho $(($(cat {}/free) * 1024))\n",
            root.display()
        );
        fs::write(&df, script).unwrap();
        fs::set_permissions(&df, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join("free"), free.to_string()).unwrap();
        fs::write(root.join("password"), "secret").unwrap();
        let log = fs::File::create(root.join("log")).unwrap();
        let child = Command::new("bash")
            .args(["-euo", "pipefail", "-c", r#"PATH=$1:$PATH; . "$0""#])
            .arg(repository().join("deploy/cluster/disk-guard.sh"))
            .arg(root.join("bin"))
            .envs([("MEMBER", "a"), ("LOW_MIB", "100"), ("SYNCHRONOUS", "on")])
            .envs([("INTERVAL", "0.05"), ("RETRY", "3"), ("HOLD", "3600")])
            .envs(["AUTHORITY", "CERTIFICATE", "KEY"].map(|name| (name, "/dev/null")))
            .env("OPERATOR", "patroni")
            .env("URL", url)
            .env("DATA", root.join("data"))
            .env("TAGS", root.join("conf/60-disk.yaml"))
            .env("PASSWORD_FILE", root.join("password"))
            .stderr(log.try_clone().unwrap())
            .stdout(Stdio::from(log))
            .spawn()
            .unwrap();
        Self {
            folder,
            patroni,
            child,
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn set_free(&self, free: u32) {
        let path = self.folder.path();
        fs::write(path.join("free.new"), free.to_string()).unwrap();
        fs::rename(path.join("free.new"), path.join("free")).unwrap();
    }

    fn set_members(&self, members: &Value) {
        self.patroni.lock().unwrap().cluster["members"] = members.clone();
    }

    fn switchovers(&self) -> Vec<(Value, Instant)> {
        let patroni = self.patroni.lock().unwrap();
        let asked = patroni.asked.iter().filter(|(path, ..)| path == "/switchover");
        asked
            .map(|(_, body, when)| (serde_json::from_str(body).unwrap(), *when))
            .collect()
    }

    fn count(&self, path: &str) -> usize {
        let patroni = self.patroni.lock().unwrap();
        patroni.asked.iter().filter(|(asked, ..)| asked == path).count()
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + BOUND;
        while !holds(self) {
            assert!(Instant::now() < end, "not {what}: {}", self.read("log"));
            sleep(Duration::from_millis(20));
        }
    }

    /// Until it has looked several times more.
    fn looks_again(&self) {
        let before = self.count("/cluster");
        self.until("looking again", |guard| guard.count("/cluster") > before + 5);
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn member(name: &str, role: &str, tags: &Value) -> Value {
    json!({ "name": name, "role": role, "state": "running", "lag": 0, "tags": tags })
}

fn disk(word: &str) -> Value {
    json!({ "slipway_disk": word })
}

fn led_by_a(standby: &Value, replica: &Value) -> Value {
    json!([
        member("a", "leader", &disk("low")),
        member("b", "sync_standby", standby),
        member("c", "replica", replica),
    ])
}

#[test]
fn a_leader_without_room_hands_over_once_to_the_synchronous_standby_with_room() {
    let guard = Guard::start(1000, &led_by_a(&disk("ok"), &disk("ok")));
    guard.until("saying that it has room", |guard| {
        guard.read("conf/60-disk.yaml") == "tags:\n  slipway_disk: ok\n" && guard.count("/reload") == 1
    });
    assert_eq!(guard.count("/switchover"), 0);
    guard.set_free(99);
    guard.until("a switchover", |guard| guard.count("/switchover") == 1);
    let asked = json!({ "leader": "a", "candidate": "b" });
    assert_eq!(guard.switchovers()[0].0, asked);
    assert_eq!(guard.read("conf/60-disk.yaml"), "tags:\n  slipway_disk: low\n");
    guard.until("saying so", |guard| {
        guard.read("log").contains("Patroni: done (200)")
    });
    let told = "a has 99 MiB free for its database, less than 100: it hands over to b, which has more\n";
    assert!(guard.read("log").starts_with(told), "{}", guard.read("log"));
    // Whatever happens to the lead, it does so no more for a while.
    guard.looks_again();
    assert_eq!(guard.count("/switchover"), 1);
    assert_eq!(guard.count("/reload"), 2, "each change is told once");
    assert!(!guard.read("log").contains("secret"));
}

#[test]
fn without_a_standby_that_has_room_it_goes_on_and_says_so_once() {
    for (standby, replica) in [
        // All are full.
        (disk("low"), disk("low")),
        // Only a synchronous standby has each commit.
        (disk("low"), disk("ok")),
        // Nobody says how much it has.
        (json!({}), json!({})),
        // It is about to be restarted.
        (
            json!({ "slipway_disk": "ok", "slipway_aside": true }),
            disk("low"),
        ),
    ] {
        let guard = Guard::start(5, &led_by_a(&standby, &replica));
        guard.until("saying so", |guard| guard.read("log").contains("it goes on"));
        guard.looks_again();
        assert_eq!(guard.count("/switchover"), 0, "{standby} {replica}");
        let log = guard.read("log");
        let told = "a leads with less than 100 MiB free for its database, and no standby that could lead says that it \
                    has more: it goes on; free space on its disk\n";
        assert_eq!(log, told);
        // When one has, the leader need not be told.
        guard.set_members(&led_by_a(&disk("ok"), &disk("low")));
        guard.until("a switchover", |guard| guard.count("/switchover") == 1);
    }
}

#[test]
fn a_refused_switchover_is_tried_again_after_a_while() {
    let guard = Guard::start(1000, &led_by_a(&disk("ok"), &disk("ok")));
    guard.patroni.lock().unwrap().refuses = true;
    guard.set_free(10);
    guard.until("a second try", |guard| guard.count("/switchover") == 2);
    let tries = guard.switchovers();
    // The script counts whole seconds.
    assert!(tries[1].1 - tries[0].1 > Duration::from_secs(2), "{tries:?}");
    let log = guard.read("log");
    assert!(log.contains("no good candidates have been found (412)"), "{log}");
}

#[test]
fn a_paused_cluster_is_left_alone() {
    let guard = Guard::start(1000, &led_by_a(&disk("ok"), &disk("ok")));
    guard.patroni.lock().unwrap().cluster["pause"] = json!(true);
    guard.set_free(10);
    guard.until("saying so", |guard| {
        guard.read("log").contains("the cluster is paused")
    });
    guard.looks_again();
    assert_eq!(guard.count("/switchover"), 0);
}

#[test]
fn a_standby_without_room_leaves_it_to_one_with_room_to_be_synchronous() {
    let led_by_b = |c: &Value| {
        json!([
            member("b", "leader", &disk("low")),
            member("a", "sync_standby", &disk("low")),
            member("c", "replica", c),
        ])
    };
    let guard = Guard::start(50, &led_by_b(&disk("ok")));
    let tags = |word: &'static str| move |guard: &Guard| guard.read("conf/60-disk.yaml") == word;
    guard.until("aside", tags("tags:\n  slipway_disk: low\n  nosync: true\n"));
    // If all are alike, a commit shall still be on two hosts.
    guard.set_members(&led_by_b(&disk("low")));
    guard.until("back", tags("tags:\n  slipway_disk: low\n"));
    // Between the bounds it stays what it was.
    guard.set_free(124);
    guard.looks_again();
    assert_eq!(guard.read("conf/60-disk.yaml"), "tags:\n  slipway_disk: low\n");
    guard.set_free(125);
    guard.until("having room", tags("tags:\n  slipway_disk: ok\n"));
    guard.until("saying so", |guard| {
        guard
            .read("log")
            .ends_with("a has 125 MiB free for its database\n")
    });
    assert_eq!(guard.count("/switchover"), 0);
    // Patroni forgets it at its next start.
    fs::remove_file(guard.folder.path().join("conf/60-disk.yaml")).unwrap();
    let reloads = guard.count("/reload");
    guard.until("told again", |guard| guard.count("/reload") > reloads);
    assert_eq!(guard.read("conf/60-disk.yaml"), "tags:\n  slipway_disk: ok\n");
}
