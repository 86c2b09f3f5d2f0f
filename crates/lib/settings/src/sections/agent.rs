//! `AGENT_*`: what an agent needs to know of the control plane and of its host.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::value_kind::ValueKind;
use crate::values::{AgentBootLoader, AgentRunner};
use crate::variable::{AGENT, section};

section! {
    /// How an agent reaches the control plane. Commands that work on the host alone read nothing of it.
    pub struct PlaneSection("Agent", Some("AGENT_"), AGENT) {
        /// The control plane's address. In production it must be https, but for this machine itself.
        api_url: Url = AGENT_API_URL: ValueKind::Url, { required: true, example: Some("https://slipway.example.org") };
        /// The host's token, shown once by `slipway host create`.
        token: SecretString = AGENT_TOKEN: ValueKind::Token, {
            secret: true,
            required: true,
            example: Some("slw_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
        };
        /// The host's name, as registered.
        host: String = AGENT_HOST: ValueKind::Host, { required: true, example: Some("web-1") };
        /// The environment that the host is in. With release keys it decides which manifests are for this host.
        environment: Option<String> = AGENT_ENVIRONMENT: ValueKind::Host, { example: Some("prod") };
        /// A file of public keys, one a line: minisign keys or ssh-ed25519 lines. Then the agent runs only releases that one
        /// of them signed. Without, it trusts the control plane.
        release_keys_file: Option<PathBuf> = AGENT_RELEASE_KEYS_FILE: ValueKind::Path, { example: Some("/etc/slipway/release-keys") };
        /// A PEM file with a root certificate to trust besides the system's.
        ca_file: Option<PathBuf> = AGENT_CA_FILE: ValueKind::Path, { example: Some("/etc/slipway/ca.pem") };
    }
}

section! {
    /// What an agent needs to know of its host.
    pub struct AgentSection("Agent", Some("AGENT_"), AGENT) {
        /// Where the journal lives; the agent makes it root-only. Must survive a reboot.
        state_dir: PathBuf = AGENT_STATE_DIR: ValueKind::Path, { default: Some("/var/lib/slipway-agent") };
        /// The system profile, moved only at commit.
        profile: PathBuf = AGENT_PROFILE: ValueKind::Path, { default: Some("/nix/var/nix/profiles/system") };
        /// The link that names what runs.
        live_link: PathBuf = AGENT_LIVE_LINK: ValueKind::Path, { default: Some("/run/current-system") };
        /// Where the agent protects closures from garbage collection.
        gcroots_dir: PathBuf = AGENT_GCROOTS_DIR: ValueKind::Path, { default: Some("/nix/var/nix/gcroots/slipway") };
        /// The Nix store folder. The agent refuses a closure outside it.
        store_dir: PathBuf = AGENT_STORE_DIR: ValueKind::Path, { default: Some("/nix/store") };
        /// How to start what must outlive the agent: transient systemd units, or detached processes (for demos
        /// and tests). `auto` is systemd where it runs and the agent is root.
        runner: AgentRunner = AGENT_RUNNER: ValueKind::OneOf(AgentRunner::WORDS), { default: Some("auto") };
        /// What boots the host: `systemd-boot` or `grub` lets a release be booted once before it becomes the default
        /// (docs/rollouts.md).
        boot_loader: AgentBootLoader = AGENT_BOOT_LOADER: ValueKind::OneOf(AgentBootLoader::WORDS), { default: Some("none") };
        /// Where the boot loader's entries are.
        boot_dir: PathBuf = AGENT_BOOT_DIR: ValueKind::Path, { default: Some("/boot") };
        /// Where systemd-boot's own configuration is, if that is another file system than `AGENT_BOOT_DIR`.
        esp_dir: Option<PathBuf> = AGENT_ESP_DIR: ValueKind::Path, { example: Some("/efi") };
        /// How many committed releases stay protected from garbage collection.
        keep_releases: u32 = AGENT_KEEP_RELEASES: ValueKind::Number(1, 100, "releases"), { default: Some("3") };
        /// The least time that a switch gets, and the way back, whatever the control plane says. The modules set 60.
        min_switch_seconds: u32 = AGENT_MIN_SWITCH_SECONDS: ValueKind::Number(1, 3600, "seconds"), { default: Some("1") };
        /// How often rollouts may reboot the host within 24 h, whatever the control plane says. Later ones are refused.
        max_reboots_per_day: u32 = AGENT_MAX_REBOOTS_PER_DAY: ValueKind::Number(1, 1000, "reboots"), { default: Some("10") };
    }
}
