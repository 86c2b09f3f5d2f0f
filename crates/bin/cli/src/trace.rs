//! The trace that a command begins, or goes on with where `TRACEPARENT` names one.

use clap::{ArgMatches, CommandFactory as _};
use slipway_domain::TraceParent;
use slipway_settings::{OtelSettings, SettingsSource};
use slipway_telemetry::{TelemetryGuard, error_chain, init_traces, propagation};
use tracing::{Span, info_span};

use crate::args::SlipwayCli;
use crate::output::Output;

/// The span of this run, and where the spans of its requests hang.
pub struct CommandTrace {
    /// The span; a disabled one when nothing is exported.
    pub span: Span,
    /// Where the server's spans hang. Without an export here, its ids still join them.
    pub place: TraceParent,
    /// Sends the span when it is dropped.
    guard: Option<TelemetryGuard>,
}

impl CommandTrace {
    /// Begins it. What keeps it from being exported is told, and keeps no command from running.
    #[must_use]
    pub fn begin(given: Option<TraceParent>, output: &Output) -> Self {
        let guard = exporter().unwrap_or_else(|why| {
            output.warn(format_args!("this command is not traced: {why}"));
            None
        });
        if guard.is_none() {
            return Self {
                span: Span::none(),
                place: given.unwrap_or_else(TraceParent::begin),
                guard,
            };
        }
        let name = typed_command();
        let span = info_span!(
            "command",
            otel.name = name,
            otel.kind = "client",
            process.executable.name = "slipway",
            process.exit.code = tracing::field::Empty,
        );
        if let Some(parent) = &given {
            propagation::join(&span, parent);
        }
        let place = propagation::place_of(&span).or(given);
        Self {
            span,
            place: place.unwrap_or_else(TraceParent::begin),
            guard,
        }
    }

    /// Notes how the command ended, and sends what is to be sent: 2 s at most.
    pub fn end(self, exit_code: u8) {
        self.span.record("process.exit.code", exit_code);
        if exit_code != 0 {
            propagation::note_failure(&self.span, "");
        }
        drop(self.span);
        drop(self.guard);
    }
}

/// The exporter, if the environment names a collector.
fn exporter() -> Result<Option<TelemetryGuard>, String> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name == "APP_ENV" || name.starts_with("OTEL_"));
    // No settings file of the folder that somebody happens to stand in.
    let source = SettingsSource::from_map(variables);
    let settings = OtelSettings::from_source(&source).map_err(|error| error.to_string())?;
    init_traces("slipway", &settings).map_err(|error| error_chain(&error))
}

/// Such as `slipway rollout start`: no argument, since those may be anything.
fn typed_command() -> String {
    let matches = SlipwayCli::command().get_matches();
    let mut name = "slipway".to_owned();
    let mut at: Option<&ArgMatches> = Some(&matches);
    while let Some((word, below)) = at.and_then(ArgMatches::subcommand) {
        name.push(' ');
        name.push_str(word);
        at = Some(below);
    }
    name
}
