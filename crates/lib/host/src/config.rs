//! Where things are on this host.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use slipway_domain::{EnvironmentName, HostName, StoreDir};
use slipway_release::ReleaseKeys;
use tokio::process::Command;

use crate::boot::BootConfig;

/// How what must outlive the agent is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerKind {
    /// Transient systemd units and timers.
    Systemd,
    /// Processes in sessions of their own, for demos and tests.
    Process,
}

impl RunnerKind {
    /// systemd where it runs and we are root, else processes.
    #[must_use]
    pub fn detect() -> Self {
        if Path::new("/run/systemd/system").is_dir() && rustix::process::geteuid().is_root() {
            Self::Systemd
        } else {
            Self::Process
        }
    }
}

/// Whom this host believes when it is told to run a release. All of it is the host's own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseTrust {
    /// Its name.
    pub host: HostName,
    /// Its environment.
    pub environment: EnvironmentName,
    /// The keys that sign releases.
    pub keys: ReleaseKeys,
}

/// Where things are on this host, and how to start programs there.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Journal and jobs; root-only.
    pub state_dir: PathBuf,
    /// The profile that is moved at commit.
    pub profile: PathBuf,
    /// The link that names what runs.
    pub live_link: PathBuf,
    /// Links here protect closures from the garbage collector; must be inside Nix's own `gcroots`.
    pub gcroots_dir: PathBuf,
    /// Closures outside it are refused.
    pub store_dir: StoreDir,
    /// How what must outlive the agent is started.
    pub runner: RunnerKind,
    /// What boots this machine.
    pub boot: BootConfig,
    /// Committed releases that stay protected.
    pub keep_releases: usize,
    /// Whose releases are run; without, those of whoever has the control plane.
    pub trust: Option<ReleaseTrust>,
    /// This agent's own program.
    pub agent_exe: PathBuf,
    /// Variables that no other program gets to see: those with secrets.
    pub hidden_env: Vec<String>,
    /// Variables that every program and transient unit is given; nothing secret, since anybody may read a unit's properties.
    pub unit_env: Vec<(String, String)>,
}

impl HostConfig {
    /// The link that names what this boot began with; NixOS has it beside the live one.
    pub(crate) fn booted_link(&self) -> PathBuf {
        self.live_link.with_file_name("booted-system")
    }

    /// A program that dies with the agent, sees no secret and reads no terminal.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in &self.hidden_env {
            command.env_remove(name);
        }
        command
            .envs(self.unit_env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .current_dir("/");
        command
    }
}
