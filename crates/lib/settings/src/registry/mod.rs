//! The one table of every variable. Checks, defaults, example files and the reference page all come from it.

mod table;

use crate::kind::Kind;

pub use table::VARIABLES;

/// A process that reads settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Process {
    /// `slipway-api`.
    Api,
    /// `slipway-worker`.
    Worker,
    /// `slipway-agent`.
    Agent,
}

impl Process {
    /// The word used in the reference page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Agent => "agent",
        }
    }
}

/// A group of variables that is read together into one struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// What the control plane shares.
    App,
    /// The first operator.
    Admin,
    /// Postgres.
    Database,
    /// Redis.
    Redis,
    /// The api's listener.
    Api,
    /// The metrics listener.
    Metrics,
    /// Logging.
    Log,
    /// Traces.
    Otel,
    /// Error reports.
    Sentry,
    /// An agent's host.
    Agent,
}

impl Section {
    /// Every section, in the order of the reference page.
    pub const ALL: [Self; 10] = [
        Self::App,
        Self::Admin,
        Self::Database,
        Self::Redis,
        Self::Api,
        Self::Metrics,
        Self::Log,
        Self::Otel,
        Self::Sentry,
        Self::Agent,
    ];

    /// What the names of its variables begin with; empty for the shared ones.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::App => "",
            Self::Admin => "ADMIN_",
            Self::Database => "DATABASE_",
            Self::Redis => "REDIS_",
            Self::Api => "API_",
            Self::Metrics => "METRICS_",
            Self::Log => "LOG_",
            Self::Otel => "OTEL_",
            Self::Sentry => "SENTRY_",
            Self::Agent => "AGENT_",
        }
    }

    /// Its heading in the generated files.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::App => "Control plane",
            Self::Admin => "First operator",
            Self::Database => "Postgres",
            Self::Redis => "Redis (optional)",
            Self::Api => "Api listener",
            Self::Metrics => "Metrics",
            Self::Log => "Logging",
            Self::Otel => "Traces",
            Self::Sentry => "Error reports",
            Self::Agent => "Agent",
        }
    }

    /// True when a variable that begins with the prefix and is unknown is a mistake: nobody else uses the prefix.
    #[must_use]
    pub fn owns_prefix(self) -> bool {
        !matches!(self, Self::App | Self::Admin | Self::Otel | Self::Sentry)
    }
}

/// Everything there is to know of one variable.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// The struct that it is read into.
    pub section: Section,
    /// What values it takes.
    pub kind: Kind,
    /// True when the value is never shown, and may come as `<NAME>_FILE` or as a systemd credential.
    pub secret: bool,
    /// True when a process that reads it does not start without it.
    pub required: bool,
    /// The value when nobody gives one.
    pub default: Option<&'static str>,
    /// A value that shows the form; refused in production when secret.
    pub example: &'static str,
    /// Whether `.env.example` sets it (to the example) or only mentions it.
    pub in_example: bool,
    /// What `.env.production.example` sets it to; `None` only mentions it. Secrets stay empty there.
    pub production: Option<&'static str>,
    /// Who reads it.
    pub readers: &'static [Process],
    /// What it is for and what follows from it; full sentences.
    pub about: &'static str,
}

/// The variable of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The variables of one section, in order.
pub fn of(section: Section) -> impl Iterator<Item = &'static Variable> {
    VARIABLES
        .iter()
        .filter(move |variable| variable.section == section)
}
