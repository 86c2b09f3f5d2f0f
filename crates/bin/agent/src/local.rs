//! Settings as the host crate wants them, and those of commands that need neither network nor token.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use slipway_domain::StoreDir;
use slipway_host::boot::{BootConfig, BootLoader};
use slipway_host::{HostConfig, ReleaseTrust, RunnerKind};
use slipway_release::ReleaseKeys;
use slipway_settings::{
    AgentBootLoader, AgentRunner, AgentSection, LocalSettings, PlaneSection, SettingsSource, registry,
};

/// Of no use to a transient unit, or known to it, but what finds programs and configures Nix.
const PASSED: [&str; 11] = [
    "LOCALE_ARCHIVE",
    "NIX_CONF_DIR",
    "NIX_LOG_DIR",
    "NIX_PATH",
    "NIX_REMOTE",
    "NIX_SSL_CERT_FILE",
    "NIX_STATE_DIR",
    "NIX_STORE_DIR",
    // Where the spans of a dead-man go. The headers are secret, so they stay here.
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PATH",
];
/// What the service manager gave to the agent alone.
const OURS_ALONE: [&str; 6] = [
    "CREDENTIALS_DIRECTORY",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// The settings of commands that work on this host alone: they must work where the token is not, as in a dead-man.
pub(crate) fn settings() -> anyhow::Result<LocalSettings> {
    Ok(LocalSettings::from_source(&SettingsSource::load(Path::new(
        ".",
    ))?)?)
}

/// The host as the settings describe it.
pub(crate) fn host_config(agent: &AgentSection) -> anyhow::Result<HostConfig> {
    let store_dir = agent.store_dir.to_string_lossy();
    let store_dir: StoreDir = store_dir
        .parse()
        .with_context(|| format!("AGENT_STORE_DIR={store_dir} cannot be used"))?;
    let runner = match agent.runner {
        AgentRunner::Auto => RunnerKind::detect(),
        AgentRunner::Process => RunnerKind::Process,
        AgentRunner::Systemd if Path::new("/run/systemd/system").is_dir() => RunnerKind::Systemd,
        AgentRunner::Systemd => {
            bail!("AGENT_RUNNER=systemd, but systemd does not run here; set it to auto or process")
        }
    };
    let hidden_env = registry::variables()
        .filter(|variable| variable.secret)
        .flat_map(|variable| [variable.name.to_owned(), format!("{}_FILE", variable.name)])
        .chain(OURS_ALONE.iter().map(|&name| name.to_owned()))
        .collect();
    Ok(HostConfig {
        state_dir: agent.state_dir.clone(),
        profile: agent.profile.clone(),
        live_link: agent.live_link.clone(),
        gcroots_dir: agent.gcroots_dir.clone(),
        store_dir,
        runner,
        boot: BootConfig {
            loader: match agent.boot_loader {
                AgentBootLoader::None => BootLoader::None,
                AgentBootLoader::SystemdBoot => BootLoader::SystemdBoot,
                AgentBootLoader::Grub => BootLoader::Grub,
            },
            dir: agent.boot_dir.clone(),
            esp: agent.esp_dir.as_ref().unwrap_or(&agent.boot_dir).clone(),
            ..BootConfig::default()
        },
        keep_releases: usize::try_from(agent.keep_releases).unwrap_or(usize::MAX),
        // Going back needs none: it is this host's own word.
        trust: None,
        agent_exe: own_exe(),
        hidden_env,
        unit_env: unit_env(agent, runner),
    })
}

/// Whose releases this host runs; none where it trusts the control plane. A file that is named must hold a key: one that
/// was emptied by mistake must not open the door.
pub(crate) fn release_trust(plane: &PlaneSection) -> anyhow::Result<Option<ReleaseTrust>> {
    let Some(file) = &plane.release_keys_file else {
        return Ok(None);
    };
    let named = || format!("AGENT_RELEASE_KEYS_FILE={}", file.display());
    let Some(environment) = &plane.environment else {
        bail!(
            "{} is set and AGENT_ENVIRONMENT is not: name the environment that this host's releases are signed for",
            named()
        );
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", named()))?;
    Ok(Some(ReleaseTrust {
        host: plane.host.parse().context("AGENT_HOST cannot be used")?,
        environment: environment.parse().context("AGENT_ENVIRONMENT cannot be used")?,
        keys: ReleaseKeys::read(&text).with_context(named)?,
    }))
}

/// What the dead-man must agree with us on, and nothing secret: anybody may read a unit's properties.
fn unit_env(agent: &AgentSection, runner: RunnerKind) -> Vec<(String, String)> {
    let path = |path: &Path| path.display().to_string();
    let runner = match runner {
        RunnerKind::Systemd => "systemd",
        RunnerKind::Process => "process",
    };
    let own = [
        ("AGENT_BOOT_DIR", path(&agent.boot_dir)),
        ("AGENT_BOOT_LOADER", agent.boot_loader.as_str().to_owned()),
        ("AGENT_GCROOTS_DIR", path(&agent.gcroots_dir)),
        ("AGENT_KEEP_RELEASES", agent.keep_releases.to_string()),
        ("AGENT_LIVE_LINK", path(&agent.live_link)),
        ("AGENT_PROFILE", path(&agent.profile)),
        ("AGENT_RUNNER", runner.to_owned()),
        ("AGENT_STATE_DIR", path(&agent.state_dir)),
        ("AGENT_STORE_DIR", path(&agent.store_dir)),
    ];
    let passed = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| PASSED.contains(&name.as_str()));
    let esp = agent.esp_dir.as_deref().map(|esp| ("AGENT_ESP_DIR", path(esp)));
    own.into_iter()
        .chain(esp)
        .map(|(name, value)| (name.to_owned(), value))
        .chain(passed)
        .collect()
}

fn own_exe() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("slipway-agent"));
    // What the kernel calls a program whose file was replaced.
    let name = exe.to_string_lossy();
    name.strip_suffix(" (deleted)")
        .map_or_else(|| exe.clone(), PathBuf::from)
}
