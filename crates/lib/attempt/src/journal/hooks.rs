//! How far an attempt is with hooks.

use serde::{Deserialize, Serialize};
use slipway_domain::StorePath;
use slipway_domain::agent::{HookPoint, HooksReport, RunningHook};
use slipway_host::hooks::{Hook, seconds_of};
use slipway_host::text::{MESSAGE_CHARS, one_line};

use super::Attempt;

/// Hooks that are still to be run. How far they are is in the files of their jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HooksProgress {
    /// Which ones.
    pub due: HooksDue,
    /// The closure that carries them.
    pub of: StorePath,
    /// The one that runs, or is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<RunningHook>,
}

/// Which hooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HooksDue {
    /// Those before the switch to the release, once the dead-man is armed.
    Arming,
    /// Those before the switch to the release: nothing was switched yet.
    BeforeActivate,
    /// Those after the commit of the release.
    AfterCommit,
    /// Those of the prior, on which the host has settled again.
    AfterRevert,
}

impl HooksProgress {
    /// At the first of these hooks.
    #[must_use]
    pub fn at(due: HooksDue, of: &StorePath, left: &[Hook]) -> Self {
        Self {
            due,
            of: of.clone(),
            running: left.first().map(|hook| RunningHook {
                name: hook.name.clone(),
                when: due.point(),
                seconds: seconds_of(left),
            }),
        }
    }
}

impl HooksDue {
    /// Whether the switch to the release waits for them.
    #[must_use]
    pub const fn before_switch(self) -> bool {
        matches!(self, Self::Arming | Self::BeforeActivate)
    }

    /// Their list.
    #[must_use]
    pub const fn point(self) -> HookPoint {
        match self {
            Self::Arming | Self::BeforeActivate => HookPoint::BeforeActivate,
            Self::AfterCommit | Self::AfterRevert => HookPoint::AfterCommit,
        }
    }
}

impl Attempt {
    /// Whether the switch to its closure waits for hooks: nothing was touched yet.
    #[must_use]
    pub fn awaits_hooks(&self) -> bool {
        self.hooks.as_ref().is_some_and(|hooks| hooks.due.before_switch())
    }

    /// Hooks that run although the attempt is over.
    #[must_use]
    pub fn hooks_after(&self) -> Option<&HooksProgress> {
        self.hooks.as_ref().filter(|hooks| !hooks.due.before_switch())
    }

    /// Notes what went wrong with a hook without keeping anything from its way.
    pub fn note_hook_trouble(&mut self, trouble: &str) {
        let text = match &self.hook_trouble {
            Some(before) => format!("{before}; {trouble}"),
            None => trouble.to_owned(),
        };
        self.hook_trouble = Some(one_line(&text, MESSAGE_CHARS));
    }

    /// What the control plane is told of them.
    #[must_use]
    pub(super) fn hooks_report(&self) -> Option<HooksReport> {
        let report = HooksReport {
            running: self.hooks.as_ref().and_then(|hooks| hooks.running.clone()),
            trouble: self.hook_trouble.clone(),
        };
        (report != HooksReport::default()).then_some(report)
    }

    /// What happened, and what went wrong with hooks.
    #[must_use]
    pub(super) fn told(&self) -> Option<String> {
        let parts: Vec<&str> = self
            .message
            .iter()
            .chain(&self.hook_trouble)
            .map(String::as_str)
            .collect();
        (!parts.is_empty()).then(|| one_line(&parts.join("; "), MESSAGE_CHARS))
    }
}
