//! One line an event, for logs.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use chrono::{DateTime, Utc};
use slipway_domain::digest::Digest;
use slipway_domain::{HostName, StorePath};
use slipway_wire::audit::Event;
use slipway_wire::rollout::Rollout;

use super::printed::PrintedLine;
use crate::CliFailure;
use crate::output::Output;
use crate::text::clean;

/// Lines on stdout; on stderr with `--json`, as stdout is for the document then.
pub(crate) struct Plain {
    output: Output,
    /// What the checks of each host said last.
    checks: BTreeMap<HostName, String>,
}

impl Plain {
    pub(crate) const fn new(output: Output) -> Self {
        Self {
            output,
            checks: BTreeMap::new(),
        }
    }

    /// Tells what checks say of hosts that are verified, each word once.
    pub(crate) fn rollout(&mut self, rollout: &Rollout) -> Result<(), CliFailure> {
        for step in &rollout.steps {
            match &step.checks {
                None => drop(self.checks.remove(&step.host)),
                Some(said) if self.checks.get(&step.host) == Some(said) => {}
                Some(said) => {
                    self.note(&format!("{} {}: {said}", step.host, step.state))?;
                    self.checks.insert(step.host.clone(), said.clone());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn event(&self, event: &Event) -> Result<(), CliFailure> {
        self.line(event.at, &sentence(event))
    }

    pub(crate) fn note(&self, text: &str) -> Result<(), CliFailure> {
        self.line((self.output.now)(), text)
    }

    /// A line of a host, with the time at which it came and not the one at which somebody looks.
    pub(crate) fn printed(&self, line: &PrintedLine) -> Result<(), CliFailure> {
        self.line(line.at.unwrap_or_else(self.output.now), &line.text)
    }

    fn line(&self, at: DateTime<Utc>, text: &str) -> Result<(), CliFailure> {
        let line = format!("{} {}\n", at.format("%Y-%m-%dT%H:%M:%SZ"), clean(text));
        if self.output.json {
            io::stderr()
                .write_all(line.as_bytes())
                .map_err(|error| CliFailure::io("cannot write to stderr", &error))
        } else {
            Output::stdout(&line)
        }
    }
}

/// What happened, in one line: `web-1 activating -> verifying: activated`.
pub(crate) fn sentence(event: &Event) -> String {
    let new = &event.event;
    let about = match (&event.host_name, new.host.is_some() || new.step.is_some()) {
        (Some(host), _) => host.to_string(),
        (None, true) => "a host".to_owned(),
        (None, false) => "rollout".to_owned(),
    };
    // These two have the value in place of a state.
    let value = new.to.as_deref().unwrap_or_default();
    match new.kind.as_str() {
        "step.plan" => return format!("{about} reported its plan {}", short_digest(value)),
        "step.prior" => return format!("{about} ran {} before", short_path(value)),
        _ => {}
    }
    let what = match (&new.from, &new.to) {
        (Some(from), Some(to)) => format!("{from} -> {to}"),
        (None, Some(to)) => to.clone(),
        _ => new.kind.clone(),
    };
    let by = match new.actor.kind() {
        "principal" => format!(" (by {})", new.actor.name()),
        _ => String::new(),
    };
    format!("{about} {what}: {}{by}", new.cause_text())
}

fn short_digest(text: &str) -> String {
    text.parse::<Digest>()
        .map_or_else(|_| text.to_owned(), |digest| digest.short())
}

fn short_path(text: &str) -> String {
    text.parse::<StorePath>()
        .map_or_else(|_| text.to_owned(), |path| path.short())
}
