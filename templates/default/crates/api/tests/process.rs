//! The program itself: it listens, answers the health paths and goes when told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_api");

struct Api(Child, String);

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Api {
    fn start() -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("serve")
            .env("API_PORT", "0")
            // Nothing listens there.
            .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stderr = child.stderr.take().unwrap();
        BufReader::new(stderr).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("api: listening on ").unwrap().to_owned();
        Self(child, address)
    }

    fn terminate(&self) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn status(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.1).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }
}

#[test]
fn without_its_database_it_is_live_and_not_ready() {
    let api = Api::start();
    assert_eq!(api.status("/api/v1/monitoring/live"), "204");
    assert_eq!(api.status("/api/v1/monitoring/ready"), "503");
    assert_eq!(api.status("/api/v1/monitoring/health"), "503");
}

#[test]
fn the_health_check_tells_by_its_exit_status() {
    let api = Api::start();
    let port = api.1.rsplit(':').next().unwrap();
    let check = |port: &str| {
        let mut command = Command::new(PROGRAM);
        command
            .arg("healthcheck")
            .env("API_PORT", port)
            .env("DATABASE_URL", "postgres:///x");
        command.stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(check(port));
    assert!(!check("1"));
}

#[test]
fn it_ends_well_when_told_to() {
    let mut api = Api::start();
    api.terminate();
    assert!(api.0.wait().unwrap().success());
}

/// As a unit of systemd with a socket and a watchdog starts it: the socket is the third file.
struct Unit {
    api: Api,
    listener: UnixListener,
    socket: PathBuf,
    notified: UnixDatagram,
}

impl Unit {
    fn start(name: &str) -> Self {
        let folder =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (socket, notify) = (folder.join("api.sock"), folder.join("notify"));
        for left in [&socket, &notify] {
            let _ = std::fs::remove_file(left);
        }
        let listener = UnixListener::bind(&socket).unwrap();
        let handed = OwnedFd::from(listener.try_clone().unwrap());
        let notified = UnixDatagram::bind(&notify).unwrap();
        notified.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let child = Command::new("sh")
            .args([
                "-c",
                "LISTEN_PID=$$ WATCHDOG_PID=$$ exec \"$0\" serve 3<&0 </dev/null",
                PROGRAM,
            ])
            .env("LISTEN_FDS", "1")
            .env("WATCHDOG_USEC", "300000")
            .env("NOTIFY_SOCKET", &notify)
            .env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none")
            .stdin(Stdio::from(handed))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            api: Api(child, String::new()),
            listener,
            socket,
            notified,
        }
    }

    fn told(&self) -> String {
        let mut message = [0; 256];
        let length = self.notified.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).trim().to_owned()
    }

    fn terminate(&self) {
        self.api.terminate();
        while self.told() != "STOPPING=1" {}
    }
}

/// One request on a connection that stays open; the answer's head.
fn ask(stream: &mut UnixStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "GET /api/v1/monitoring/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

#[test]
fn under_systemd_it_takes_the_socket_and_gives_signs_of_life() {
    let unit = Unit::start("signs");
    assert_eq!(unit.told(), "READY=1");
    assert_eq!(unit.told(), "WATCHDOG=1");
    assert_eq!(unit.told(), "WATCHDOG=1");
    let mut stream = UnixStream::connect(&unit.socket).unwrap();
    assert!(ask(&mut stream).starts_with("HTTP/1.1 204"));
}

#[test]
fn a_stop_answers_on_open_connections_and_leaves_new_ones_to_the_next() {
    let mut unit = Unit::start("stop");
    assert_eq!(unit.told(), "READY=1");
    let mut open = UnixStream::connect(&unit.socket).unwrap();
    assert!(!ask(&mut open).contains("connection: close"));
    unit.terminate();
    let mut late = UnixStream::connect(&unit.socket).unwrap();
    let answer = ask(&mut open);
    assert!(
        answer.starts_with("HTTP/1.1 204") && answer.contains("connection: close"),
        "{answer}"
    );

    // Its request waits in the socket, which this test holds as systemd does, until the next process takes it.
    late.write_all(b"GET").unwrap();
    assert!(unit.api.0.wait().unwrap().success());
    let (mut next, _) = unit.listener.accept().unwrap();
    let mut request = [0; 3];
    next.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"GET");
}
