//! The core of Slipway: ids, states, the strategy and the pure function that decides a rollout's next changes.
//! Most other crates use it. It must never do I/O, wait, read a clock or draw a random number: instants and
//! attempt ids are arguments.
//!
//! So the worker and the model fleet of `slipway-sim` run the same code.
//!
//! | module | what it holds |
//! |---|---|
//! | [`id`], [`name`], [`named`], [`store_path`] | identifiers, parsed once at the edge |
//! | [`mod@reference`] | how people say which release or rollout they mean |
//! | [`labels`] | labels of hosts, and hosts named by them |
//! | [`strategy`] | how a rollout goes about its hosts, and the check of what a person typed |
//! | [`standing`] | how a host stands, the worst first |
//! | [`state`] | the two state machines and which changes they allow |
//! | [`agent`] | what an agent reports and what it is told: [`agent::instruct`] |
//! | [`drift`] | how a host differs from what Slipway left on it |
//! | [`lives`] | whether an observation is news, and of the one machine that the host is |
//! | [`calendar`] | when rollouts may touch hosts: windows, freezes, time zones |
//! | [`snapshot`] | everything a decision looks at |
//! | [`decide`] | [`decide::decide`]: snapshot and instant in, changes out |
//! | [`apply`] | what a change does: [`snapshot::Snapshot::apply`] |
//! | [`plan`] | which host goes in which wave |
//! | [`host_plan`] | what a switch would change on a host, and its digest |
//! | [`facts`] | what an agent knows of its host besides what runs |
//! | [`preflight`] | what stands in the way of a rollout, by facts |
//! | [`event`], [`digest`] | the audit log's entries and their hash chain, and digests of what they decide |
//! | [`role`], [`rights`] | who may do what, and where |
//! | [`attachment`] | what may be attached to a release |
//! | [`message`] | what people are told of, and where messages may go |
//! | [`trace`] | the place of a piece of work in a trace over several processes |

pub mod agent;
pub mod apply;
pub mod attachment;
pub mod calendar;
mod checked;
#[cfg(feature = "sqlx")]
mod column;
pub mod decide;
pub mod digest;
pub mod drift;
pub mod event;
pub mod facts;
pub mod host_plan;
pub mod id;
pub mod labels;
pub mod lives;
pub mod message;
pub mod name;
pub mod named;
pub mod plan;
pub mod preflight;
pub mod reference;
pub mod rights;
pub mod role;
pub mod snapshot;
pub mod standing;
pub mod state;
pub mod store_path;
pub mod strategy;
pub mod trace;

pub use agent::{AttemptPhase, Instruction, Observation};
pub use attachment::{AttachmentKind, Severity};
pub use calendar::{Calendar, Freeze, Hold, Timing, Window};
pub use facts::HostFacts;
pub use host_plan::{HostPlan, PlanReport};
pub use id::{
    AttemptId, CommandId, DeliveryId, DestinationId, EnvironmentId, FreezeId, HostId, PrincipalId, ReleaseId,
    RolloutId, StepId, TokenId,
};
pub use labels::Labels;
pub use message::{DeliveryState, DestinationKind, MessageKind};
pub use name::{DestinationName, EnvironmentName, HostName, NameError, PrincipalName};
pub use reference::{Reference, ReleaseName, ReleaseRef, RolloutRef};
pub use rights::{EnvironmentRoles, Rights, TokenCommand, TokenLimits};
pub use role::Role;
pub use standing::Standing;
pub use state::{RolloutState, StepState};
pub use store_path::{StoreDir, StorePath, StorePathError};
pub use strategy::Strategy;
pub use trace::{AttemptOrigin, TraceParent};

/// An instant of the control plane, which has one clock: the database's.
pub type Timestamp = chrono::DateTime<chrono::Utc>;

/// A host that has not been heard of for this many seconds counts as offline.
///
/// One long poll (30 s) and half as much again.
pub const OFFLINE_AFTER_SECONDS: i64 = 45;
