//! nginx: the servers of one host, of one before others, and of one behind it.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use slipway_dev::programs;

use crate::host::{Host, snapshot};

const SNAPSHOTS: [&str; 4] = [
    "nginx.conf",
    "nginx-edge.conf",
    "nginx-app.conf",
    "nginx-routes.conf",
];

#[tokio::test]
async fn nginx_takes_every_configuration() {
    for name in SNAPSHOTS {
        let output = check(&snapshot(name));
        assert!(output.status.success(), "{name}: {}", printed(&output));
        // Also what it would only warn of.
        assert!(
            !printed(&output).contains("[warn]"),
            "{name}: {}",
            printed(&output)
        );
    }
}

#[tokio::test]
async fn a_mistake_in_a_configuration_is_found() {
    for (right, wrong, told) in [
        (
            "limit_req zone",
            "limit_rec zone",
            "unknown directive \"limit_rec\"",
        ),
        (
            "proxy_pass http://slipway-shop;",
            "proxy_pass http://nobody-here.invalid;",
            "host not found",
        ),
        (
            "zone=slipway-shop-long-poll burst",
            "zone=of-nobody burst",
            "zero size shared memory zone",
        ),
        (
            "$slipway_client_shop zone=slipway-shop-requests",
            "$of_nobody zone=slipway-shop-requests",
            "unknown \"of_nobody\" variable",
        ),
    ] {
        let text = snapshot("nginx.conf");
        assert!(text.contains(right), "{right}");
        let output = check(&text.replace(right, wrong));
        assert!(
            !output.status.success() && printed(&output).contains(told),
            "{wrong}: {}",
            printed(&output)
        );
    }
}

/// `nginx -t` of the servers in `text`, with everything they name moved to a folder of its own.
fn check(text: &str) -> Output {
    let host = Host::new();
    let program = programs::find("nginx").unwrap();
    host.certify(
        &[
            "/etc/fleet/app-1.pem",
            "/etc/fleet/edge.pem",
            "/var/lib/acme/shop.example.com/fullchain.pem",
        ],
        &[
            "/run/secrets/app-1-key",
            "/run/secrets/edge-key",
            "/var/lib/acme/shop.example.com/key.pem",
        ],
        &["/etc/fleet/authority.pem"],
    );
    host.folder("/var/log/nginx/stacks");
    let folder = host.folder("/nginx");
    let (servers, _) = listening_here(&host, &host.moved(text), has_quic(&program));
    let dir = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {dir}/{kind};\n"))
        .concat();
    let whole = format!(
        "pid {dir}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log {dir}/access.log;\n{temporary}{servers}}}\n"
    );
    let config = host.write("/nginx/nginx.conf", &whole);
    Command::new(program)
        .args(["-t", "-e", "stderr", "-c"])
        .arg(config)
        .output()
        .unwrap()
}

/// The text with a free loopback port in place of each address, and these ports by address. It has no QUIC listeners if
/// nginx was built without QUIC: Debian 12 has 1.22, QUIC came with 1.25.
pub(crate) fn listening_here(host: &Host, text: &str, quic: bool) -> (String, BTreeMap<String, u16>) {
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let Some(listen) = line.strip_prefix("listen ") else {
            lines.push(line.to_owned());
            continue;
        };
        let (address, parameters) = listen.split_at(listen.find([' ', ';']).unwrap());
        if parameters.starts_with(" quic") && !quic {
            continue;
        }
        let port = *ports
            .entry(address.to_owned())
            .or_insert_with(|| host.run.ports.reserve().unwrap());
        lines.push(format!("listen 127.0.0.1:{port}{parameters}"));
    }
    assert!(!ports.is_empty(), "the configuration listens nowhere");
    (lines.join("\n") + "\n", ports)
}

fn has_quic(nginx: &std::path::Path) -> bool {
    let output = Command::new(nginx).arg("-V").output().unwrap();
    printed(&output).contains("http_v3_module")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
