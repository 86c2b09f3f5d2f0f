//! The door to the log store: whose lines come in, under which name, and how far a sender gets.

use rcgen::DnType;

use crate::doors::{Authority, Door, ask, forged, plain, without};
use crate::host::snapshot;
use crate::routed::Answer;

const FOLDER: &str = "/run/slipway-logs-door";
const ALLOWED: &str = "allow 10.1.0.11;";
/// Of app-1, app-2, and a host that is no sender any more: the name, then `of-` and the name, as `htpasswd -nB` writes it.
const PASSWORDS: &str = "app-1:$2y$05$abcdefghijklmnopqrstuuRER72m8uFzcMsVG93CE0ZWYSIhlxZl.
app-2:$2y$05$zyxwvutsrqponmlkjihgfeR032QLGKM2/scWB2XYHHT8JJjNC8oI.
gone:$2y$05$ponmlkjihgfedcbaabcdeeVg8JkP254708HFTvL6I3ei2JdIfFdpy
";
/// A line that says it is of another host.
const LINE: &str = "{\"create\":{}}\n{\"_time\":\"0\",\"message\":\"x\",\"host\":\"app-2\",\"_stream\":\"{host=\\\"app-2\\\"}\"}\n";
/// What a sender may try, so that the store takes its line for one of app-2.
const FORGED_QUERY: &str = "?extra_fields=host=app-2&_stream_fields=message&AccountID=2";
const FORGED_HEADERS: [(&str, &str); 6] = [
    ("VL-Extra-Fields", "host=app-2"),
    ("VL-Stream-Fields", "message"),
    ("VL-Ignore-Fields", "host"),
    ("AccountID", "2"),
    ("Content-Type", "application/x-www-form-urlencoded"),
    ("X-Original-URL", "/select/logsql/query?query=app-2"),
];

fn here() -> String {
    let text = snapshot("nginx-logs-door.conf");
    assert!(text.contains(ALLOWED));
    text.replace(ALLOWED, "allow 127.0.0.1;")
}

async fn start(text: &str) -> Door {
    Door::start(text, FOLDER, &[("passwords", PASSWORDS)]).await
}

/// A post of the line, with everything that is forged.
fn post(door: &Door, who: Option<(String, String)>) -> reqwest::RequestBuilder {
    let url = door.url(&format!("/_bulk{FORGED_QUERY}"));
    let request = door.client(who).post(url).body(LINE);
    FORGED_HEADERS
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
}

/// Says that the store was asked for exactly this: the line as one of `host`.
fn assert_taken(asked: &str, host: &str) {
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    let address = format!(
        "POST /insert/elasticsearch/_bulk?_time_field=_time&_msg_field=message&_stream_fields=host,stack,service,unit\
         &extra_fields=host={host} HTTP/1.1\r\n"
    );
    assert!(head.starts_with(&address), "{head}");
    let mut names: Vec<&str> = head
        .lines()
        .skip(1)
        .map(|line| line.split_once(": ").unwrap().0)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["Content-Length", "Content-Type", "Host"], "{head}");
    assert!(
        head.contains("\r\nContent-Type: application/x-ndjson\r\n"),
        "{head}"
    );
    // What it says of itself is for the store to write over.
    assert_eq!(body, LINE);
}

/// A request of app-1 in plain text. It is whole: nothing follows the body.
fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YXBwLTE6b2YtYXBwLTE=\r\n\
         Content-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    )
}

fn status(answer: &Answer) -> u16 {
    answer.status.unwrap_or_default()
}

#[tokio::test]
async fn a_line_is_of_the_host_whose_certificate_came_with_it() {
    let door = start(&here()).await;
    for host in ["app-1", "app-2"] {
        let sender = door
            .fleet
            .sign(&[(DnType::CommonName, format!("{host}.internal"))]);
        let (status, asked) = ask(post(&door, Some(sender))).await.unwrap();
        assert_eq!(status, 200, "{asked}");
        assert_taken(&asked, host);
    }
    // The certificate counts, also beside the password of another host.
    let sender = door.fleet.sign(&[(DnType::CommonName, "app-1.internal")]);
    let both = post(&door, Some(sender)).basic_auth("app-2", Some("of-app-2"));
    let (status, asked) = ask(both).await.unwrap();
    assert_eq!(status, 200, "{asked}");
    assert_taken(&asked, "app-1");
}

