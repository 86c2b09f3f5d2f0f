//! `AGENT_*`: what an agent needs to know of its host and of the control plane.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::reader::{Check, Section};
use crate::registry;

/// How an agent starts what must outlive it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runner {
    /// systemd where it runs and the agent is root, else processes.
    #[default]
    Auto,
    /// Transient units and timers.
    Systemd,
    /// Detached processes, for demos and tests.
    Process,
}

/// What an agent needs to know of its host and of the control plane.
#[derive(Debug, Clone, Deserialize)]
pub struct AgentSection {
    /// The control plane's address.
    pub api_url: Url,
    /// The host's token.
    pub token: SecretString,
    /// The host's name, as registered.
    pub host: String,
    /// A PEM file with a root certificate to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the journal lives; root-only.
    pub state_dir: PathBuf,
    /// The system profile, moved only at commit.
    pub profile: PathBuf,
    /// The link that names what runs.
    pub live_link: PathBuf,
    /// Where the agent keeps its GC roots.
    pub gcroots_dir: PathBuf,
    /// The Nix store folder: closures outside it are refused.
    pub store_dir: PathBuf,
    /// How to start what must outlive the agent.
    pub runner: Runner,
    /// How many committed releases stay protected from garbage collection.
    pub keep_releases: u32,
}

impl Section for AgentSection {
    const SECTION: registry::Section = registry::Section::Agent;
    type Raw = Self;

    fn build(raw: Self, check: &mut Check<'_>) -> Option<Self> {
        if check.env().is_production() && raw.api_url.scheme() == "http" && !is_loopback(&raw.api_url) {
            check.fail(
                "AGENT_API_URL",
                "would send the host's token unencrypted",
                "use an https:// address; http:// is for this machine only",
            );
            return None;
        }
        Some(raw)
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
