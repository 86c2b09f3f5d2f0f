//! `METRICS_*`: the listener for `/metrics`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;

use crate::reader::{Check, Section};
use crate::registry;

/// Where Prometheus may ask.
#[derive(Debug, Clone, Deserialize)]
pub struct MetricsSettings {
    /// `METRICS_HOST`; see [`MetricsSettings::addr`] for what its absence means.
    pub host: Option<IpAddr>,
    /// `METRICS_PORT`; without it there is no listener.
    pub port: Option<u16>,
}

impl MetricsSettings {
    /// The address to bind, or `None` when no listener is wanted.
    ///
    /// Without `METRICS_HOST` the api listens where it serves (pass `Some(api.host)`), any other process on
    /// 127.0.0.1 (pass `None`).
    #[must_use]
    pub fn addr(&self, serving: Option<IpAddr>) -> Option<SocketAddr> {
        let host = self.host.or(serving).unwrap_or(Ipv4Addr::LOCALHOST.into());
        self.port.map(|port| SocketAddr::new(host, port))
    }
}

impl Section for MetricsSettings {
    const SECTION: registry::Section = registry::Section::Metrics;
    type Raw = Self;

    fn build(raw: Self, _: &mut Check<'_>) -> Option<Self> {
        Some(raw)
    }
}