#[tokio::test]
async fn no_other_certificate_comes_in_with_or_without_a_password() {
    let door = start(&here()).await;
    for name in forged("app-1.internal") {
        let member = door.fleet.sign(&name);
        for password in [false, true] {
            let mut request = post(&door, Some(member.clone()));
            if password {
                request = request.basic_auth("app-1", Some("of-app-1"));
            }
            let (status, body) = ask(request).await.unwrap();
            assert_eq!(status, 403, "{name:?}: {body}");
        }
    }
    let stranger = Authority::new().sign(&[(DnType::CommonName, "app-1.internal")]);
    let request = post(&door, Some(stranger)).basic_auth("app-1", Some("of-app-1"));
    // The handshake may end as well.
    if let Ok((status, body)) = ask(request).await {
        assert_eq!(status, 400, "{body}");
    }
}

#[tokio::test]
async fn a_line_is_of_the_host_whose_password_came_with_it() {
    let door = start(&here()).await;
    for host in ["app-1", "app-2"] {
        let request = post(&door, None).basic_auth(host, Some(format!("of-{host}")));
        let (status, asked) = ask(request).await.unwrap();
        assert_eq!(status, 200, "{asked}");
        assert_taken(&asked, host);
    }
    for (name, password, want) in [
        ("app-1", "", 401),
        ("app-1", "of-app-2", 401),
        ("app-2", "of-app-1", 401),
        // Its password is right, yet it is no sender.
        ("gone", "of-gone", 403),
        ("monitor", "of-app-1", 403),
        ("", "of-app-1", 403),
        ("app-1 app-2", "of-app-1", 403),
    ] {
        let request = post(&door, None).basic_auth(name, Some(password));
        let (status, body) = ask(request).await.unwrap();
        assert_eq!(status, want, "{name}: {body}");
    }
    let (status, body) = ask(post(&door, None)).await.unwrap();
    assert_eq!(status, 403, "{body}");
}

#[tokio::test]
async fn where_senders_have_certificates_nobody_comes_in_without_one() {
    let text = here().replace("ssl_verify_client optional;", "ssl_verify_client on;");
    let door = start(&without(&text, "auth_basic")).await;
    let sender = door.fleet.sign(&[(DnType::CommonName, "app-1.internal")]);
    let (status, asked) = ask(post(&door, Some(sender))).await.unwrap();
    assert_eq!(status, 200, "{asked}");
    assert_taken(&asked, "app-1");
    let request = post(&door, None).basic_auth("app-1", Some("of-app-1"));
    let (status, body) = ask(request).await.unwrap();
    assert_eq!(status, 400, "{body}");
}

#[tokio::test]
async fn the_door_of_the_logs_is_shut_to_other_addresses_whatever_they_show() {
    let door = start(&snapshot("nginx-logs-door.conf")).await;
    let sender = door.fleet.sign(&[(DnType::CommonName, "app-1.internal")]);
    assert_eq!(ask(post(&door, Some(sender))).await.unwrap().0, 403);
}

