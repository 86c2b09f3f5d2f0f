//! nginx with the routes of a stack, and a service behind each of its upstreams.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slipway_dev::ports::loopback;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::host::{Host, snapshot};
use crate::proxying::{serve, upstream};

/// nginx with the routes of the snapshot, without TLS, and a service behind each upstream.
pub(crate) struct Routed {
    pub(crate) host: Host,
    port: u16,
    /// Lets a stream of events go on.
    pub(crate) next: Arc<Notify>,
}

/// What came back. No status is a connection that was closed without an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The service that answered.
    pub(crate) fn service(&self) -> Option<&str> {
        self.header("X-Service")
    }
}

impl Routed {
    pub(crate) async fn start() -> Self {
        let host = Host::new();
        let port = host.run.ports.reserve().unwrap();
        let next = Arc::new(Notify::new());
        let mut text = snapshot("nginx-routes.conf");
        for (name, label) in [("slipway-shop.web", "web"), ("slipway-shop.admin", "admin")] {
            let listener = TcpListener::bind(loopback(0)).await.unwrap();
            let at = listener.local_addr().unwrap().port();
            tokio::spawn(service(listener, label, Arc::clone(&next)));
            let ours = upstream(&text, name, &[at]);
            let from = text.find(&format!("upstream {name} {{")).unwrap();
            let to = from + text[from..].find("\n}").unwrap() + 3;
            text.replace_range(from..to, &ours);
        }
        copy(
            &host,
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/eval/site"),
            "/store/site",
        );
        host.folder("/var/log/nginx/stacks");
        // Its types are those of NixOS.
        let types = "types { text/html html; text/css css; application/javascript js; text/plain txt; }\n";
        let servers = plain(&host.moved(&text), port);
        serve(&host, &format!("{types}{servers}"), port).await;
        Self { host, port, next }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(loopback(self.port)).await.unwrap()
    }

    /// Sends these bytes and reads until the connection ends.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        exchange(self.connect().await, request).await
    }

    pub(crate) async fn ask(&self, method: &str, host: &str, path: &str, headers: &str) -> Answer {
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\n\r\n"
        ))
        .await
    }

    pub(crate) async fn get(&self, host: &str, path: &str) -> Answer {
        self.ask("GET", host, path, "").await
    }
}

/// Sends these bytes and reads until the connection ends.
pub(crate) async fn exchange(mut stream: TcpStream, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _ended = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    Answer {
        status: head.split(' ').nth(1).and_then(|status| status.parse().ok()),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// The servers on one port of the loopback, without TLS.
fn plain(text: &str, port: u16) -> String {
    text.lines()
        .filter(|line| !line.starts_with("ssl_") && !line.starts_with("listen [::"))
        .map(|line| match line.strip_prefix("listen 0.0.0.0:443 ssl") {
            Some(rest) => format!("listen 127.0.0.1:{port}{rest}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}

/// A folder with all in it, as files of the host.
fn copy(host: &Host, from: &Path, to: &str) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = format!("{to}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            copy(host, &path, &to);
        } else {
            host.write(&to, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// Answers with what it was asked. `/live/events` is a stream of two events; after an upgrade it echoes.
pub(crate) async fn service(listener: TcpListener, label: &'static str, next: Arc<Notify>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let next = Arc::clone(&next);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                if stream.read_line(&mut asked).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let length = asked
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            if stream.read_exact(&mut body).await.is_err() {
                return;
            }
            asked += &String::from_utf8_lossy(&body);
            let stream = stream.get_mut();
            if asked.contains("\r\nUpgrade: ") {
                let switch =
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
                stream.write_all(switch.as_bytes()).await.unwrap();
                let (mut from, mut to) = stream.split();
                let _ended = tokio::io::copy(&mut from, &mut to).await;
            } else if asked.starts_with("GET /live/events ") {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: 1\n\n";
                stream.write_all(head.as_bytes()).await.unwrap();
                next.notified().await;
                stream.write_all(b"data: 2\n\n").await.unwrap();
            } else {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nX-Service: {label}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{asked}",
                    asked.len()
                );
                let _ended = stream.write_all(answer.as_bytes()).await;
            }
        });
    }
}

/// What has come, at least one byte.
pub(crate) async fn read(stream: &mut TcpStream) -> String {
    let mut bytes = [0; 4096];
    let count = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    assert!(count > 0, "the connection ended");
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}
