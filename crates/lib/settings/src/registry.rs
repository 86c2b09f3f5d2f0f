//! The one list of every variable. Checks, defaults, example files and the reference page all come from it.
//!
//! To add a variable: a field in its section's table, then `UPDATE_GENERATED=1` at the tests.

pub use crate::variable::Variable;

use crate::sections::{
    APP_ENV, AdminSettings, AgentSection, ApiSection, AppSettings, DatabaseSettings, LogSettings,
    MetricsSettings, OtelSettings, PlaneSection, RedisParts, SentrySettings,
};
pub(crate) use crate::variable::Group;

/// Every group, in the order of the reference page.
pub(crate) static GROUPS: [Group; 12] = [
    APP_ENV,
    AppSettings::GROUP,
    AdminSettings::GROUP,
    DatabaseSettings::GROUP,
    RedisParts::GROUP,
    ApiSection::GROUP,
    MetricsSettings::GROUP,
    LogSettings::GROUP,
    OtelSettings::GROUP,
    SentrySettings::GROUP,
    PlaneSection::GROUP,
    AgentSection::GROUP,
];

/// Every variable that any process reads.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    GROUPS.iter().flat_map(|group| group.variables)
}

/// The variable of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    variables().find(|variable| variable.name == name)
}
