//! `LOG_*`: what is logged, and in what form.

use serde::Deserialize;

use crate::reader::{Check, Section};
use crate::registry;

/// The form of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// For people; coloured on a terminal.
    Pretty,
}

/// What is logged, and in what form.
#[derive(Debug, Clone, Deserialize)]
pub struct LogSettings {
    /// A level, or levels by target: `info`, `info,sqlx=warn,slipway_worker=debug`. Already checked.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

impl Default for LogSettings {
    /// What an empty environment means: `info`, as JSON.
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Json,
        }
    }
}

impl Section for LogSettings {
    const SECTION: registry::Section = registry::Section::Log;
    type Raw = Self;

    fn build(raw: Self, _: &mut Check<'_>) -> Option<Self> {
        Some(raw)
    }
}
