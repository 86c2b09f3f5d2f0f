//! Request and response types of the HTTP API. The server and its store, the client, the agent and the command line
//! share them. A type must never refuse an unknown field in an answer, since a newer server may send it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`route`] | every path, once |
//! | [`problem`] | errors: RFC 9457 problem documents and their stable types |
//! | [`access`] | login, principals and tokens |
//! | [`oidc`] | sign-in through a provider |
//! | [`fleet`] | environments and hosts |
//! | [`standing`] | how hosts stand, counted and the worst first |
//! | [`release`] | releases |
//! | [`attachment`] | what is attached to releases |
//! | [`rollout`] | rollouts, their steps and commands |
//! | [`plan`] | what releases change on hosts |
//! | [`preflight`] | what stands in the way of a rollout |
//! | [`output`] | what switch scripts and hooks print |
//! | [`audit`] | events and the head of their chain |
//! | [`message`] | destinations of messages, and deliveries |
//! | [`monitoring`] | health |
//! | [`backup`] | the status page of backups, which is the exporter's and not the api's |
//! | [`header`] | headers that requests may have |
//! | [`page`] | pages of long lists |
//! | [`limits`] | what requests are bounded by |
//!
//! Requests refuse unknown fields, so that a typing error is told and not passed over. Instants are RFC 3339 in UTC,
//! durations whole seconds with the unit in the name.

pub mod access;
pub mod attachment;
pub mod audit;
pub mod backup;
pub mod fleet;
pub mod header;
pub mod kept;
pub mod limits;
pub mod message;
pub mod monitoring;
pub mod oidc;
pub mod output;
pub mod page;
pub mod plan;
pub mod preflight;
pub mod problem;
pub mod release;
pub mod rollout;
pub mod route;
pub mod standing;

pub use problem::Problem;
/// What `POST /api/v1/agent/sync` takes and gives are the domain's own types.
pub use slipway_domain::{Instruction, Observation};

/// Whether a number may be left out.
fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}
