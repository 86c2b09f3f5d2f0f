//! What is known of this host besides what runs. It is gathered, and judged elsewhere.
//!
//! Each part is bounded by itself. A part that cannot be found out is left out: it is unknown, and never good.
//!
//! | module | what it asks |
//! |---|---|
//! | `kernel` | file systems, memory, pressure, load, by `/proc` and `statvfs` |
//! | `units` | systemd, and whether a time service keeps the clock right |
//! | `closure` | whether Nix answers, and whether a closure can be had from the caches |
//! | `certificate` | until when certificates are good |
//! | `sources` | what the live closure names: certificates, backups, clusters |

mod certificate;
mod closure;
mod kernel;
mod sources;
mod units;

use std::time::Duration;

use slipway_domain::facts::HostFacts;
use slipway_domain::{AttemptId, StorePath};

use crate::config::HostConfig;
use crate::nix;

/// How long the slowest part may take. A person waits for all of it.
pub const GATHER_WITHIN: Duration = Duration::from_secs(7);

/// Where the machine's own files are. Tests have others.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    proc: &'a str,
    ssh: &'a str,
    systemd: &'a str,
}

const MACHINE: Places<'static> = Places {
    proc: "/proc",
    ssh: "/etc/ssh",
    systemd: "/run/systemd/system",
};

/// Gathers all facts. With an attempt they are of the moment after its closure was staged.
pub async fn gather(
    config: &HostConfig,
    attempt: Option<AttemptId>,
    closure: Option<&StorePath>,
) -> HostFacts {
    Box::pin(gather_from(config, &MACHINE, attempt, closure)).await
}

async fn gather_from(
    config: &HostConfig,
    places: &Places<'_>,
    attempt: Option<AttemptId>,
    closure: Option<&StorePath>,
) -> HostFacts {
    let named = sources::load(config);
    let (systemd, clock_synchronised, nix_problem, closure, backups, clusters) = tokio::join!(
        units::state(config, places),
        units::synchronised(config, places),
        closure::nix_problem(config),
        closure::look(config, closure),
        sources::backups(named.as_ref()),
        sources::clusters(config, named.as_ref()),
    );
    HostFacts {
        attempt,
        system: Some(kernel::system()),
        filesystems: kernel::filesystems(
            config,
            places,
            named.as_ref().and_then(|named| named.boot.as_deref()),
        ),
        memory: kernel::memory(places),
        pressure: kernel::pressure(places),
        load: kernel::load(places),
        systemd,
        clock_synchronised,
        generations: nix::generations(config),
        nix_problem,
        release_keys: Some(trusted_keys(config)),
        readable_host_keys: readable_host_keys(places),
        certificates: named.as_ref().map(|named| {
            named
                .certificates
                .iter()
                .flat_map(|name| certificate::all(name))
                .collect()
        }),
        backups,
        clusters,
        closure,
    }
}

fn trusted_keys(config: &HostConfig) -> Vec<String> {
    let keys = config.trust.iter().flat_map(|trust| trust.keys.as_slice());
    keys.map(ToString::to_string).collect()
}

/// Private host keys of ssh that others than their owner can read.
fn readable_host_keys(places: &Places<'_>) -> Option<Vec<String>> {
    use std::os::unix::fs::PermissionsExt as _;
    let entries = match std::fs::read_dir(places.ssh) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let is_key = |name: &str| name.starts_with("ssh_host_") && name.ends_with("_key");
    let mut readable = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        // Through a link, such as into the folder of a tool for secrets.
        let meta = std::fs::metadata(&path);
        if entry.file_name().to_str().is_some_and(is_key)
            && meta.is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
        {
            readable.push(path.display().to_string());
        }
    }
    readable.sort();
    Some(readable)
}

#[cfg(test)]
mod tests;
