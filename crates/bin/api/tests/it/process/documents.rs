//! What documents of releases cost the process in memory.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serde_json::json;
use slipway_api::attachment::MOST_HELD;
use slipway_wire::attachment::{MAX_DOCUMENT_BYTES, MAX_ENTRIES};
use slipway_wire::route;
use sqlx::PgPool;

use super::harness::{Server, Setup, exchange, post, url};
use crate::support::TestApp;

/// The most memory that a process may have used at once, as docs/decisions/0131-documents-have-places.md says it.
const MOST_MB: u64 = 500;
const UPLOADS: usize = 24;

/// The most memory that the process has used, in MB.
fn most_used(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
}

/// Sends a document; gives the status.
fn attach(server: &Server, token: &str, body: &str) -> u16 {
    let path = route::fill(route::RELEASE_ATTACHMENTS, 1);
    post(server.address(), &path, token, "", body).0
}

/// Two documents as long as may be. One has many objects, and is refused once it is read. The other has many long names.
fn documents() -> [String; 2] {
    let part = r#"{"name":"n"},"#;
    let objects = part.repeat(399_000);
    let name = "n".repeat(MAX_DOCUMENT_BYTES / MAX_ENTRIES - 20);
    let names: Vec<_> = (0..MAX_ENTRIES - 1)
        .map(|n| format!(r#"{{"name":"{n}{name}"}},"#))
        .collect();
    [objects, names.concat()].map(|parts| {
        let mut document = format!(r#"{{"bomFormat":"CycloneDX","components":[{parts}{{}}]}}"#);
        assert!(document.len() <= MAX_DOCUMENT_BYTES, "{}", document.len());
        let blanks = MAX_DOCUMENT_BYTES - document.len();
        document.push_str(&" ".repeat(blanks));
        json!({ "kind": "sbom", "document": document }).to_string()
    })
}

/// A process with a release in its database.
async fn served(pool: PgPool) -> (TestApp, Server) {
    let database = url(&pool, None);
    let app = TestApp::new(pool).await;
    app.fleet("prod", &["web-1"]).await;
    app.release(&["web-1"]).await;
    let server = Setup::new(database).serve();
    server.until_ready();
    (app, server)
}

#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn many_uploads_of_the_longest_documents_cost_no_more_memory_than_is_said(pool: PgPool) {
    let (app, server) = served(pool).await;
    let before = most_used(&server);
    for (what, body) in ["objects", "entries"].into_iter().zip(documents()) {
        let statuses: Vec<u16> = thread::scope(|scope| {
            let uploads: Vec<_> = (0..UPLOADS)
                .map(|_| scope.spawn(|| attach(&server, &app.admin, &body)))
                .collect();
            uploads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
        // Some are read, and whoever gets no place in time is asked to come again.
        let read = count(200) + count(422);
        assert!(read > 0 && read + count(503) == UPLOADS, "{what}: {statuses:?}");
        let most = most_used(&server);
        eprintln!("{what}: {before} MB before, {most} MB at most, {read} read");
        assert!(most < MOST_MB, "{what}: {most} MB, before {before} MB");
    }
}

/// The bytes of an answer wait in memory for a client that reads nothing. The server has dropped the body by then.
#[sqlx::test(migrator = "slipway_store::MIGRATOR")]
async fn clients_that_read_nothing_keep_the_places_of_their_documents(pool: PgPool) {
    let (app, server) = served(pool).await;
    let [_, names] = documents();
    assert_eq!(attach(&server, &app.admin, &names), 200);
    let request = |path: &str| {
        let (path, token) = (route::fill(path, 1), &app.admin);
        format!(
            "GET {path}?kind=sbom HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        )
    };
    let connect = || {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        stream
    };
    let ask = |path: &str| exchange(connect(), &request(path)).unwrap();
    let unread: Vec<TcpStream> = (0..MOST_HELD)
        .map(|_| {
            let mut stream = connect();
            stream
                .write_all(request(route::RELEASE_DOCUMENT).as_bytes())
                .unwrap();
            // The answer is there, and stays in the socket.
            assert_eq!(stream.peek(&mut [0]).unwrap(), 1);
            stream
        })
        .collect();
    assert_eq!(ask(route::RELEASE_DOCUMENT).0, 503);
    assert_eq!(ask(route::RELEASE_ATTACHMENTS).0, 200, "other requests go on");
    drop(unread);
    assert_eq!(
        ask(route::RELEASE_DOCUMENT).0,
        200,
        "whoever goes frees the place"
    );
}
