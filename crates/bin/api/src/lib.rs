//! The HTTP API of the release control plane, for agents and people. The program `slipway-api` uses this
//! crate, and tests start its server in their own process. It must never change the state of a rollout or a
//! step: only a worker does.
//!
//! | module | what it holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`serve`] | one run of the server, from settings to exit |
//! | [`listen`], [`server`] | sockets, connections, the graceful end |
//! | [`router`] | all routes in one, with what surrounds them |
//! | [`auth`], [`client_addr`], [`failures`] | who a request is from, and the limit on failed tries |
//! | `observe` | request ids, log lines, metrics, headers |
//! | `reference` | which release or rollout a request means |
//! | [`error`], [`extract`], `json` | problem documents, the extractors that give them, and JSON read strictly |
//! | [`attachment`] | documents of releases: what is read of them, and how many are held at once |
//! | [`parking`], [`feed`], [`printed`], [`watch`] | requests that wait for news, and where news comes from |
//! | [`openapi`] | the `OpenAPI` document |
//! | `oidc` | sign-in through a provider: its secrets, and what groups may do |
//! | `console` | the API as the pages of the console use it |
//! | `routes` | the handlers, one file a resource |
//!
//! A library so that tests can drive the very router that is served.

pub mod access;
pub mod attachment;
pub mod auth;
mod checks;
pub mod cli;
pub mod client_addr;
mod connection;
mod console;
mod drift;
mod endpoint;
pub mod error;
pub mod extract;
pub mod failures;
pub mod feed;
pub mod health;
mod json;
mod linger;
pub mod listen;
mod number;
mod observe;
mod oidc;
mod once;
pub mod openapi;
pub mod parking;
pub mod phase;
pub mod printed;
mod reference;
mod room;
pub mod router;
mod routes;
pub mod serve;
pub mod server;
pub mod state;
mod text;
pub mod watch;
