//! Namespaces of the command's own: what it does to links and mounts, nobody else on the machine sees.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::programs;

/// Says which network namespace the command was started in.
const OUTSIDE: &str = "SLIPWAY_DEV_OUTSIDE";
const OWN: &str = "/proc/self/ns/net";

/// Starts this program again in namespaces of its own, unless it is there already. They go with its last process.
pub fn enter(program: &Path) -> Result<()> {
    let here = std::fs::read_link(OWN).context("cannot tell which network namespace this is")?;
    if std::env::var_os(OUTSIDE).is_some_and(|outside| outside != here) {
        return Ok(());
    }
    let unshare = programs::find("unshare")?;
    let mut options = vec!["--net", "--mount"];
    if !rustix::process::geteuid().is_root() {
        // A user may do all this in a user namespace, and stays who they are: Postgres refuses root.
        options.extend(["--user", "--map-current-user", "--keep-caps"]);
    }
    let trial = Command::new(&unshare)
        .args(&options)
        .arg("true")
        .output()
        .context("cannot run unshare")?;
    if !trial.status.success() {
        bail!(
            "no network namespace can be made here ({}): run it as root, or let users make namespaces \
             (sysctl kernel.unprivileged_userns_clone=1)",
            String::from_utf8_lossy(&trial.stderr).trim()
        );
    }
    let error = Command::new(unshare)
        .args(options)
        .arg("--")
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(OUTSIDE, here)
        .exec();
    Err(error).context("cannot start again in namespaces of its own")
}
