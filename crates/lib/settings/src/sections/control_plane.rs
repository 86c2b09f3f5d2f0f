//! `APP_ENV`, `SECRET_KEY`, `STORE_DIR`, `PUBLIC_URL`, `ADMIN_*` and `API_*`: the control plane.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::seconds;
use crate::value_kind::ValueKind;
use crate::values::{AppEnv, SecretKey, TrustedProxies};
use crate::variable::{ALL, API, PLANE, Variable, VariableGroup, section};

const TITLE: &str = "Control plane";

/// Read before all others, as it decides how strict everything else is. A section's field `env` has its value.
pub(crate) const APP_ENV: VariableGroup = VariableGroup {
    own_prefix: None,
    title: TITLE,
    variables: &[Variable {
        default: Some("development"),
        in_example: true,
        production: Some("production"),
        ..Variable::new(
            "APP_ENV",
            "env",
            "Where the process runs. In production empty, example and weak secrets are refused. \
             Also names the second settings file, `.env.$APP_ENV`.",
            ValueKind::OneOf(AppEnv::WORDS),
            ALL,
        )
    }],
};

section! {
    /// What the api and the worker share.
    pub struct AppSettings("Control plane", None, PLANE) {
        /// Seals the event chain; the same in every replica. Change it only while no process runs;
        /// keep the old one in `SECRET_KEY_EARLIER`, or the events before it no longer verify.
        /// Make one with `openssl rand -hex 32`.
        secret_key: SecretKey = SECRET_KEY: ValueKind::HexKey, {
            secret: true,
            required: true,
            example: Some("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"),
            in_example: true,
            production: Some("")
        };
        /// Keys that `SECRET_KEY` was before, the oldest first. They check the seals of older events and seal nothing.
        #[serde(default)]
        earlier_keys: Vec<SecretKey> = SECRET_KEY_EARLIER: ValueKind::HexKeys, {
            secret: true,
            example: Some("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100")
        };
        /// The hosts' Nix store folder. A release with a closure outside it is refused.
        store_dir: PathBuf = STORE_DIR: ValueKind::Path, { default: Some("/nix/store") };
        /// The address at which people reach the control plane: messages link to its pages. Unset: they have no links.
        public_url: Option<Url> = PUBLIC_URL: ValueKind::Url, { example: Some("https://slipway.example.org") };
    }
    and {
        /// Where the process runs.
        env: AppEnv;
    }
}

section! {
    /// The first operator's way in; only the api reads it.
    pub struct AdminSettings("First operator", None, API) {
        /// What `slipway login` exchanges for the first token. At least 12 characters in production.
        password: SecretString = ADMIN_PASSWORD: ValueKind::Text, {
            secret: true,
            required: true,
            example: Some("slipway-development"),
            in_example: true,
            production: Some("")
        };
    }
}

section! {
    /// Where the api listens and how long it waits.
    pub struct ApiSection("Api listener", Some("API_"), API) {
        /// The address to listen on when systemd hands over no socket. In a container: `0.0.0.0`.
        host: IpAddr = API_HOST: ValueKind::Address, { default: Some("127.0.0.1") };
        /// The port to listen on when systemd hands over no socket.
        port: u16 = API_PORT: ValueKind::Port, { default: Some("8000") };
        /// Runtime threads. Unset: one for each processor.
        threads: Option<NonZeroUsize> = API_THREADS: ValueKind::Number(1, 512, "threads"), { example: Some("2") };
        /// The longest that a request may take; long polls end before it.
        #[serde(deserialize_with = "seconds")]
        request_timeout: Duration = API_REQUEST_TIMEOUT_SECONDS: ValueKind::Number(1, 3600, "seconds"), {
            default: Some("120")
        };
        /// How long an idle connection is kept. Keep the proxy's own time below it.
        #[serde(deserialize_with = "seconds")]
        keepalive: Duration = API_KEEPALIVE_SECONDS: ValueKind::Number(1, 3600, "seconds"), { default: Some("5") };
        /// How long requests may go on after SIGTERM before they are cut.
        #[serde(deserialize_with = "seconds")]
        shutdown_grace: Duration = API_SHUTDOWN_GRACE_SECONDS: ValueKind::Number(1, 3600, "seconds"), {
            default: Some("30")
        };
        /// Networks of the proxies whose `X-Real-IP` is believed when failed logins are counted by client. A proxy
        /// through a Unix socket always is. Without the networks of a proxy on another machine, all its clients
        /// count as one.
        trusted_proxies: TrustedProxies = API_TRUSTED_PROXIES: ValueKind::Networks, {
            default: Some("127.0.0.0/8,::1"),
            example: Some("10.0.0.0/24")
        };
    }
}

impl ApiSection {
    /// The address to bind when systemd hands over no socket.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}
