//! The program itself: it listens, answers the health paths and goes when told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

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
    let pid = api.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(api.0.wait().unwrap().success());
}
