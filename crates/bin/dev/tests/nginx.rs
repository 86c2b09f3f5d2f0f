//! The proxy with real upstreams: TLS, HTTP/2, failing over, and what is not sent twice.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Base, client};
use slipway_dev::nginx::Nginx;
use slipway_dev::ports::loopback;
use slipway_dev::run::Run;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An upstream that answers each request with `status`, or hangs up without an answer if that is 0.
fn upstream(port: u16, status: u16) -> (JoinHandle<()>, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let listener = std::net::TcpListener::bind(loopback(port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap_or(0);
            counter.fetch_add(1, Ordering::SeqCst);
            if status == 0 || read == 0 {
                continue;
            }
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let answer = format!(
                "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (task, requests)
}

#[tokio::test]
async fn it_speaks_http2_forwards_the_client_and_serves_the_cache() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    std::fs::write(cache.join("nix-cache-info"), "StoreDir: /x\n").unwrap();
    let port = run.ports.reserve().unwrap();
    let (_task, _) = upstream(port, 200);
    let nginx = Nginx::start(&run, &[port], &cache).await.unwrap();

    let answer = client(&nginx.ca)
        .get(format!("{}/live", nginx.api_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let seen = answer.text().await.unwrap().to_lowercase();
    for header in [
        "x-request-id: ",
        "x-real-ip: 127.0.0.1",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: https",
    ] {
        assert!(seen.contains(header), "{header} is missing in {seen}");
    }

    let stranger = reqwest::Client::builder().build().unwrap();
    let refused = stranger.get(nginx.api_url()).send().await;
    assert!(
        refused.is_err(),
        "a client that does not know the run's authority must refuse its certificate"
    );

    let info = stranger
        .get(format!("{}/nix-cache-info", nginx.cache_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(info.text().await.unwrap(), "StoreDir: /x\n");
    let missing = stranger
        .get(format!("{}/none", nginx.cache_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), 404);
    run.close().await.unwrap();
}

#[tokio::test]
async fn a_dead_replica_costs_no_request() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let ports: Vec<u16> = (0..3).map(|_| run.ports.reserve().unwrap()).collect();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    let mut tasks: Vec<_> = ports.iter().map(|port| upstream(*port, 200).0).collect();
    let nginx = Nginx::start(&run, &ports, &cache).await.unwrap();
    let client = client(&nginx.ca);
    for round in 0..300 {
        if round == 100 {
            tasks.remove(0).abort();
        }
        if round == 200 {
            tasks.push(upstream(ports[0], 200).0);
        }
        let answer = client
            .get(format!("{}/api/v1/hosts", nginx.api_url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "request {round}");
    }
    run.close().await.unwrap();
}

#[tokio::test]
async fn a_503_is_an_answer_and_takes_no_replica_out() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let ports: Vec<u16> = (0..2).map(|_| run.ports.reserve().unwrap()).collect();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    let (_first, first) = upstream(ports[0], 503);
    let (_second, second) = upstream(ports[1], 503);
    let nginx = Nginx::start(&run, &ports, &cache).await.unwrap();
    let client = client(&nginx.ca);
    let paths = ["/api/v1/hosts", "/api/v1/monitoring/live"];
    for path in paths.iter().cycle().take(40) {
        let answer = client
            .get(format!("{}{path}", nginx.api_url()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 503, "{path}");
    }
    assert_eq!(
        first.load(Ordering::SeqCst) + second.load(Ordering::SeqCst),
        40,
        "an answer was asked for again"
    );
    run.close().await.unwrap();
}

/// A replica that stops is live and not ready. The proxy's own readiness is that of the others.
#[tokio::test]
async fn whether_the_service_is_ready_is_asked_of_a_replica_that_is() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let ports: Vec<u16> = (0..2).map(|_| run.ports.reserve().unwrap()).collect();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    let (_stopping, requests) = upstream(ports[0], 503);
    let (serving, _) = upstream(ports[1], 200);
    let nginx = Nginx::start(&run, &ports, &cache).await.unwrap();
    let client = client(&nginx.ca);
    let get = async |path: &str| {
        let answer = client.get(format!("{}{path}", nginx.api_url())).send().await;
        answer.unwrap().status()
    };
    for round in 0..40 {
        assert_eq!(get("/api/v1/monitoring/ready").await, 200, "request {round}");
    }
    assert!(requests.load(Ordering::SeqCst) > 0, "the other was never asked");
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    let (_stopping_too, _) = upstream(ports[1], 503);
    for path in ["/api/v1/monitoring/ready", "/api/v1/hosts"]
        .iter()
        .cycle()
        .take(40)
    {
        assert_eq!(get(path).await, 503, "{path}: no replica is taken out");
    }
    run.close().await.unwrap();
}

#[tokio::test]
async fn only_a_sync_is_sent_again_when_it_may_have_arrived() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let ports: Vec<u16> = (0..2).map(|_| run.ports.reserve().unwrap()).collect();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    let (_first, first) = upstream(ports[0], 0);
    let (_second, second) = upstream(ports[1], 0);
    let nginx = Nginx::start(&run, &ports, &cache).await.unwrap();
    let client = client(&nginx.ca);
    let post = async |path: &str| {
        // The ban of a second that follows each failure must be over.
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        let before = first.load(Ordering::SeqCst) + second.load(Ordering::SeqCst);
        let answer = client
            .post(format!("{}{path}", nginx.api_url()))
            .body("{}")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 502);
        first.load(Ordering::SeqCst) + second.load(Ordering::SeqCst) - before
    };
    assert_eq!(
        post("/api/v1/rollouts").await,
        1,
        "a rollout must not be created twice"
    );
    assert_eq!(
        post("/api/v1/agent/sync").await,
        2,
        "a sync is tried at the next replica"
    );
    run.close().await.unwrap();
}

#[tokio::test]
async fn a_body_of_twenty_mebibytes_is_refused() {
    let base = Base::new();
    let run = Run::create(base.path()).unwrap();
    let port = run.ports.reserve().unwrap();
    let cache = run.dir.folder("cache", run.user.as_ref()).unwrap();
    let (_task, requests) = upstream(port, 200);
    let nginx = Nginx::start(&run, &[port], &cache).await.unwrap();
    let body = vec![b' '; 20 << 20];
    let answer = client(&nginx.ca)
        .post(format!("{}/api/v1/releases", nginx.api_url()))
        .body(body)
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), 413);
    assert_eq!(requests.load(Ordering::SeqCst), 0);
    run.close().await.unwrap();
}
