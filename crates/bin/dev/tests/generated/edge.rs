//! The nginx of a host before two others, and theirs, as the modules write them, with a stack behind each of the two.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slipway_dev::ports::loopback;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::common::client;
use crate::host::{Host, snapshot};
use crate::nginx::listening_here;
use crate::proxying::{serve, upstream};

const CERTIFICATES: [&str; 3] = [
    "/etc/fleet/app-1.pem",
    "/etc/fleet/edge.pem",
    "/var/lib/acme/localhost/fullchain.pem",
];
const KEYS: [&str; 3] = [
    "/run/secrets/app-1-key",
    "/run/secrets/edge-key",
    "/var/lib/acme/localhost/key.pem",
];
const AUTHORITY: &str = "/etc/fleet/authority.pem";

/// What came back, and after how long.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// An edge host and the two behind it.
pub(crate) struct Fleet {
    _edge: Host,
    pub(crate) apps: [App; 2],
    client: reqwest::Client,
    url: String,
    sent: AtomicUsize,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        let edge = Host::new();
        let made = edge.certify(&CERTIFICATES, &KEYS, &[AUTHORITY]);
        let files = [&made.certificate, &made.key, &made.ca].map(|file| fs::read_to_string(file).unwrap());
        let apps = [App::start(&files).await, App::start(&files).await];
        let text = ours(&snapshot("nginx-edge.conf"))
            .replace("10.1.0.11:443", &format!("127.0.0.1:{}", apps[0].port))
            .replace("10.1.0.12:443", &format!("127.0.0.1:{}", apps[1].port));
        edge.folder("/var/log/nginx/stacks");
        let (text, ports) = listening_here(&edge, &edge.moved(&text), false);
        let port = ports["0.0.0.0:443"];
        serve(&edge, &text, port).await;
        Self {
            client: client(&made.ca),
            _edge: edge,
            apps,
            url: format!("https://localhost:{port}"),
            sent: AtomicUsize::new(0),
        }
    }

    /// Asks once. A POST has a number of its own, by which the stacks know it again.
    pub(crate) async fn ask(&self, method: &reqwest::Method) -> Outcome {
        let number = self.sent.fetch_add(1, Ordering::SeqCst);
        let began = Instant::now();
        let request = self
            .client
            .request(method.clone(), format!("{}/orders", self.url))
            .header("X-Number", number);
        let answer = request.send().await.unwrap();
        Outcome {
            status: answer.status().as_u16(),
            body: answer.text().await.unwrap(),
            took: began.elapsed(),
        }
    }

    /// So many requests, one after the other.
    pub(crate) async fn asks(&self, method: &reqwest::Method, count: usize) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..count {
            outcomes.push(self.ask(method).await);
        }
        outcomes
    }

    /// Asks until that host answers. Every request on the way must be answered as well.
    pub(crate) async fn until_it_answers(&self, app: usize, bound: Duration) {
        let before = self.apps[app].requests();
        let began = Instant::now();
        while self.apps[app].requests() == before {
            assert!(began.elapsed() < bound, "no request reaches the host again");
            assert_eq!(self.ask(&reqwest::Method::GET).await.status, 200);
        }
    }

    /// Whether a stack, or both, carried out the same POST more than once.
    pub(crate) fn carried_out_twice(&self) -> Vec<String> {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for app in &self.apps {
            for number in app.stack.posts.lock().unwrap().iter() {
                *times.entry(number.clone()).or_default() += 1;
            }
        }
        times.retain(|_, times| *times > 1);
        times.into_keys().collect()
    }
}

/// One host with a stack: nginx, and a replica behind it.
pub(crate) struct App {
    pub(crate) host: Host,
    pub(crate) port: u16,
    at: u16,
    stack: Arc<Stack>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What a replica is told, and what it saw.
struct Stack {
    status: AtomicU16,
    requests: AtomicUsize,
    posts: Mutex<Vec<String>>,
}

impl App {
    async fn start(files: &[String; 3]) -> Self {
        let host = Host::new();
        for (text, paths) in files.iter().zip([&CERTIFICATES[..], &KEYS, &[AUTHORITY]]) {
            for path in paths {
                host.write(path, text);
            }
        }
        let at = host.run.ports.reserve().unwrap();
        let mut text = ours(&snapshot("nginx-app.conf"));
        let replica = upstream(&text, "slipway-shop", &[at]);
        let end = text.find("\n}\n").unwrap() + 3;
        text.replace_range(..end, &replica);
        host.folder("/var/log/nginx/stacks");
        let (text, ports) = listening_here(&host, &host.moved(&text), false);
        let port = ports["10.1.0.11:443"];
        serve(&host, &text, port).await;
        let app = Self {
            host,
            port,
            at,
            stack: Arc::new(Stack {
                status: AtomicU16::new(200),
                requests: AtomicUsize::new(0),
                posts: Mutex::new(Vec::new()),
            }),
            task: Mutex::new(None),
        };
        app.stack_starts().await;
        app
    }

    /// The stack answers everything with that status from now on.
    pub(crate) fn says(&self, status: u16) {
        self.stack.status.store(status, Ordering::SeqCst);
    }

    /// Requests that the stack got.
    pub(crate) fn requests(&self) -> usize {
        self.stack.requests.load(Ordering::SeqCst)
    }

    pub(crate) async fn stack_starts(&self) {
        let listener = TcpListener::bind(loopback(self.at)).await.unwrap();
        let stack = Arc::clone(&self.stack);
        *self.task.lock().unwrap() = Some(tokio::spawn(replica(listener, stack)));
    }

    /// Its connections are refused once this returns.
    pub(crate) async fn stack_stops(&self) {
        let task = self.task.lock().unwrap().take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

/// The servers for clients that ask for `localhost`, more often than the rates allow.
fn ours(text: &str) -> String {
    text.replace("shop.example.com app.internal", "localhost")
        .replace("shop.example.com", "localhost")
        .replace("app.internal", "localhost")
        .replace("rate=50r/s", "rate=10000r/s")
}

async fn replica(listener: TcpListener, stack: Arc<Stack>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let stack = Arc::clone(&stack);
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                if stream.read_line(&mut asked).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            stack.requests.fetch_add(1, Ordering::SeqCst);
            let status = stack.status.load(Ordering::SeqCst);
            let number = asked.lines().find_map(|line| line.strip_prefix("x-number: "));
            if asked.starts_with("POST ") && status == 200 {
                stack.posts.lock().unwrap().push(number.unwrap().to_owned());
            }
            let answer =
                format!("HTTP/1.1 {status} -\r\nContent-Length: 9\r\nConnection: close\r\n\r\nthe stack");
            let _ended = stream.get_mut().write_all(answer.as_bytes()).await;
        });
    }
}
