//! `OTEL_*`: where traces go.

use serde::Deserialize;
use url::Url;

use super::AppEnv;
use crate::reader::{Check, Section};
use crate::registry;

/// Where traces go.
#[derive(Debug, Clone, Default)]
pub struct OtelSettings {
    /// The collector's base address (OTLP over HTTP, protobuf): traces are posted to `/v1/traces` below it.
    /// `None` means that no traces are sent.
    pub endpoint: Option<Url>,
    /// Sent along as `deployment.environment.name`.
    pub env: AppEnv,
}

#[derive(Deserialize)]
pub(crate) struct Raw {
    exporter_otlp_endpoint: Option<Url>,
}

impl Section for OtelSettings {
    const SECTION: registry::Section = registry::Section::Otel;
    type Raw = Raw;

    fn build(raw: Raw, check: &mut Check<'_>) -> Option<Self> {
        Some(Self {
            endpoint: raw.exporter_otlp_endpoint,
            env: check.env(),
        })
    }
}
