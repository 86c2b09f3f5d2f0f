//! The proxy's configuration as text.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::tls::Certificates;

/// What the configuration depends on.
#[derive(Debug)]
pub struct NginxPlan<'a> {
    /// The folder nginx keeps everything in.
    pub folder: &'a Path,
    /// The folder of the binary cache, served over plain HTTP.
    pub cache: &'a Path,
    /// The proxy's certificate.
    pub certificates: &'a Certificates,
    /// Where the api replicas listen.
    pub replicas: &'a [SocketAddr],
    /// Port of the HTTPS listener.
    pub https: u16,
    /// Port of the binary cache.
    pub http: u16,
    /// Whether this nginx has the directive `http2` (1.25.1 and later).
    pub http2_directive: bool,
}

impl NginxPlan<'_> {
    /// The whole file.
    #[must_use]
    pub fn render(&self) -> String {
        let dir = self.folder.display();
        format!(
            r#"daemon off;
worker_processes 2;
pid "{dir}/nginx.pid";
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    log_format run '$time_iso8601 $request_id $remote_addr "$request" $status $request_time '
                   '$upstream_addr $upstream_status $upstream_response_time';
    access_log "{dir}/access.log" run buffer=32k flush=1s;
    client_body_temp_path "{dir}/body";
    proxy_temp_path "{dir}/proxy";
    fastcgi_temp_path "{dir}/fastcgi";
    uwsgi_temp_path "{dir}/uwsgi";
    scgi_temp_path "{dir}/scgi";
    default_type application/octet-stream;
    server_tokens off;
{upstreams}
{api}
{cache}
}}
"#,
            upstreams = self.upstreams(),
            api = self.api_server(),
            cache = self.cache_server(),
        )
    }

    fn upstreams(&self) -> String {
        // A dead replica refuses at once and the next one answers. nginx asks it again a second later, so
        // that a restarted replica is used. A longer ban could take all replicas out at once.
        let mut text = self.upstream("api", "max_fails=1 fail_timeout=1s");
        // For the path that says whether the service takes requests.
        text.push_str(&self.upstream("api-ready", "max_fails=0"));
        text
    }

    fn upstream(&self, name: &str, failures: &str) -> String {
        let mut text = format!(
            "    upstream {name} {{\n\
             \x20       # Shared by the workers, so that least_conn counts all connections.\n\
             \x20       zone {name} 128k;\n\
             \x20       least_conn;\n",
        );
        for address in self.replicas {
            let _ = writeln!(text, "        server {address} {failures};");
        }
        // Shorter than the api's own 5 s, or nginx would now and then use a connection that is just closing.
        text.push_str("        keepalive 32;\n        keepalive_timeout 4s;\n    }\n");
        text
    }

    fn api_server(&self) -> String {
        let Certificates { certificate, key, .. } = self.certificates;
        let https = self.https;
        let listen = if self.http2_directive {
            format!("listen 127.0.0.1:{https} ssl;\n        http2 on;")
        } else {
            format!("listen 127.0.0.1:{https} ssl http2;")
        };
        format!(
            r#"    server {{
        {listen}
        server_name localhost;
        ssl_certificate "{certificate}";
        ssl_certificate_key "{key}";
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_cache shared:tls:1m;
        ssl_session_tickets off;
        # Above the api's own limits, 12 MiB at most: the api's refusal is a problem document, nginx's is not.
        client_max_body_size 16m;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_connect_timeout 2s;
        # Above the api's own limit of 120 s, whose answer says more.
        proxy_read_timeout 125s;
        # Answers, also 503, are the client's to judge: when a dependency is down, every replica gives that one.
        proxy_next_upstream error timeout;
        proxy_next_upstream_tries 3;
        location / {{ proxy_pass http://api; }}
        # A replica that stops says 503: the next one is asked. The last answer stands, and takes no replica out.
        location = /api/v1/monitoring/ready {{
            proxy_pass http://api-ready;
            proxy_next_upstream error timeout http_503;
            proxy_next_upstream_tries 0;
        }}
        # A sync says what is and asks what to do: sending it twice is safe.
        location = /api/v1/agent/sync {{
            proxy_pass http://api;
            # Above the 30 s of a long poll.
            proxy_read_timeout 45s;
            proxy_next_upstream error timeout non_idempotent;
        }}
    }}"#,
            certificate = certificate.display(),
            key = key.display(),
        )
    }

    fn cache_server(&self) -> String {
        format!(
            "    server {{\n        listen 127.0.0.1:{};\n        root \"{}\";\n        \
             location / {{ try_files $uri =404; }}\n        \
             # For the exporter of metrics.\n        \
             location = /stub_status {{ stub_status; access_log off; }}\n    }}",
            self.http,
            self.cache.display()
        )
    }
}
