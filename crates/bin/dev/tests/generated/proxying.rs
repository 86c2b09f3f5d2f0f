//! What nginx does with the lines that the modules write, asked over the loopback.

use std::fs;
use std::path::Path;
use std::time::Duration;

use slipway_dev::ports::loopback;
use slipway_dev::programs;
use slipway_dev::spec::Spec;
use tokio::net::TcpStream;

use crate::common::client;
use crate::host::{Host, snapshot};

const START: Duration = Duration::from_secs(15);

/// The lines of a configuration from the one that begins with `first` to the next `}` alone.
fn block(text: &str, first: &str) -> String {
    let from = text
        .find(first)
        .unwrap_or_else(|| panic!("there is no {first} in {text}"));
    let block = &text[from..];
    block[..block.find("\n}").unwrap() + 3].to_owned()
}

/// The upstream of that name, with servers of our own.
pub(crate) fn upstream(text: &str, name: &str, ports: &[u16]) -> String {
    let block = block(text, &format!("upstream {name} {{"));
    let is_server = |line: &&str| line.trim_start().starts_with("server ");
    let told = block.lines().find(is_server).unwrap();
    let failures = &told[told.find("max_fails").unwrap()..];
    let ours = ports
        .iter()
        .map(|port| format!("server 127.0.0.1:{port} {failures}"));
    let kept = block.lines().filter(|line| !is_server(line) && *line != "}");
    let lines: Vec<String> = kept.map(ToOwned::to_owned).chain(ours).collect();
    format!("{}\n}}\n", lines.join("\n"))
}

/// The compose file's configuration, as flat as the modules'.
fn compose() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deploy/compose/nginx.conf");
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    lines.join("\n")
}

/// nginx with `http` inside its block of that name, once it accepts on `port`.
pub(crate) async fn serve(host: &Host, http: &str, port: u16) {
    let folder = host.folder("/nginx");
    let dir = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {dir}/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\npid {dir}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{http}}}\n"
    );
    let config = host.write("/nginx/nginx.conf", &text);
    let nginx = Spec::new("nginx", programs::find("nginx").unwrap())
        .args([
            "-p".as_ref(),
            folder.as_os_str(),
            "-e".as_ref(),
            "stderr".as_ref(),
        ])
        .args(["-c".as_ref(), config.as_os_str()])
        .directory(&folder)
        .user(host.run.user.as_ref());
    host.run.supervisor.spawn(nginx).unwrap();
    let ready = async || TcpStream::connect(loopback(port)).await.is_ok();
    host.run
        .supervisor
        .wait_ready("nginx", START, ready)
        .await
        .unwrap();
}

#[tokio::test]
async fn ipv6_clients_count_by_their_64_however_it_is_written() {
    let host = Host::new();
    let port = host.run.ports.reserve().unwrap();
    let map = block(&snapshot("nginx.conf"), "map $binary_remote_addr");
    let http = format!(
        "{map}limit_req_zone $slipway_client_shop zone=shop:1m rate=1r/m;
        server {{
            listen 127.0.0.1:{port};
            set_real_ip_from 127.0.0.1;
            limit_req zone=shop;
            limit_req_status 429;
            location / {{ try_files /none =204; }}
        }}\n"
    );
    serve(&host, &http, port).await;
    let client = client(&host.certify(&[], &[], &[]).ca);
    for (address, status) in [
        ("2001:db8::1", 204),
        ("2001:db8::2", 429),
        ("2001:db8:0:0:ffff::3", 429),
        ("2001:db8:0:1::1", 204),
        ("2001:db8:0:1:2:3:4:5", 429),
        // Bytes that end a line or a text.
        ("2001:db8:a00:a::1", 204),
        ("2001:db8:a00:a:1::", 429),
        ("192.0.2.1", 204),
        ("192.0.2.2", 204),
        ("192.0.2.1", 429),
    ] {
        let request = client
            .get(format!("http://127.0.0.1:{port}/"))
            .header("X-Real-IP", address);
        assert_eq!(request.send().await.unwrap().status(), status, "{address}");
    }
}

/// A replica that stops says that it is not ready. Each proxy asks another one, and takes none out for the answer.
#[tokio::test]
async fn whether_the_service_is_ready_is_asked_of_a_replica_that_is() {
    for (name, text, upstreams) in [
        ("nginx.conf", snapshot("nginx.conf"), &["slipway-shop"][..]),
        ("compose", compose(), &["api", "api-ready"]),
    ] {
        let host = Host::new();
        let port = || host.run.ports.reserve().unwrap();
        let (proxy, stopping, other) = (port(), port(), port());
        let made = host.certify(&[], &[], &[]);
        let tls = format!(
            "ssl_certificate \"{}\"; ssl_certificate_key \"{}\";",
            made.certificate.display(),
            made.key.display()
        );
        let ready = block(&text, "location = /api/v1/monitoring/ready");
        let replicas: String = upstreams
            .iter()
            .map(|name| upstream(&text, name, &[stopping, other]))
            .collect();
        let map = block(&text, "map $binary_remote_addr");
        let zones: String = text
            .lines()
            .filter(|line| line.starts_with("limit_req_zone"))
            .collect();
        let api = upstreams[0];
        let http = format!(
            "{replicas}{map}{zones}{tls}
            server {{ listen 127.0.0.1:{stopping}; return 503; }}
            server {{ listen 127.0.0.1:{other}; if ($http_x_down) {{ return 503; }} return 200 here; }}
            server {{
                listen 127.0.0.1:{proxy};
                location / {{ proxy_pass http://{api}; }}
                {ready}
            }}\n"
        );
        serve(&host, &http, proxy).await;
        let client = client(&made.ca);
        let get = |path: &str| client.get(format!("http://127.0.0.1:{proxy}{path}"));
        for round in 0..20 {
            let answer = get("/api/v1/monitoring/ready").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{name}: request {round}");
        }
        // With none ready, that is the answer. Other questions have all replicas as before.
        for path in ["/api/v1/monitoring/ready", "/"].iter().cycle().take(20) {
            let answer = get(path).header("X-Down", "1").send().await.unwrap();
            assert_eq!(answer.status(), 503, "{name}: {path}");
        }
    }
}
