//! What a monitoring system sees.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;

fn get(address: SocketAddr, path: &str) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_and_status_are_worked_out_anew_at_each_request() {
    let mut cluster = Cluster::start();
    cluster.sql(
        "shop",
        "CREATE TABLE events AS SELECT generate_series(1, 10) AS n",
    );
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    cluster.config["exporter"] = json!({ "listen": address });
    cluster.config["dump"]["times"]["late_after_seconds"] = json!(2);
    let mut exporter = cluster.backup_command(&["exporter"]).spawn().unwrap();
    let before = get(address, "/metrics");
    assert!(
        before.contains("slipway_backup_failed{stack=\"shop\",kind=\"dump\"} 0"),
        "{before}"
    );
    assert!(
        !before.contains("slipway_backup_age_seconds{"),
        "nothing is there yet: {before}"
    );

    cluster.good(&["now", "--kind", "dump"]);
    let fresh = get(address, "/metrics");
    for line in [
        "slipway_backup_late{stack=\"shop\",kind=\"dump\"} 0",
        "slipway_backup_last_success_timestamp_seconds{stack=\"shop\",kind=\"dump\"} ",
        "slipway_backup_age_seconds{stack=\"shop\",kind=\"dump\"} ",
        "slipway_backup_last_size_bytes{stack=\"shop\",kind=\"dump\"} ",
        "build_info{service=\"slipway-backup\"",
    ] {
        assert!(fresh.contains(line), "{line}: {fresh}");
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/metrics.md");
    let table = std::fs::read_to_string(page).unwrap();
    for name in fresh
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
    {
        assert!(
            table.contains(&format!("| `{name}` |")),
            "{name} is not in docs/metrics.md"
        );
    }
    // Nobody runs anything any more: the age alone makes it late.
    std::thread::sleep(Duration::from_secs(3));
    let late = get(address, "/metrics");
    assert!(
        late.contains("slipway_backup_late{stack=\"shop\",kind=\"dump\"} 1"),
        "{late}"
    );
    let status = get(address, "/status");
    let body: Value = serde_json::from_str(status.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(body["ok"], json!(false));
    assert!(
        body["stacks"][0]["kinds"][0]["cure"]
            .as_str()
            .unwrap()
            .contains("run it now"),
        "{body}"
    );
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&exporter),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(exporter.wait().unwrap().success());
}
