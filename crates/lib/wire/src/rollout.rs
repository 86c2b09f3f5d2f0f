//! Rollouts, their steps and commands.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use slipway_domain::digest::Digest;
use slipway_domain::snapshot::CommandKind;
use slipway_domain::strategy::strict;
use slipway_domain::{
    AttemptId, EnvironmentName, Hold, HostName, PlanReport, PrincipalName, ReleaseId, ReleaseRef, RolloutId,
    RolloutRef, RolloutState, StepState, StorePath, Strategy,
};

use crate::release::ReleaseLabel;

/// `POST /rollouts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateRollout {
    /// Where.
    pub environment: EnvironmentName,
    /// What: a release's id, number, name or the beginning of its id; or `latest` or `previous` of the environment. Its hosts
    /// of the environment take part; the environment's other hosts are left alone.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "12"))]
    pub release: ReleaseRef,
    /// How; the environment's own strategy when left out. Another one takes the role `admin`, unless the environment
    /// allows it.
    #[serde(
        default,
        deserialize_with = "strict::deserialize_opt",
        skip_serializing_if = "Option::is_none"
    )]
    pub strategy: Option<Strategy>,
    /// It begins nothing on a host before this instant. Hosts fetch at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Why it is not to wait for the environment's windows and freezes. It takes the role `approver`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_freeze: Option<String>,
    /// The only hosts that take part; all that the release has a closure for when left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostName>,
    /// Whether every host that takes part reboots, whatever the environment's strategy says of reboots. Not with a
    /// strategy of its own, which can say so itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reboot: bool,
}

/// What a rollout would do if it began now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutPlan {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub release: ReleaseId,
    /// How.
    pub strategy: Strategy,
    /// Hosts of the environment that may be out at once.
    pub max_unavailable: u32,
    /// The groups, one after the other, and their waves. Groups of which no host takes part are left out.
    pub groups: Vec<PlannedGroup>,
    /// Hosts of the environment that the release has no closure for.
    pub left_alone: Vec<HostName>,
    /// Whether somebody other than its author must approve it before it begins.
    pub approval_required: bool,
    /// The rollout under way, which keeps another one from beginning.
    pub open_rollout: Option<RolloutId>,
    /// What would keep it from touching a host now: a window, a freeze or its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
    /// The number of the rollout under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_rollout_number: Option<u64>,
}

/// Hosts that begin when the group before is through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedGroup {
    /// Its number, as in the steps of a rollout.
    pub group: u32,
    /// The labels that name its hosts, or what takes their place.
    pub name: String,
    /// Its hosts that may be out at once, if it says so itself.
    pub max_unavailable: Option<u32>,
    /// Its waves.
    pub waves: Vec<PlannedWave>,
}

/// Hosts that begin together, as far as places allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedWave {
    /// Its number.
    pub wave: u32,
    /// Whether it is the canary of its group.
    pub canary: bool,
    /// Its hosts, by name.
    pub hosts: Vec<PlannedHost>,
}

/// A host of a wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedHost {
    /// The host.
    pub host: HostName,
    /// Whether it was heard of lately.
    pub online: bool,
    /// The cluster that it is a member of.
    pub cluster: Option<String>,
}

/// `POST /rollouts/{id}/commands`. Answered 202: the worker carries it out, and events tell when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateCommand {
    /// What.
    pub command: CommandKind,
    /// Why, for the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For an approval: the digest of the hosts' plans that the approver saw, from `GET /rollouts/{id}/host-plans`. With
    /// another one the approval is refused. Clients from before plans leave it out, and approve whatever the hosts plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub plan: Option<Digest>,
}

/// A rollout in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutSummary {
    /// Its id.
    pub id: RolloutId,
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub release: ReleaseId,
    /// Where it stands.
    pub state: RolloutState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, when that is not plain.
    pub reason: Option<String>,
    /// Who started it.
    pub author: PrincipalName,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it waits for, and until when: a window, the end of a freeze or its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Its number, by which people name it: `#34`. Rollouts of the whole control plane are numbered in the order of their
    /// start, and some numbers may be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The release as people say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_label: Option<ReleaseLabel>,
}

