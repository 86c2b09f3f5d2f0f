//! nginx in front of the api replicas, and as the server of the binary cache.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::nginx_conf::NginxPlan;
use crate::ports::loopback;
use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;
use crate::tls::Certificates;

/// How the process is called in the run.
pub const NAME: &str = "nginx";
/// Above the api (1): nginx stops first.
const LAYER: u8 = 2;
const START: Duration = Duration::from_mins(1);

/// A running proxy.
#[derive(Debug)]
pub struct Nginx {
    /// Port of the api over HTTPS.
    pub https: u16,
    /// Port of the binary cache over HTTP.
    pub http: u16,
    /// The authority to trust, PEM.
    pub ca: PathBuf,
    certificates: Certificates,
}

impl Nginx {
    /// Starts it in front of `replicas` on ports of this machine, and of `cache` as a static folder.
    pub async fn start(run: &Run, replicas: &[u16], cache: &Path) -> Result<Self> {
        Self::start_on(run, run.ports.reserve()?, replicas, cache).await
    }

    /// As [`Self::start`], with the api on a port that was reserved before.
    pub async fn start_on(run: &Run, https: u16, replicas: &[u16], cache: &Path) -> Result<Self> {
        let replicas: Vec<SocketAddr> = replicas.iter().copied().map(loopback).collect();
        Self::start_before(run, https, &replicas, cache).await
    }

    /// As [`Self::start_on`], for replicas at addresses of their own.
    pub async fn start_before(run: &Run, https: u16, replicas: &[SocketAddr], cache: &Path) -> Result<Self> {
        let program = programs::find("nginx")?;
        let user = run.user.as_ref();
        let folder = run.dir.folder("nginx", user)?;
        let certificates = Certificates::create(&folder, run.dir.path(), user)?;
        let http = run.ports.reserve()?;
        let plan = NginxPlan {
            folder: &folder,
            cache,
            certificates: &certificates,
            replicas,
            https,
            http,
            http2_directive: has_http2_directive(&program),
        };
        let config = folder.join("nginx.conf");
        write_private(&config, &plan.render(), user)?;
        let spec = |name: &str| {
            Spec::new(name, &program)
                .args([
                    "-p".as_ref(),
                    folder.as_os_str(),
                    "-e".as_ref(),
                    "stderr".as_ref(),
                ])
                .args(["-c".as_ref(), config.as_os_str()])
                .directory(&folder)
                .user(user)
                .layer(LAYER)
        };
        run.supervisor
            .run(spec("nginx-check").args(["-t"]), START)
            .await
            .context("nginx does not accept its configuration")?;
        run.supervisor.spawn(spec(NAME))?;
        let ready = async || TcpStream::connect(loopback(https)).await.is_ok();
        run.supervisor.wait_ready(NAME, START, ready).await?;
        Ok(Self {
            https,
            http,
            ca: certificates.ca.clone(),
            certificates,
        })
    }

    /// The api's address for clients that trust [`Nginx::ca`].
    #[must_use]
    pub fn api_url(&self) -> String {
        api_url(self.https)
    }

    /// What nginx says of its connections.
    #[must_use]
    pub fn status_url(&self) -> String {
        format!("{}/stub_status", self.cache_url())
    }

    /// Gives it a certificate that ends after so many days, or the one that it began with.
    pub fn renew(&self, run: &Run, days: Option<u32>) -> Result<()> {
        self.certificates.renew(run.user.as_ref(), days)?;
        run.supervisor.signal_one(NAME, Signal::HUP)
    }

    /// The binary cache's address, as Nix wants it.
    #[must_use]
    pub fn cache_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }
}

/// The api's address behind a proxy on this port.
pub(crate) fn api_url(https: u16) -> String {
    format!("https://localhost:{https}")
}

fn has_http2_directive(program: &Path) -> bool {
    let output = std::process::Command::new(program).arg("-v").output();
    output.is_ok_and(|output| is_new(&String::from_utf8_lossy(&output.stderr)))
}

/// From 1.25.1 on, `listen … http2` is accepted with a warning and `http2 on` is the way.
fn is_new(version: &str) -> bool {
    let number = version.rsplit('/').next().unwrap_or_default();
    let parts: Vec<u32> = number
        .split(['.', ' '])
        .map_while(|part| part.trim().parse().ok())
        .collect();
    parts.as_slice() >= [1, 25, 1].as_slice()
}