#[tokio::test]
async fn every_spelling_of_an_address_is_the_one_address_or_none() {
    let door = start(&plain(&here())).await;
    for path in [
        "/_bulk",
        "/_bulk?extra_fields=host=app-2",
        "/_bulk?%65xtra_fields=host=app-2#x",
        "//_bulk",
        "/%5fbulk",
        "/select/../_bulk",
        "/select/%2e%2e/_bulk",
        "/x/..//./_bulk",
        "http://app-2/_bulk",
    ] {
        let answer = door.send(&request("POST", path, "", LINE)).await;
        assert_eq!(status(&answer), 200, "{path}: {answer:?}");
        assert_taken(&answer.body, "app-1");
        let answer = door.send_inside(&request("POST", path, "", LINE)).await;
        assert_eq!(status(&answer), 200, "{path}: {answer:?}");
        assert_taken(&answer.body, "monitor");
    }
    let path = "/opensearch/_bulk?pipeline=x&routing=app-2";
    let answer = door.send(&request("POST", path, "", LINE)).await;
    assert!(answer.body.starts_with("POST /_bulk HTTP/1.1\r\n"), "{answer:?}");
    for path in [
        "/",
        "/metrics",
        "/flags",
        "/debug/pprof/cmdline",
        "/select/logsql/query?query=*",
        "/select/logsql/tail?query=*",
        "/select/vmui",
        "/delete/run_task?filter=*",
        "/internal/select/query",
        "/internal/insert",
        "/internal/force_flush",
        "/insert/jsonline?extra_fields=host=app-2",
        "/insert/elasticsearch/_bulk?extra_fields=host=app-2",
        "/insert/loki/api/v1/push",
        "/_bulk/",
        "/_bulk/../select/logsql/query?query=*",
        "/_bulk%2f..%2fselect/logsql/query?query=*",
        "/_bulk%3fextra_fields=host=app-2",
        "/_bulk;/../metrics",
        "/_bulk%00",
        "/_BULK",
        "/..%2f_bulk",
        "/../metrics",
        "/%2e%2e/metrics",
        "/opensearch",
        "/opensearch/",
        "/opensearch/_search",
        "/opensearch/_bulk/x",
        "/opensearch/slipway-logs/_bulk",
        "/opensearch/../_search",
        "http://127.0.0.1:9428/metrics",
        "//127.0.0.1:9428/metrics",
    ] {
        for method in ["GET", "POST"] {
            let asked = request(method, path, "Host: 127.0.0.1:9428\r\n", "");
            let asked = asked.replacen("Host: x\r\n", "", 1);
            for answer in [door.send(&asked).await, door.send_inside(&asked).await] {
                assert!(
                    matches!(status(&answer), 400 | 404),
                    "{method} {path}: {answer:?}"
                );
            }
        }
    }
    for method in [
        "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ] {
        for path in ["/_bulk", "/opensearch/_bulk"] {
            let answer = door.send(&request(method, path, "", LINE)).await;
            assert!(
                matches!(status(&answer), 400 | 403 | 405),
                "{method} {path}: {answer:?}"
            );
        }
        let answer = door.send_inside(&request(method, "/_bulk", "", LINE)).await;
        assert!(matches!(status(&answer), 400 | 403 | 405), "{method}: {answer:?}");
    }
}

#[tokio::test]
async fn a_batch_of_a_shipper_arrives_whole_and_one_beyond_the_bound_not_at_all() {
    // It would wait 5 s for the rest of what it refuses, and 60 s for that of what it should have refused.
    let text = plain(&here()).replacen(
        "http {",
        "http {\nlingering_timeout 100ms;\nclient_body_timeout 10s;",
        1,
    );
    let door = start(&text).await;
    let batch = "x".repeat(3 * 1024 * 1024);
    let packed = "Content-Encoding: gzip\r\n";
    let answer = door.send(&request("POST", "/_bulk", packed, &batch)).await;
    assert!(answer.body.contains("\r\nContent-Encoding: gzip\r\n"));
    assert!(answer.body.ends_with(&format!("\r\n\r\n{batch}")));

    let beyond = 32 * 1024 * 1024 + 1;
    let asked = request("POST", "/_bulk", "", "");
    let length = format!("Content-Length: {beyond}\r\n");
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (kind, asked) in [
        ("length", asked.replace("Content-Length: 0\r\n", &length)),
        (
            "chunk",
            asked.replace("Content-Length: 0\r\n", chunked) + &format!("{beyond:x}\r\nx"),
        ),
    ] {
        for answer in [door.send(&asked).await, door.send_inside(&asked).await] {
            assert_eq!(status(&answer), 413, "{kind}: {answer:?}");
        }
    }
    // Two lengths are two opinions of where the next request begins.
    let asked = asked.replace(
        "Content-Length: 0\r\n",
        &format!("Content-Length: 0\r\n{chunked}"),
    );
    let answer = door.send(&(asked + "0\r\n\r\n")).await;
    assert_eq!(status(&answer), 400, "{answer:?}");
}
