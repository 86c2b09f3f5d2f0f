//! The exporters of the distribution, as modules/telemetry runs them on a host.

use std::path::PathBuf;

use anyhow::Result;

use super::plan::Target;
use crate::postgres::TELEMETRY_ROLE;
use crate::programs;
use crate::run::Run;
use crate::run_dir::write_private;
use crate::spec::Spec;
use crate::stack::DevStack;

/// Above the proxy (2): what watches ends before what it watches.
pub(super) const LAYER: u8 = 4;

/// What the exporter of the machine's own numbers looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineScope {
    /// The whole machine.
    Whole,
    /// Its clock, and one disk that only the exporter sees: an image in this folder of the run.
    Disk(PathBuf),
}

/// Finds a program by Debian's name or by that of nixpkgs.
pub(super) fn either(debian: &str, nixpkgs: &str) -> Result<PathBuf> {
    programs::find(debian).or_else(|error| programs::find(nixpkgs).map_err(|_| error))
}

/// Starts all of them, and returns their targets.
pub(super) fn start(run: &Run, stack: &DevStack, scope: &MachineScope, blackbox: u16) -> Result<Vec<Target>> {
    let mut targets = vec![Target::local("blackbox", None, blackbox)];
    for (job, spec, port) in [
        node(run, scope)?,
        postgres(run, stack)?,
        redis(run, stack)?,
        nginx(run, stack)?,
    ] {
        run.supervisor.spawn(spec.layer(LAYER))?;
        targets.push(Target::local(job, None, port));
    }
    Ok(targets)
}

type Started = (&'static str, Spec, u16);

fn node(run: &Run, scope: &MachineScope) -> Result<Started> {
    let program = either("prometheus-node-exporter", "node_exporter")?;
    let port = run.ports.reserve()?;
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let spec = match scope {
        // As a host with floating addresses has it.
        MachineScope::Whole => {
            Spec::new("node-exporter", program).args([listen.as_str(), "--collector.netdev.address-info"])
        }
        MachineScope::Disk(folder) => Spec::new("node-exporter", programs::find("unshare")?)
            .args(["--mount", "/bin/sh", "-ec", ONE_DISK, "sh"])
            .args([folder])
            .args([&program])
            .args([
                "--collector.disable-defaults",
                "--collector.filesystem",
                "--collector.time",
            ])
            .args([format!("--path.procfs={}", folder.join("proc").display()), listen]),
    };
    Ok(("node", spec, port))
}

/// Mounts the image for this process alone, and shows the exporter no other disk.
const ONE_DISK: &str = r#"cd "$1"
mount -o loop,nosuid,nodev image disk
mkdir -p proc/1
grep -F " $1/disk " /proc/self/mounts >proc/1/mounts
shift
exec "$@""#;

fn postgres(run: &Run, stack: &DevStack) -> Result<Started> {
    let port = run.ports.reserve()?;
    let password = run.dir.path().join("secrets/telemetry-password");
    write_private(&password, &stack.postgres.telemetry_password, None)?;
    let program = either("prometheus-postgres-exporter", "postgres_exporter")?;
    let spec = Spec::new("postgres-exporter", program)
        .args([format!("--web.listen-address=127.0.0.1:{port}")])
        .env(
            "DATA_SOURCE_URI",
            format!("127.0.0.1:{}/postgres?sslmode=disable", stack.postgres.port),
        )
        .env("DATA_SOURCE_USER", TELEMETRY_ROLE)
        .env("DATA_SOURCE_PASS_FILE", password);
    Ok(("postgres", spec, port))
}

fn redis(run: &Run, stack: &DevStack) -> Result<Started> {
    let port = run.ports.reserve()?;
    let address = format!("redis://127.0.0.1:{}", stack.redis.port);
    let passwords = run.dir.path().join("secrets/redis-exporter.json");
    let text = serde_json::json!({ &address: stack.redis.password }).to_string();
    write_private(&passwords, &text, None)?;
    let program = either("prometheus-redis-exporter", "redis_exporter")?;
    let spec = Spec::new("redis-exporter", program).args([
        format!("-redis.addr={address}"),
        format!("-redis.password-file={}", passwords.display()),
        format!("-web.listen-address=127.0.0.1:{port}"),
    ]);
    Ok(("redis", spec, port))
}

fn nginx(run: &Run, stack: &DevStack) -> Result<Started> {
    let port = run.ports.reserve()?;
    let program = either("prometheus-nginx-exporter", "nginx-prometheus-exporter")?;
    let spec = Spec::new("nginx-exporter", program).args([
        format!("-nginx.scrape-uri={}", stack.nginx.status_url()),
        format!("-web.listen-address=127.0.0.1:{port}"),
    ]);
    Ok(("nginx", spec, port))
}
