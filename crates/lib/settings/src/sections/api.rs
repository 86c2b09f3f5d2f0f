//! `API_*`: the listener and its limits.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Deserialize;

use super::{TrustedProxies, seconds};
use crate::reader::{Check, Section};
use crate::registry;

/// Where the api listens and how long it waits.
#[derive(Debug, Clone, Deserialize)]
pub struct ApiSection {
    /// The address to bind when systemd hands over no socket.
    pub host: IpAddr,
    /// The port to bind when systemd hands over no socket.
    pub port: u16,
    /// Runtime threads; `None` means one for each processor.
    pub threads: Option<NonZeroUsize>,
    /// The longest a request may take; long polls end before it.
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// How long an idle connection is kept.
    #[serde(rename = "keepalive_seconds", deserialize_with = "seconds")]
    pub keepalive: Duration,
    /// How long requests may go on after SIGTERM before they are cut.
    #[serde(rename = "shutdown_grace_seconds", deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
    /// Whose word is taken for the address of a client.
    #[serde(deserialize_with = "proxies")]
    pub trusted_proxies: TrustedProxies,
}

fn proxies<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<TrustedProxies, D::Error> {
    let text = String::deserialize(deserializer)?;
    TrustedProxies::parse(&text).map_err(|wrong| serde::de::Error::custom(wrong.problem))
}

impl ApiSection {
    /// The address to bind when systemd hands over no socket.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

impl Section for ApiSection {
    const SECTION: registry::Section = registry::Section::Api;
    type Raw = Self;

    fn build(raw: Self, _: &mut Check<'_>) -> Option<Self> {
        Some(raw)
    }
}
