//! The door to a host's metrics: who comes in, and how far.

use rcgen::DnType;

use crate::doors::{Authority, Door, ask, forged, plain, without};
use crate::host::snapshot;

const FOLDER: &str = "/run/slipway-telemetry-door";
const ALLOWED: &str = "allow 10.1.0.30;";
const MONITOR: &str = "monitor.internal";

/// The status and body of a request with this certificate and key, or why there is none.
async fn get(door: &Door, who: Option<(String, String)>, path: &str) -> Result<(u16, String), String> {
    ask(door.client(who).get(door.url(path))).await
}

fn here() -> String {
    let text = snapshot("nginx-door.conf");
    assert!(text.contains(ALLOWED));
    text.replace(ALLOWED, "allow 127.0.0.1;")
}

/// Without TLS, and so without the names of certificates.
fn unnamed() -> String {
    without(&plain(&here()), "if ($slipway_is_client")
}

#[tokio::test]
async fn the_door_opens_to_the_certificate_of_the_monitoring_host_alone() {
    let door = Door::start(&here(), FOLDER, &[]).await;
    let monitor = door.fleet.sign(&[(DnType::CommonName, MONITOR)]);
    let (status, body) = get(&door, Some(monitor), "/node").await.unwrap();
    assert_eq!(status, 200);
    assert!(body.starts_with("GET /metrics HTTP/1."), "{body}");

    let (status, body) = get(&door, None, "/node").await.unwrap();
    assert_eq!(status, 400, "{body}");
    let stranger = Authority::new().sign(&[(DnType::CommonName, MONITOR)]);
    // The handshake may end as well.
    if let Ok((status, body)) = get(&door, Some(stranger), "/node").await {
        assert_eq!(status, 400, "{body}");
    }
    for name in forged(MONITOR) {
        let member = door.fleet.sign(&name);
        let (status, body) = get(&door, Some(member), "/node").await.unwrap();
        assert_eq!(status, 403, "{name:?}: {body}");
    }
}

#[tokio::test]
async fn the_door_is_shut_to_other_addresses_whatever_they_show() {
    let door = Door::start(&snapshot("nginx-door.conf"), FOLDER, &[]).await;
    let monitor = door.fleet.sign(&[(DnType::CommonName, MONITOR)]);
    assert_eq!(get(&door, Some(monitor), "/node").await.unwrap().0, 403);
}

#[tokio::test]
async fn the_door_leads_to_its_targets_and_nowhere_else() {
    let door = Door::start(&unnamed(), FOLDER, &[]).await;
    let redis = "GET /scrape?target=unix%3A%2F%2F%2Frun%2Fredis-shop%2Fredis.sock HTTP/1.";
    for (path, asked) in [
        ("/node", "GET /metrics HTTP/1."),
        ("/stack/shop-api-1", "GET /metrics HTTP/1."),
        ("/redis/redis-shop", redis),
        // Nothing of the client's query arrives.
        ("/node?collect[]=systemd", "GET /metrics HTTP/1."),
        (
            "/redis/redis-shop?target=redis://127.0.0.1:6379&check-keys=*",
            redis,
        ),
    ] {
        let answer = door
            .send(&format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert!(answer.body.starts_with(asked), "{path}: {answer:?}");
    }
    for path in [
        "/",
        "/metrics",
        "/scrape",
        "/scrape?target=redis://127.0.0.1:6379",
        "/probe?target=127.0.0.1",
        "/node/",
        "/node/x",
        "/node/..;/metrics",
        "/NODE",
        "/node%00",
        "/node%3fx",
        "/stack",
        "/stack/shop-api-1/api/v1/hosts",
        "/stack/shop-api-9",
        "/redis/redis-other",
        "/redis/redis-shop/../../metrics",
        "http://127.0.0.1:9187/metrics",
        "//127.0.0.1:9187/metrics",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9187\r\nConnection: close\r\n\r\n");
        let answer = door.send(&request).await;
        let status = answer.status.unwrap_or_default();
        assert!(matches!(status, 400 | 404), "{path}: {answer:?}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"] {
        let request =
            format!("{method} /node HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
        let answer = door.send(&request).await;
        let status = answer.status.unwrap_or_default();
        assert!(matches!(status, 400 | 403 | 405), "{method}: {answer:?}");
    }
}