impl RolloutSummary {
    /// `#34`, or its id where a program before numbers told of it.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.id, self.number)
    }

    /// How a command or a path names it: by its number, or else by its id.
    #[must_use]
    pub fn reference(&self) -> RolloutRef {
        self.number.map_or(RolloutRef::Id(self.id), RolloutRef::Number)
    }

    /// The release as people say it.
    #[must_use]
    pub fn release_words(&self) -> String {
        self.release_label
            .as_ref()
            .map_or_else(|| self.release.to_string(), ToString::to_string)
    }
}

/// `#34`, or the id of a rollout whose number is not known.
#[must_use]
pub fn label(id: RolloutId, number: Option<u64>) -> String {
    number.map_or_else(|| id.to_string(), |number| format!("#{number}"))
}

/// A rollout with all its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rollout {
    /// What the list shows too.
    #[serde(flatten)]
    pub summary: RolloutSummary,
    /// How.
    pub strategy: Strategy,
    /// Who approved it.
    pub approver: Option<PrincipalName>,
    /// The digest of the hosts' plans that was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub approved_plan: Option<Digest>,
    /// It begins nothing on a host before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Who had it not wait for the environment's windows and freezes, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<FreezeOverride>,
    /// Commands that no worker has carried out yet.
    pub pending_commands: Vec<CommandKind>,
    /// The last command that a worker carried out. An override of a freeze does not count: `overridden` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_command: Option<DoneCommand>,
    /// The trace of all its work, as 32 hex digits; left out for rollouts of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Its steps, by wave and host name.
    pub steps: Vec<Step>,
}

/// A rollout that does not wait for windows and freezes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreezeOverride {
    /// Who said so.
    pub by: PrincipalName,
    /// Why.
    pub reason: String,
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DoneCommand {
    /// What.
    pub command: CommandKind,
    /// Who asked for it.
    pub by: PrincipalName,
    /// When it was carried out.
    pub at: DateTime<Utc>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl DoneCommand {
    /// Whether a rollout is in this state because of it.
    #[must_use]
    pub const fn led_to(&self, state: RolloutState) -> bool {
        use RolloutState as S;
        match self.command {
            CommandKind::Pause => matches!(state, S::Paused),
            CommandKind::Revert => matches!(state, S::Reverting | S::Reverted),
            CommandKind::Abort => matches!(state, S::Reverting | S::Aborted),
            CommandKind::Approve | CommandKind::Resume | CommandKind::OverrideFreeze => false,
        }
    }
}

/// One host's part of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Step {
    /// The host.
    pub host: HostName,
    /// The number of its wave. 0 is the canary of the first group.
    pub wave: u32,
    /// The number of its group: the entry of the strategy's order, from 0; one after the last for all other hosts.
    #[serde(default)]
    pub group: u32,
    /// Whether it is a canary of its group.
    #[serde(default)]
    pub canary: bool,
    /// The cluster that it was a member of when the rollout began: the value of its label `slipway.cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where it stands.
    pub state: StepState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// The attempt under way or last made.
    pub attempt: Option<AttemptId>,
    /// How often it failed.
    pub failures: u32,
    /// The release's closure for the host.
    pub closure: StorePath,
    /// What ran when the activation began.
    pub prior: Option<StorePath>,
    /// Why it is in this state, when that is not plain.
    pub reason: Option<String>,
    /// The hook that its host runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// The plan that its agent reported, or that was approved: its digest and the sizes of its closures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
    /// What its host reports while its checks have not passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// For how many seconds the checks may still fail, by the control plane's clock. Left out once they have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks_seconds_left: Option<u32>,
}

impl Step {
    /// The reason for its state, or else what its host reports of its checks.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.reason.as_deref().or(self.checks.as_deref())
    }

    /// The same as [`Self::why`]. While checks fail, the time that they have left stands before it.
    #[must_use]
    pub fn why_with_time(&self) -> Option<String> {
        let why = self.why()?;
        Some(match self.checks_seconds_left.filter(|_| self.reason.is_none()) {
            Some(seconds) => format!("{seconds} s left: {why}"),
            None => why.to_owned(),
        })
    }
}
